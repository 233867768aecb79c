import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { Code } from '@connectrpc/connect';
import { AuthService, JoinService } from '../../src/api/gen/authservice_pb.js';
import { MessageTurns } from '../../src/api/message-turns.js';
import { type AuthHttp2ServerOptions, createAuthHttp2Server } from '../../src/api/server.js';
import { newIdentity } from '../../src/identity/identity.js';
import type { SystemRole } from '../../src/resources/system-role.js';

async function* pieces(...all: string[]): AsyncGenerator<Uint8Array, undefined> {
  for (const piece of all) yield Buffer.from(piece);
}
const LONG = 'x'.repeat(100 * 1024);
const MOST = { mostBytes: 200 * 1024, isGone: () => false };

describe('A-H5 a message is read in the turn of its sender', () => {
  let now = 0;
  let turns: MessageTurns;
  const order: string[] = [];
  beforeEach(() => {
    now = 1_000;
    turns = new MessageTurns({ now: () => now });
    order.length = 0;
  });

  /** Somebody's message, which takes so long to read. */
  async function read(sender: string, text: string, ms: number, isGone = MOST.isGone): Promise<void> {
    for await (const message of turns.inTurn(pieces(text.slice(0, 3), text.slice(3)), { ...MOST, sender, isGone })) {
      expect(Buffer.from(message).toString()).toBe(text);
      now += ms;
      order.push(sender);
    }
  }

  test('after one that took long there is none for as long, and others are served meanwhile', async () => {
    await read('mallory', LONG, 90);
    const rest = [read('mallory', LONG, 90), read('mallory', LONG, 90)];
    for (let at = 0; at < 3; at++) await read('bob', 'small', 0);
    expect(order).toEqual(['mallory', 'bob', 'bob', 'bob']);
    now += 90;
    await rest[0];
    await read('bob', 'small', 0);
    expect(order).toEqual(['mallory', 'bob', 'bob', 'bob', 'mallory', 'bob']);
    now += 90;
    await rest[1];
  });

  test('those that come at once are read one after the other, each after the time of the one before', async () => {
    const all = [read('mallory', LONG, 90), read('mallory', LONG, 90)];
    await all[0];
    await read('bob', 'small', 0);
    expect(order).toEqual(['mallory', 'bob']);
    now += 90;
    await Promise.all(all);
  });

  test('a small one is not charged for what came between, and nobody waits for one whose sender has gone', async () => {
    await read('bob', 'small', 90);
    await read('bob', 'small', 0);
    await read('mallory', LONG, 90, () => true);
    expect(order).toEqual(['bob', 'bob']);
    await read('mallory', LONG, 0);
    expect(order).toEqual(['bob', 'bob', 'mallory']);
  });

  test('of one that is too long no more is kept than shows it', async () => {
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array, undefined> {
      for (; ; given++) yield Buffer.alloc(1024, 0x7f);
    }
    const [message] = [(await turns.inTurn(endless(), { ...MOST, sender: 'mallory' }).next()).value!];
    expect(message.length).toBeGreaterThan(MOST.mostBytes + 5);
    expect(given).toBeLessThan(202);
  });
});

