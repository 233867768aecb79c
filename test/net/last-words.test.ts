/**
 * How a relay takes leave of a client when the end is ours: between two messages, whole, and never for longer than
 * said.
 * Tests: src/pg/last-words.ts
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { TeleportError } from '../../src/errors.js';
import { type RelayOptions, relay } from '../../src/net/relay.js';
import { lastWords } from '../../src/pg/last-words.js';
import { SessionEnd, shutdownEnd } from '../../src/pg/sqlstate.js';
import { errorFields, messagesOf } from '../support/pg-raw.js';

/** DataRow of three bytes, CommandComplete, ReadyForQuery: as a server sends them. */
const ROW = Buffer.from('440000000d0001000000030102034300', 'hex').subarray(0, 14);
const DONE = Buffer.from('430000000d53454c45435420310049', 'hex').subarray(0, 14);
const READY = Buffer.from('5a0000000549', 'hex');
const ANSWER = Buffer.concat([ROW, DONE, READY]);
const STARTS = [0, ROW.length, ROW.length + DONE.length, ANSWER.length];

const END = shutdownEnd('Again.');

function setup(options: RelayOptions = {}) {
  const stop = new AbortController();
  const [client, a] = duplexPair();
  const [b, server] = duplexPair();
  for (const stream of [client, a, b, server]) stream.on('error', () => {});
  const relayed = relay(a, b, { signal: stop.signal, lastWords: lastWords(), ...options });
  const chunks: Buffer[] = [];
  client.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(client, 'end');
  return { stop, client, server, relayed, ended, received: () => Buffer.concat(chunks) };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('F9 last words of a relay', () => {
  const cuts = Array.from({ length: ANSWER.length + 1 }, (_, at) => at);
  test.each(cuts)('come between two messages when %i bytes of an answer have passed', async (at) => {
    const { stop, server, ended, received, client, relayed } = setup();
    if (at > 0) server.write(ANSWER.subarray(0, at));
    await turn();
    stop.abort(END);
    // What the server still says: the rest of one message counts, byte by byte, and nothing behind it.
    for (let i = at; i < ANSWER.length; i++) server.write(ANSWER.subarray(i, i + 1));
    await ended;
    client.end();
    await relayed;
    const boundary = STARTS.find((start) => start >= at)!;
    expect(received().subarray(0, boundary)).toEqual(ANSWER.subarray(0, boundary));
    const words = messagesOf(received().subarray(boundary));
    expect(words).toHaveLength(1);
    expect(errorFields(words[0]!)).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '57P01',
      M: 'terminating connection due to administrator command',
      H: 'Again.',
    });
  });

  test('one large piece is cut where the message at hand ends', async () => {
    const { stop, server, ended, received } = setup();
    server.write(ROW.subarray(0, 3));
    await turn();
    stop.abort(END);
    server.write(Buffer.concat([ROW.subarray(3), DONE, READY]));
    await ended;
    expect(messagesOf(received()).map(({ tag }) => tag)).toEqual(['D', 'E']);
  });

  test('nothing of the client goes on after them', async () => {
    const { stop, server, client, ended } = setup();
    const taken: Buffer[] = [];
    server.on('data', (chunk: Buffer) => taken.push(chunk));
    client.write('before');
    await turn();
    stop.abort(END);
    client.write('after');
    await ended;
    expect(Buffer.concat(taken).toString()).toBe('before');
  });

  test('an answer that is held back stays back, except what its message began', async () => {
    let hold: Promise<void> | undefined;
    const { stop, server, ended, received } = setup({ onBtoA: () => hold });
    server.write(ROW.subarray(0, 6));
    await turn();
    hold = new Promise(() => {});
    server.write(Buffer.concat([ROW.subarray(6), DONE, READY]));
    await turn();
    stop.abort(new SessionEnd('57P05', 'due to idle-session timeout'));
    await ended;
    expect(messagesOf(received()).map(({ tag }) => tag)).toEqual(['D', 'E']);
  });

  test('a tap that throws is told as well, and the relay fails with it', async () => {
    const problem = new TeleportError('Protocol', 'unknown PostgreSQL message');
    const onAtoB = () => {
      throw problem;
    };
    const { client, ended, received, relayed } = setup({ onAtoB });
    const failed = expect(relayed).rejects.toBe(problem);
    client.write('?');
    await ended;
    client.end();
    await failed;
    expect(errorFields(messagesOf(received())[0]!)).toMatchObject({ V: 'FATAL', C: '08P01', M: problem.message });
  });

  test('a message that does not end, and one whose length cannot be: the client is cut, and hears no half words', async () => {
    for (const broken of [ROW.subarray(0, 7), Buffer.from('44ffffffff00', 'hex')]) {
      const { stop, server, ended, received, relayed } = setup({ lastWords: lastWords({ timeoutMs: 30 }) });
      server.write(broken);
      await turn();
      stop.abort(END);
      await relayed;
      await Promise.race([ended, turn()]);
      expect(received()).toEqual(broken);
    }
  });

  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const one of undo.splice(0)) one();
  });

  test('a client that does not read is cut when its time is over', async () => {
    const socketPair = async (): Promise<[Socket, Socket]> => {
      const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
      undo.push(() => server.close());
      await once(server, 'listening');
      const near = connect({ ...(server.address() as { port: number }), host: '127.0.0.1', allowHalfOpen: true });
      near.on('error', () => {}).pause();
      const [far] = (await once(server, 'connection')) as [Socket];
      far.on('error', () => {});
      undo.push(
        () => near.destroy(),
        () => far.destroy(),
      );
      return [near, far];
    };
    const [[, a], [b, server]] = [await socketPair(), await socketPair()];
    const stop = new AbortController();
    const relayed = relay(a, b, { signal: stop.signal, lastWords: lastWords({ timeoutMs: 100 }) });
    // More than all buffers on the way take.
    const big = Buffer.alloc(32 * 1024 * 1024);
    big.write('D', 'latin1');
    big.writeUInt32BE(big.length - 1, 1);
    server.write(big);
    while (a.writableLength === 0) await turn(); // what the client does not take is waiting
    stop.abort(END);
    await relayed;
    expect([a.destroyed, b.destroyed]).toEqual([true, true]);
  });
});
