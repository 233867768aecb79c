/**
 * Each kind of certificate at each door of the Proxy's one port: who gets in stands in `doors.txt`, a door a line, an identity a
 * letter. A looser check changes the file, and its diff is what a reviewer reads. `npm run golden` writes it anew.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { authAlpn } from '../../src/api/alpn.js';
import { upgradeConnection } from '../../src/net/websocket.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';
import type { TunnelAgent } from '../../src/tunnel/agent.js';
import { TUNNEL_ALPN } from '../../src/tunnel/protocol.js';
import { CLUSTER, HEX, startTestAgent, startTestProxy, type TestProxy } from '../proxy/test-proxy.js';
import { createTestCa } from '../support/ca.js';

const TABLE = 'test/attacks/doors.txt';

interface Shown {
  who: string;
  cert?: string;
  key?: string;
}

let peer: TestProxy;
let agent: TunnelAgent;
const callers = new Map<string, Shown>();
beforeAll(async () => {
  peer = await startTestProxy();
  // An agent lets everybody in here: what is kept out, the Proxy keeps out.
  // An agent lets everybody in here: what is kept out, the Proxy keeps out.
  agent = await startTestAgent(peer, (stream) => void stream.on('error', () => {}).pipe(stream));
  const { user, host, hostCa, userCa } = peer.authorities;
  const asHost = (...args: Parameters<typeof host>) => {
    const { certPem: cert, keyPem: key } = host(...args);
    return { cert, key };
  };
  const stranger = createTestCa(CLUSTER);
  const [alice, mallory] = [user({ database: 'sales' }), user({ database: 'sales' })];
  const kinds: [string, Shown][] = [
    ['-', { who: 'nobody: no certificate' }],
    ['u', { who: 'a user', ...user() }],
    ['d', { who: 'a user, for the database alone', ...user({ database: 'sales', usage: 'usage:db' }) }],
    ['n', { who: 'a user, for any database', ...user({ usage: 'usage:db' }) }],
    ['o', { who: 'a user, for a database that is not there', ...user({ database: 'other', usage: 'usage:db' }) }],
    [
      'l',
      { who: 'a user, for the database of a leaf', ...user({ database: 'sales', routeToCluster: 'leaf.example.com' }) },
    ],
    ['p', { who: 'a user, pinned to another address', ...user({ database: 'sales', pinnedIp: '192.0.2.1' }) }],
    ['e', { who: 'a user whose certificate has ended', ...user({ database: 'sales', expired: true }) }],
    ['f', { who: 'a user, of an authority that a stranger made', ...user({ database: 'sales', ca: stranger }) }],
    ['h', { who: 'a user, signed by the Host CA', ...user({ database: 'sales', ca: hostCa }) }],
    [
      'c',
      {
        who: 'a user, with the certificate of another behind their own',
        cert: `${alice.cert}${mallory.cert}`,
        key: alice.key,
      },
    ],
    ['D', { who: 'a Database Service', ...asHost('Db', 'db-2') }],
    ['P', { who: 'a Proxy', ...asHost('Proxy', 'proxy-2') }],
    ['N', { who: 'a host of role Node', ...asHost('Node', 'node-2') }],
    [
      'F',
      {
        who: 'a Database Service, signed by the User CA',
        ...userCa.issue(['localhost'], {
          subject: [
            { oid: '2.5.4.3', values: [`db-3.${CLUSTER}`] },
            { oid: '2.5.4.10', values: ['Db'] },
          ],
        }),
      },
    ],
  ];
  for (const [letter, shown] of kinds) callers.set(letter, shown);
});
afterAll(async () => {
  await agent.close();
  await peer.close();
});

/** TLS with the certificate, or undefined where there is none to be had. */
async function tls({ cert, key }: Shown, options: ConnectionOptions, below?: Duplex): Promise<TLSSocket | undefined> {
  const place = below ? { socket: below } : { host: '127.0.0.1', port: peer.port };
  const socket = connectTls({ ...place, rejectUnauthorized: false, ...(cert ? { cert, key } : {}), ...options });
  socket.on('error', () => {});
  return await Promise.race([
    once(socket, 'secureConnect').then(() => socket),
    once(socket, 'close').then(() => undefined),
  ]).catch(() => undefined);
}

