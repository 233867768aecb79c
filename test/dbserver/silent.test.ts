/**
 * A database that accepts connections and says nothing, at each step of the way in: what was awaited, where and for how
 * long is told in words, and nobody waits for ever.
 * Tests: src/dbserver/connect.ts
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type ConnectContext, cancelDatabase, connectDatabase } from '../../src/dbserver/connect.js';
import { inSeconds, isTimedOut, TimedOut } from '../../src/errors.js';
import { silent } from '../../src/log.js';
import { dialTcp, dialTls } from '../../src/net/dial.js';
import { peekClientHello } from '../../src/net/peek.js';
import { readStartup } from '../../src/pg/backend.js';
import { cancel, login } from '../../src/pg/frontend.js';
import { simpleQuery } from '../../src/pg/session.js';
import type { Database } from '../../src/resources/types.js';
import { TunnelRegistry } from '../../src/tunnel/registry.js';
import { withDeadline } from '../../src/wait.js';
import { createTestCa, type TestCa } from '../support/ca.js';

let ca: TestCa;
let tls: { cert: string; key: string };
beforeAll(async () => {
  ca = createTestCa('DB');
  tls = ca.issue('localhost');
});
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});
const servers = new Set<Server>();
afterAll(() => {
  for (const server of servers) server.close();
});

/** A server that goes as far as `upTo` and then says nothing more. */
async function silentServer(upTo: 'TCP' | 'S' | 'TLS'): Promise<number> {
  const sockets = new Set<Duplex>();
  const server = createServer((socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (upTo === 'TCP') return void socket.resume();
    socket.once('data', () => {
      socket.write('S');
      if (upTo === 'S') return void socket.resume();
      const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
      secure.on('error', () => {}).resume();
      sockets.add(secure);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

const databaseAt = (port: number): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name: 'orders' },
  spec: { protocol: 'postgres', uri: `localhost:${port}` },
});
const context = (): ConnectContext => ({
  aws: {
    credential: () => Promise.reject(new Error('not asked')),
    forget: async () => {},
    whyDown: async () => undefined,
  },
  clientCertificates: { get: async () => ({ certPem: tls.cert, keyPem: tls.key, databaseCaPems: [ca.certPem] }) },
  amazonRoots: [],
  checker: 'Database service',
  vars: {},
});
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => new Error('it did not fail'),
    (error: Error & { hint?: string }) => error,
  );

const STEPS = [
  ['TCP', 'answer to the SSLRequest'],
  ['S', 'answer to the TLS handshake'],
  ['TLS', 'answer to the login'],
] as const;

describe('S9 a database that accepts and never answers', () => {
  test.each(STEPS)('after %s says where, what was awaited and for how long', async (upTo, awaited) => {
    const port = await silentServer(upTo);
    const options = { database: databaseAt(port), dbUser: 'analyst', dbName: 'dev', startupParameters: [] };
    const error = await failureOf(connectDatabase(context(), { ...options, timeoutMs: 3_733.25 }));
    expect(error.message).toBe(`dial tcp localhost:${port}: i/o timeout: no ${awaited} within 4 s`);
    expect(error).toMatchObject({
      code: 'ConnectionProblem',
      hint: expect.stringMatching(/^Something accepts connections there/),
    });
  });

  test('does not hold a cancel for ever either', async () => {
    const [duplex] = duplexPair();
    const error = await failureOf(
      cancel(duplex, { pid: 1, secret: Buffer.alloc(4) }, { timeoutMs: 40.5, address: 'db.example.com:5432' }),
    );
    expect(error.message).toBe('dial tcp db.example.com:5432: i/o timeout: no answer to the CancelRequest within 1 s');
    const gone = await failureOf(
      cancelDatabase(context(), { database: databaseAt(1), dbUser: 'a' }, { pid: 1, secret: Buffer.alloc(4) }),
    );
    expect(gone.message).toMatch(/^dial tcp .*:1: connect: connection refused$/);
  });
});

describe('F15 time-outs', () => {
  test.each([
    [0.4, '1 s'],
    [499, '1 s'],
    [1_499.9, '1 s'],
    [1_500, '2 s'],
    [29_995.765236999985, '30 s'],
    [30_000, '30 s'],
    [600_000, '600 s'],
  ])('%d ms are told as %s', (ms, text) => {
    expect(inSeconds(ms)).toBe(text);
    expect(new TimedOut('answer', ms).message).toBe(`no answer within ${text}`);
    expect(new TimedOut('answer', ms, { address: 'h:1' }).message).toBe(
      `dial tcp h:1: i/o timeout: no answer within ${text}`,
    );
  });

  const mute = (): Duplex => duplexPair()[0]!;
  /** Every wait that ends by itself: what starts it, and what it says. */
  const waits: [string, (ms: number) => Promise<unknown>, RegExp][] = [
    [
      'any promise',
      (ms) => withDeadline(new Promise(() => {}), ms, 'Godot at h:1'),
      /^timed out after 1 s waiting for Godot at h:1$/,
    ],
    [
      'a first packet',
      (ms) => readStartup(mute(), { timeoutMs: ms }),
      /^no start-up packet from the client within 1 s$/,
    ],
    ['a login', (ms) => login(mute(), { user: 'a', timeoutMs: ms }), /^no answer to the login within 1 s$/],
    ['a statement', (ms) => simpleQuery(mute(), 'select 1', { timeoutMs: ms }), /^no end of the statement within 1 s$/],
    ['a ClientHello', (ms) => peekClientHello(mute(), { timeoutMs: ms }), /^no whole ClientHello within 1 s$/],
    [
      'a TLS handshake',
      // Without the web's authorities: reading them can take longer than this short wait.
      async (ms) => {
        const port = await silentServer('TCP');
        return await dialTls({ host: 'localhost', port, timeoutMs: ms, ca: [], rejectUnauthorized: false });
      },
      /^dial tcp localhost:\d+: i\/o timeout: no answer to the TLS handshake within 1 s$/,
    ],
    [
      'an HTTP proxy',
      async (ms) => {
        const proxy = `http://127.0.0.1:${await silentServer('TCP')}`;
        return await dialTcp({ host: 'db.example.com', port: 5432, timeoutMs: ms, vars: { HTTPS_PROXY: proxy } });
      },
      /^timed out after 1 s waiting for the HTTP proxy 127\.0\.0\.1:\d+ to open a tunnel to db\.example\.com:5432$/,
    ],
  ];
  test.each(waits)('of %s say what was awaited, in whole seconds', async (_, wait, text) => {
    // Not a whole number, as what is left of a deadline never is.
    expect((await failureOf(wait(1_361.234567))).message).toMatch(text);
  });

  test('an agent that dials no connection is named in the log', async () => {
    const lines: string[] = [];
    const log = {
      ...silent,
      warn: (_: string, fields?: Record<string, unknown>) => void lines.push(String(fields?.error)),
    };
    const registry = new TunnelRegistry({ clusterName: 'c', log: log as never, answerTimeoutMs: 30.5 });
    const [control, agent] = duplexPair();
    registry.accept(control, { hostId: 'h1' });
    const hello = {
      hostId: 'h1',
      hostname: 'db-host',
      version: '1',
      databases: [{ name: 'sales', health: 'healthy' }],
    };
    agent.write(`${JSON.stringify({ hello })}\n`);
    while (registry.agents().length === 0) await registry.changed();
    await failureOf(registry.open('sales', { certificateDer: Buffer.alloc(1), clientAddr: 'a:1' }));
    expect(lines).toEqual(['no data connection from the agent on db-host within 1 s']);
    await registry.close();
  });

  test('are known as such', () => {
    expect(isTimedOut(new TimedOut('answer', 1))).toBe(true);
    expect(isTimedOut(new Error('no answer within 1 s'))).toBe(false);
  });
});
