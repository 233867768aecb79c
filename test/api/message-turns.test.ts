import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { AuthService } from '../../src/api/gen/authservice_pb.js';
import { MessageTurns } from '../../src/api/message-turns.js';
import { createAuthHttp2Server } from '../../src/api/server.js';
import { newIdentity } from '../../src/identity/identity.js';

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
    turns = new MessageTurns(() => now);
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
      for (; ; given++) yield Buffer.alloc(1024);
    }
    const [message] = [(await turns.inTurn(endless(), { ...MOST, sender: 'mallory' }).next()).value!];
    expect(message.length).toBeGreaterThan(MOST.mostBytes + 5);
    expect(given).toBeLessThan(202);
  });
});

test('A-H5 the server has persons wait for messages that took long to read, by login', async () => {
  const callers = ['mallory', 'bob'];
  const grpc = createAuthHttp2Server({
    version: '18.3.0',
    maxMessageBytes: 2 * 1024 * 1024,
    routes: (router) => router.service(AuthService, { ping: () => ({}) }),
  });
  const server = createServer((socket) => {
    const identity = newIdentity({
      username: callers.shift()!,
      groups: ['access'],
      teleportCluster: 'example.com',
      expires: new Date(),
    });
    const bearer = { certificateDer: Buffer.alloc(0), identity, role: undefined };
    grpc.accept(socket, { bearer, remoteAddr: '192.0.2.1:1' });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const open = async () => {
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await once(session, 'connect');
    return session;
  };
  const mallory = await open();
  const bob = await open();
  const ping = async (from: typeof bob, message: Buffer): Promise<void> => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const stream = from.request({
      ':method': 'POST',
      ':path': '/proto.AuthService/Ping',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end(Buffer.concat([head, message]));
    stream.resume();
    await once(stream, 'end');
  };
  // Fields that nobody knows, each of them kept.
  const hostile = Buffer.alloc(2_000_000, Buffer.of(0xfa, 0x7f, 0));
  let answered = 0;
  try {
    const all = [hostile, hostile].map((message) => ping(mallory, message).then(() => answered++));
    await Promise.race(all);
    for (let at = 0; at < 20; at++) await ping(bob, Buffer.alloc(0));
    expect(answered).toBe(1);
    await Promise.all(all);
  } finally {
    mallory.destroy();
    bob.destroy();
    await grpc.close({ graceMs: 100 });
    await new Promise((done) => server.close(done));
  }
});
