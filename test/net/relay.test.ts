import { Duplex } from 'node:stream';
import { type RelayOptions, relay } from '../../src/net/relay.js';

const CHUNK_BYTES = 64 * 1024;
const ALL_BYTES = 16 * 1024 * 1024;
/** What the relay lets wait, and what streams hold besides: the chunk that went over the limit, and those read ahead. */
const MOST_BYTES = 512 * 1024 + 4 * CHUNK_BYTES;

/** A peer that always has more to say, up to `ALL_BYTES`. */
function talker() {
  let said = 0;
  const stream = new Duplex({
    read() {
      setImmediate(() => {
        said += CHUNK_BYTES;
        stream.push(said > ALL_BYTES ? null : Buffer.alloc(CHUNK_BYTES, said / CHUNK_BYTES));
      });
    },
    write: (_chunk, _encoding, done) => done(),
  });
  return { stream, said: () => said };
}

/** A peer that reads nothing until `read()`. */
function sleeper() {
  let isReading = false;
  let heard = 0;
  let waiting: (() => void) | undefined;
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      heard += chunk.length;
      if (isReading) done();
      else waiting = done;
    },
    final(done) {
      stream.push(null);
      done();
    },
  });
  return {
    stream,
    heard: () => heard,
    read() {
      isReading = true;
      waiting?.();
    },
  };
}

/** Until this end is stopped for good, or everything was taken from it: whichever comes first. */
async function stopped(from: Duplex): Promise<void> {
  for (let turns = 0; turns < 20 && !from.readableEnded && !from.destroyed; ) {
    await new Promise((turn) => setImmediate(turn));
    turns = from.isPaused() ? turns + 1 : 0;
  }
}

test.each<[string, RelayOptions]>([
  ['without a tap', {}],
  ['with a tap that looks', { onAtoB() {}, onBtoA() {} }],
  ['with a tap that holds', { onAtoB: () => Promise.resolve(), onBtoA: () => Promise.resolve() }],
])('H10 a peer that does not read stops the one that sends, %s', async (_name, options) => {
  for (const upward of [true, false]) {
    const [fast, slow] = [talker(), sleeper()];
    const [a, b] = upward ? [fast.stream, slow.stream] : [slow.stream, fast.stream];
    const done = relay(a, b, options);
    await stopped(fast.stream);
    expect(fast.said()).toBeLessThanOrEqual(MOST_BYTES);
    expect(slow.stream.writableLength).toBeLessThanOrEqual(MOST_BYTES);
    slow.read();
    expect(await done).toEqual(
      upward ? { bytesAtoB: ALL_BYTES, bytesBtoA: 0 } : { bytesAtoB: 0, bytesBtoA: ALL_BYTES },
    );
    expect(slow.heard()).toBe(ALL_BYTES);
  }
});

test('H10 nor does the rest of a long message, before the last words, wait in memory', async () => {
  const [slow, fast] = [sleeper(), talker()];
  const stop = new AbortController();
  let left = ALL_BYTES;
  const done = relay(slow.stream, fast.stream, {
    signal: stop.signal,
    lastWords: {
      follow: {
        push(chunk) {
          left -= chunk.length;
        },
        get bytesLeft() {
          return left;
        },
      },
      say: () => Buffer.from('bye'),
      timeoutMs: 60_000,
    },
  });
  await new Promise((turn) => setImmediate(turn));
  stop.abort();
  await stopped(fast.stream);
  expect(fast.said()).toBeLessThanOrEqual(MOST_BYTES);
  slow.read();
  await done;
  expect(slow.heard()).toBe(ALL_BYTES + 'bye'.length);
});