describe('R-C-M2 what one sender has not had read yet has a bound', () => {
  /** A message of so many bytes in pieces of 1 KiB, and how many were asked for; the last one comes with `finish`. */
  function message(kib: number) {
    let finish = () => {};
    const last = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const asked = { kib: 0 };
    async function* chunks(): AsyncGenerator<Uint8Array, undefined> {
      const head = Buffer.alloc(1024 + 5);
      head.writeUInt32BE(kib * 1024, 1);
      yield head;
      for (asked.kib = 1; asked.kib < kib; asked.kib++) yield Buffer.alloc(1024);
      await last;
    }
    return { chunks, asked, finish };
  }
  const from = (sender: string) => ({ ...MOST, sender });

  test('in bytes: a stream for which there is no room is not read, and others are', async () => {
    const turns = new MessageTurns({ mostBytes: 128 * 1024 });
    const [first, second, others] = [message(100), message(100), message(100)];
    const reading = turns.inTurn(first.chunks(), from('mallory'));
    const whole = reading.next();
    const later = turns.inTurn(second.chunks(), from('mallory')).next();
    others.finish();
    await turns.inTurn(others.chunks(), from('bob')).next();
    expect([first.asked.kib, second.asked.kib]).toEqual([100, 0]);
    first.finish();
    second.finish();
    expect((await whole).value).toHaveLength(100 * 1024 + 5);
    expect(second.asked.kib).toBe(0);
    await reading.next();
    expect((await later).value).toHaveLength(100 * 1024 + 5);
  });

  test('in time: one that is not whole by then is given up, and its room is free', async () => {
    const turns = new MessageTurns({ mostBytes: 128 * 1024, wholeMs: 1_000 });
    const given = turns.inTurn(message(100).chunks(), from('mallory')).next();
    const waits = turns.inTurn(message(100).chunks(), from('mallory')).next();
    const refusal = { code: Code.ResourceExhausted, rawMessage: 'the message was not whole after 1 s' };
    const refused = [expect(given).rejects.toMatchObject(refusal), expect(waits).rejects.toMatchObject(refusal)];
    await Promise.all(refused);
    const { chunks, finish } = message(100);
    finish();
    expect((await turns.inTurn(chunks(), from('mallory')).next()).value).toHaveLength(100 * 1024 + 5);
  });

  test('in calls: for one too many the oldest goes of whoever has most, all users of a root together', async () => {
    const turns = new MessageTurns({ mostCalls: 3 });
    const open = (sender: string, site?: string) => {
      const { chunks, finish } = message(2);
      return { read: turns.inTurn(chunks(), { ...MOST, sender, ...(site ? { site } : {}) }).next(), finish };
    };
    const bob = open('user bob');
    const oldest = open('user remote-a-root', 'cluster root');
    const refused = expect(oldest.read).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: 'too many calls wait to be read, try again in a minute',
    });
    const others = [open('user remote-b-root', 'cluster root'), open('user carol')];
    await refused;
    for (const { read, finish } of [bob, ...others]) {
      finish();
      expect((await read).value).toHaveLength(2 * 1024 + 5);
    }
  });
});

interface Sender {
  username: string;
  role?: SystemRole;
  remote?: string;
}

/** A server, and a session of each of these. */
async function serving(senders: Sender[], options: Partial<AuthHttp2ServerOptions> = {}) {
  const grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes: (router) => {
      router.service(AuthService, { ping: () => ({}) });
      router.service(JoinService, {
        async *registerUsingIAMMethod(requests) {
          for await (const _ of requests) yield {};
        },
      });
    },
    ...options,
  });
  const left = [...senders];
  const server = createServer((socket) => {
    const { username, role, remote } = left.shift()!;
    const teleportCluster = remote ?? 'example.com';
    const identity = newIdentity({ username, groups: ['access'], teleportCluster, expires: new Date() });
    const bearer = { certificateDer: Buffer.alloc(0), identity, role, ...(remote ? { remote } : {}) };
    grpc.accept(socket, { bearer, remoteAddr: '192.0.2.1:1' });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sessions: ClientHttp2Session[] = [];
  for (const _ of senders) {
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await once(session, 'connect');
    sessions.push(session);
  }
  return {
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await grpc.close({ graceMs: 100 });
      await new Promise((done) => server.close(done));
    },
  };
}

const PING = '/proto.AuthService/Ping';

function request(session: ClientHttp2Session, path = PING): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

/** The status that comes, and the text with it. */
async function statusOf(stream: ClientHttp2Stream): Promise<unknown> {
  let trailers: Record<string, unknown> = {};
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.resume();
  await once(stream, 'end');
  return [trailers['grpc-status'], decodeURIComponent(String(trailers['grpc-message'] ?? ''))];
}

async function ping(from: ClientHttp2Session, message: Buffer, path = PING): Promise<unknown> {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const stream = request(from, path);
  stream.end(Buffer.concat([head, message]));
  return await statusOf(stream);
}

/** 2 MiB a message, and a clock that stands from the first message that was read until `goOn`: nobody's turn comes meanwhile. */
function standing() {
  let isFree = false;
  let at: number | undefined;
  const options: Partial<AuthHttp2ServerOptions> = {
    maxMessageBytes: 2 * 1024 * 1024,
    unread: { now: () => at ?? performance.now() },
    routes: (router) =>
      router.service(AuthService, {
        ping() {
          if (!isFree) at ??= performance.now();
          return {};
        },
      }),
  };
  const goOn = () => {
    isFree = true;
    at = undefined;
  };
  return { options, goOn };
}

/** Fields that nobody knows, each of them kept. */
const hostile = Buffer.alloc(2_000_000, Buffer.of(0xfa, 0x7f, 0));
const OK = ['0', ''];