/** The first bytes that come after `first` was said; empty where the connection ends before. */
async function answer(socket: TLSSocket | undefined, first: string | Buffer): Promise<string> {
  if (!socket) return '';
  socket.write(first);
  const said = await Promise.race([
    once(socket, 'data').then(([chunk]) => (chunk as Buffer).toString('latin1')),
    once(socket, 'close').then(() => ''),
  ]).catch(() => '');
  socket.destroy();
  return said;
}

/** Whether a method of gRPC is run: what it says itself (a number above 0) counts, what is said for it does not. */
async function calls(socket: TLSSocket | undefined, path: string): Promise<boolean> {
  if (!socket) return false;
  const session: ClientHttp2Session = connectHttp2('https://localhost', { createConnection: () => socket });
  session.on('error', () => {});
  const request = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.on('error', () => {});
  let status: unknown;
  const note = (headers: Record<string, unknown>) => (status = headers['grpc-status'] ?? status);
  request.on('response', note).on('trailers', note).resume();
  request.end(Buffer.alloc(5));
  await Promise.race([once(request, 'close'), once(session, 'close')]).catch(() => {});
  session.destroy();
  // 16: unauthenticated.
  return status !== undefined && status !== '16';
}

const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: PROTOCOL_3_0,
  parameters: new Map([['user', 'analyst']]),
});
const isStartup = (said: string) => said === STARTUP.toString('latin1');

/** Door → whether it opens for this one. */
const DOORS: Record<string, (shown: Shown) => Promise<boolean>> = {
  'web, http/1.1': async (shown) =>
    (
      await answer(
        await tls(shown, { ALPNProtocols: ['http/1.1'] }),
        'GET /webapi/ping HTTP/1.1\r\nHost: localhost\r\n\r\n',
      )
    ).startsWith('HTTP/1.1 200'),
  postgres: async (shown) =>
    isStartup(await answer(await tls(shown, { ALPNProtocols: ['teleport-postgres'] }), STARTUP)),
  'postgres, in a connection upgrade': async (shown) => {
    const web = await tls({ who: '' }, {});
    const below = await upgradeConnection(web!, { host: 'localhost', protocol: 'alpn', timeoutMs: 60_000 });
    return isStartup(await answer(await tls(shown, { ALPNProtocols: ['teleport-postgres'] }, below), STARTUP));
  },
  'postgres, by the name of another service': async (shown) =>
    isStartup(await answer(await tls(shown, { ALPNProtocols: ['http/1.1'] }), STARTUP)),
  'transport, its own gRPC': async (shown) =>
    await calls(
      await tls(shown, { ALPNProtocols: ['teleport-proxy-ssh-grpc', 'h2'] }),
      '/teleport.transport.v1.TransportService/GetClusterDetails',
    ),
  'join, its own gRPC': async (shown) =>
    await calls(
      await tls(shown, { ALPNProtocols: ['teleport-proxy-grpc', 'h2'] }),
      '/proto.JoinService/RegisterUsingToken',
    ),
  'Auth behind it (TLS only: Auth decides)': async (shown) =>
    (await tls(shown, { ALPNProtocols: [authAlpn(CLUSTER), 'h2'], servername: HEX })) !== undefined,
  'tunnel of an agent': async (shown) => {
    const hostId = shown.who.includes('Database') ? (shown.who.includes('User CA') ? 'db-3' : 'db-2') : 'node-2';
    const hello = { hello: { hostId, hostname: 'n', version: '18.3.0', databases: [] } };
    return (await answer(await tls(shown, { ALPNProtocols: [TUNNEL_ALPN] }), `${JSON.stringify(hello)}\n`)).includes(
      'ping',
    );
  },
  'tunnel, as another host': async (shown) => {
    const hello = { hello: { hostId: 'db-host', hostname: 'n', version: '18.3.0', databases: [] } };
    return (await answer(await tls(shown, { ALPNProtocols: [TUNNEL_ALPN] }), `${JSON.stringify(hello)}\n`)).includes(
      'ping',
    );
  },
};

test('H10 who gets in by which door', async () => {
  const lines = [...callers].map(([letter, { who }]) => `# ${letter}  ${who}`);
  lines.push('');
  for (const [door, opens] of Object.entries(DOORS)) {
    let letters = '';
    for (const [letter, shown] of callers) if (await opens(shown)) letters += letter;
    lines.push(`${door.padEnd(44)}${letters}`.trimEnd());
  }
  const text = `${lines.join('\n')}\n`;
  if (process.env.GOLDEN) writeFileSync(TABLE, text);
  expect(text).toBe(readFileSync(TABLE, 'utf8'));
});