test('A-H5 the server has persons wait for messages that took long to read, by login', async () => {
  const { options, goOn } = standing();
  await using served = await serving([{ username: 'mallory' }, { username: 'bob' }], options);
  const [mallory, bob] = served.sessions as [ClientHttp2Session, ClientHttp2Session];
  let answered = 0;
  const all = [hostile, hostile].map((message) => ping(mallory, message).then(() => answered++));
  await Promise.race(all);
  for (let at = 0; at < 20; at++) await ping(bob, Buffer.alloc(0));
  expect(answered).toBe(1);
  goOn();
  await Promise.all(all);
});

test('R-C-H2 a leaf that is called like a person, or like a host, has a time of its own', async () => {
  const uuid = '11111111-2222-4333-8444-555555555555';
  for (const taken of [{ username: 'alice' }, { username: `${uuid}.example.com`, role: 'Proxy' as const }]) {
    const leaf = { username: `${uuid}.${taken.username}`, role: 'RemoteProxy' as const, remote: taken.username };
    const { options, goOn } = standing();
    await using served = await serving([leaf, taken], options);
    const [mallory, victim] = served.sessions as [ClientHttp2Session, ClientHttp2Session];
    let answered = 0;
    const all = [hostile, hostile, hostile].map((message) => ping(mallory, message).then(() => answered++));
    await Promise.race(all);
    expect(await ping(victim, Buffer.alloc(0))).toEqual(OK);
    expect(answered).toBe(1);
    goOn();
    await Promise.all(all);
  }
});

test('R-C-M2 the server reads all messages of one sender in the end, however many come at once', async () => {
  await using served = await serving([{ username: 'alice' }], { unread: { mostBytes: 256 * 1024 } });
  const [alice] = served.sessions as [ClientHttp2Session];
  // One long field that nobody knows.
  const long = Buffer.concat([Buffer.of(0xfa, 0x7f, 0x80, 0x80, 0x08), Buffer.alloc(128 * 1024)]);
  // A client of Node's keeps at most 10 MB that were not read.
  const all = Array.from({ length: 60 }, () => ping(alice, long));
  expect(await Promise.all(all)).toEqual(all.map(() => OK));
});

test('R-C-M2 the server ends a stream whose message is not whole in time', async () => {
  await using served = await serving([{ username: 'alice' }], { unread: { wholeMs: 1_000 } });
  const [alice] = served.sessions as [ClientHttp2Session];
  const stream = request(alice);
  stream.write(Buffer.of(0, 0, 1, 0, 0, 1, 2, 3));
  const closed = once(stream, 'close');
  expect(await statusOf(stream)).toEqual([`${Code.ResourceExhausted}`, 'the message was not whole after 1 s']);
  await closed;
  expect(await ping(alice, Buffer.alloc(0))).toEqual(OK);
});

test('R-C-M2 a host of another cluster says 64 KiB at most, which its authorities need', async () => {
  const host = { username: 'h.leaf', role: 'RemoteProxy' as const };
  await using served = await serving([{ ...host, remote: 'leaf' }, host]);
  const [remote, own] = served.sessions as [ClientHttp2Session, ClientHttp2Session];
  /** One field of so many KiB that nobody knows. */
  const field = (kib: number) =>
    Buffer.concat([Buffer.of(0xfa, 0x7f, 0x80, 0x80 | ((kib & 15) << 3), kib >> 4), Buffer.alloc(kib * 1024)]);
  expect(await ping(remote, Buffer.alloc(64 * 1024 + 1))).toEqual([
    `${Code.ResourceExhausted}`,
    'grpc: received message larger than max (65537 vs. 65536)',
  ]);
  expect(await ping(own, field(100))).toEqual(OK);
  expect(await ping(remote, field(60))).toEqual(OK);
});

test('R-C-M2 who joins says 16 KiB at most in a message, with the certificate of a person or of another cluster too', async () => {
  const host = { username: 'h.leaf', role: 'RemoteProxy' as const, remote: 'leaf' };
  await using served = await serving([{ username: 'alice' }, host]);
  for (const session of served.sessions) {
    expect(await ping(session, Buffer.alloc(17_000), '/proto.JoinService/RegisterUsingIAMMethod')).toEqual([
      `${Code.ResourceExhausted}`,
      'grpc: received message larger than max (17000 vs. 16384)',
    ]);
  }
});
