/** A real Proxy for its tests: authorities made on the spot, host and user certificates, and a stub of Auth behind it. */

import { EventEmitter, on } from 'node:events';
import type { Duplex } from 'node:stream';
import { create } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { ALPN, hexName } from '../../src/api/alpn.js';
import { callerKey } from '../../src/api/caller.js';
import { toMessage } from '../../src/api/convert.js';
import { AuthService, CertsSchema, JoinService } from '../../src/api/gen/authservice_pb.js';
import { DatabaseAgent, ProxyGateway } from '../../src/api/gen/internal_pb.js';
import { TrustService } from '../../src/api/gen/trust_pb.js';
import { DatabaseServerV3Schema, type LockV2, type RegisterUsingTokenRequest } from '../../src/api/gen/types_pb.js';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { createAuthHttp2Server } from '../../src/api/server.js';
import { TeleportError } from '../../src/errors.js';
import { silent } from '../../src/log.js';
import { listen } from '../../src/net/listen.js';
import { takeProxyHeader } from '../../src/net/proxy-protocol.js';
import { makeTlsServer } from '../../src/net/tls-server.js';
import { type ProxyOptions, type ProxyService, startProxy } from '../../src/proxy/service.js';
import type { LockTarget } from '../../src/resources/types.js';
import { runTunnel, type TunnelAgent, type TunnelConnection } from '../../src/tunnel/agent.js';
import { createTestCa, type TestCa } from '../support/ca.js';

export const CLUSTER = 'peer.local';
export const HEX = hexName(CLUSTER);
export const TOTP_SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

export interface TestAuthorities {
  hostCa: TestCa;
  userCa: TestCa;
  webCert: { certPem: string; keyPem: string };
  host(role: 'Auth' | 'Proxy' | 'Db' | 'Node', hostId: string, more?: { isBound?: boolean }): HostIdentity;
  user(attributes?: UserAttributes): { cert: string; key: string };
}

export interface UserAttributes {
  name?: string;
  database?: string;
  usage?: string;
  pinnedIp?: string;
  routeToCluster?: string;
  ca?: TestCa;
  expired?: boolean;
}

export function makeAuthorities(): TestAuthorities {
  const [hostCa, userCa] = [createTestCa(CLUSTER), createTestCa(CLUSTER)];
  const web = createTestCa('web').issue(['localhost', '127.0.0.1']);
  return {
    hostCa,
    userCa,
    webCert: { certPem: web.cert, keyPem: web.key },
    host(role, hostId, { isBound } = {}) {
      const { cert, key } = hostCa.issue(
        ['*.teleport.cluster.local', 'teleport.cluster.local', 'localhost', '127.0.0.1'],
        {
          subject: [
            { oid: '2.5.4.3', values: [`${hostId}.${CLUSTER}`] },
            { oid: '2.5.4.10', values: [role] },
            ...(isBound ? [{ oid: '2.5.4.17', values: ['{"teleshift.dev/bound":["yes"]}'] }] : []),
          ],
        },
      );
      const own = { certPem: cert, keyPem: key, hostCaPems: [hostCa.certPem] };
      return { hostId, role, nodename: 'node', clusterName: CLUSTER, ...own };
    },
    user({ name = 'alice', database, usage, pinnedIp, routeToCluster, ca = userCa, expired } = {}) {
      const optional = (oid: string, value: string | undefined) =>
        value === undefined ? [] : [{ oid, values: [value] }];
      return ca.issue([], {
        subject: [
          { oid: '2.5.4.3', values: [name] },
          { oid: '2.5.4.10', values: ['access'] },
          ...optional('2.5.4.11', usage),
          ...optional('2.5.4.9', routeToCluster),
          ...optional('1.3.9999.2.1', database),
          ...optional('1.3.9999.2.15', pinnedIp),
        ],
        ...(expired ? { to: new Date(Date.now() - 60_000) } : {}),
      });
    },
  };
}

export interface StubAuth {
  port: number;
  /** Addresses that PROXY headers named. */
  clients: string[];
  joins: RegisterUsingTokenRequest[];
  calls: Record<string, unknown>[];
  /** Hosts whose offers Auth has taken, by database; and how often it was asked. */
  offers: { database: string; hostId: string }[];
  lists: string[];
  settings: { secondFactors: number[]; messageOfTheDay: string };
  /** Of the one link: what was done with it, and the second factor that it asks for. */
  opened: ('looked' | 'new secret')[];
  link: { secondFactor: string };
  /** Until then no login is answered. */
  held: Promise<void>;
  /** Say to everybody that these are the locks. */
  lock(...targets: LockTarget[]): void;
  /** The same of a user who is gone. */
  remove(user: string): void;
  /** Say that an authority of `authorities` is another one now. */
  rotated(): void;
  close(): Promise<void>;
}

/** Answers what the Proxy asks of Auth; TLS with ALPN `h2`, a PROXY header in front when there is one. */
export async function startStubAuth(
  authorities: TestAuthorities,
  { maxStreams }: { maxStreams?: number } = {},
): Promise<StubAuth> {
  const stub: Omit<StubAuth, 'port' | 'close'> = {
    clients: [],
    joins: [],
    calls: [],
    offers: [],
    lists: [],
    settings: { secondFactors: [1], messageOfTheDay: '' },
    opened: [],
    link: { secondFactor: 'otp' },
    held: Promise.resolve(),
    lock(...targets) {
      locks = targets.map((target) =>
        toMessage('lock', { kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target, message: 'out' } }),
      );
      changes.emit('rights', { locks });
    },
    remove(user) {
      gone.add(user);
      changes.emit('rights', { sameLocks: true, users: [{ name: user, isGone: true }] });
    },
    rotated: () => void changes.emit('authorities'),
  };
  const gone = new Set<string>();
  const changes = new EventEmitter().setMaxListeners(0);
  let locks: LockV2[] = [];
  const routes = (router: ConnectRouter): void => {
    router.service(TrustService, {
      getCertAuthorities: ({ type }) => ({
        certAuthoritiesV2: [
          {
            spec: {
              type,
              clusterName: CLUSTER,
              activeKeys: {
                tls: [{ cert: Buffer.from((type === 'host' ? authorities.hostCa : authorities.userCa).certPem) }],
              },
            },
          },
        ],
      }),
    });
    router.service(AuthService, {
      listResources: ({ predicateExpression }) => {
        stub.lists.push(predicateExpression);
        const found = stub.offers.filter(({ database }) => predicateExpression === `name == "${database}"`);
        return {
          resources: found.map(({ hostId }) => ({
            resource: { case: 'databaseServer' as const, value: create(DatabaseServerV3Schema, { spec: { hostId } }) },
          })),
        };
      },
      ping: (_, context) => ({ clusterName: CLUSTER, remoteAddr: context.values.get(callerKey).remoteAddr }),
      getClusterNetworkingConfig: () => ({ spec: { proxyListenerMode: 1 } }),
      getAuthPreference: () => ({
        spec: { type: 'local', defaultSessionTtl: 43_200_000_000_000n, signatureAlgorithmSuite: 2, ...stub.settings },
      }),
    });
    router.service(JoinService, {
      registerUsingToken: (request) => {
        stub.joins.push(request);
        if (request.token !== 'good') throw new TeleportError('AccessDenied', 'the token is not valid');
        return create(CertsSchema, {
          ssh: Buffer.from('ssh'),
          tls: Buffer.from('tls'),
          tlsCaCerts: [Buffer.from('ca')],
        });
      },
    });
    router.service(DatabaseAgent, {
      async *watchLocks(_, { signal }) {
        const later = on(changes, 'rights', { signal }); // before it is asked for, or what is said meanwhile is lost
        yield { first: true, whole: true, locks };
        for await (const [said] of later) yield said;
      },
      async *watchAuthorities(_, { signal }) {
        const later = on(changes, 'authorities', { signal });
        yield {};
        for await (const _change of later) yield {};
      },
      getSessionAccess: ({ user }) => ({ userExists: !gone.has(user) }),
    });
    router.service(ProxyGateway, {
      loginBegin: async ({ user, password, remoteAddr }) => {
        stub.calls.push({ user, remoteAddr });
        await stub.held;
        if (user !== 'alice') throw new TeleportError('NotFound', 'user not found');
        if (password !== 'right') throw new TeleportError('AccessDenied', 'wrong password');
        return { totpChallenge: true };
      },
      loginFinish: (request) => {
        stub.calls.push({ ...request });
        if (request.totpCode !== '123456') {
          throw new TeleportError('AccessDenied', 'invalid username, password or second factor');
        }
        return {
          username: request.user,
          sshCert: request.sshPublicKey.length > 0 ? Buffer.from('ssh cert\n') : Buffer.alloc(0),
          tlsCert: Buffer.from('tls cert\n'),
          hostSigners: [{ domainName: CLUSTER, checkingKeys: [Buffer.from('key\n')], tlsCerts: [Buffer.from('ca\n')] }],
        };
      },
      getUserToken: ({ token, lookOnly }) => {
        if (token !== 'invite-token') throw new TeleportError('AccessDenied', 'bad or expired token');
        const opened = { token, user: 'alice', usage: 'invite', ...stub.link };
        stub.opened.push(lookOnly ? 'looked' : 'new secret');
        if (lookOnly) return opened;
        const otpauthUrl = `otpauth://totp/${CLUSTER}:alice@localhost?algorithm=SHA1&digits=6&issuer=${CLUSTER}&period=30&secret=${TOTP_SECRET}`;
        return { ...opened, otpauthUrl };
      },
      changeUserPassword: (request) => {
        stub.calls.push({ ...request });
        if (request.password.length < 12) {
          throw new TeleportError('BadParameter', 'password is too short, min length is 12');
        }
        if (request.totpCode === '000000') throw new TeleportError('AccessDenied', 'invalid one time token');
        return {};
      },
      registerProxy: (request) => {
        stub.calls.push({ ...request });
        return {};
      },
    });
  };
  const grpc = createAuthHttp2Server({
    routes,
    version: '18.3.0',
    ...(maxStreams === undefined ? {} : { maxStreams }),
  });
  const { certPem, keyPem } = authorities.host('Auth', 'auth-host');
  const addresses = new Map<string, string>();
  const tls = makeTlsServer({
    identity: { cert: certPem, key: keyPem, ca: [authorities.hostCa.certPem, authorities.userCa.certPem] },
    alpn: [ALPN.h2],
    requestCert: true,
    onSecure: (socket) => grpc.accept(socket, { remoteAddr: addresses.get(`${socket.remotePort}`) ?? '' }),
  });
  const listener = await listen({
    onConnection: async (socket) => {
      const source = (await takeProxyHeader(socket, { timeoutMs: 60_000 }))?.source;
      if (source) stub.clients.push(source.address);
      addresses.set(`${socket.remotePort}`, source ? `${source.address}:${source.port}` : '');
      tls.accept(socket);
    },
  });
  return Object.assign(stub, {
    port: listener.port,
    async close() {
      await grpc.close({ graceMs: 0 });
      tls.close();
      await listener.close();
    },
  });
}

export interface TestProxy {
  authorities: TestAuthorities;
  auth: StubAuth;
  proxy: ProxyService;
  port: number;
  close(): Promise<void>;
}

/** @param atAuth.maxStreams  calls at a time on one connection to Auth */
export async function startTestProxy(
  options: Partial<ProxyOptions> = {},
  atAuth: { maxStreams?: number } = {},
): Promise<TestProxy> {
  const authorities = makeAuthorities();
  const auth = await startStubAuth(authorities, atAuth);
  const proxy = await startProxy({
    identity: authorities.host('Proxy', 'proxy-host'),
    auth: { host: '127.0.0.1', port: auth.port },
    listen: { host: '127.0.0.1', port: 0 },
    publicAddr: ['localhost:47080'],
    webCert: authorities.webCert,
    clusterName: CLUSTER,
    version: '18.3.0',
    log: silent,
    settingsTtlMs: 0,
    ...options,
  });
  return {
    authorities,
    auth,
    proxy,
    port: proxy.address.port,
    async close() {
      await proxy.close({ drainMs: 0 });
      await auth.close();
    },
  };
}

/** An agent of this Proxy that offers the database `sales`, once the Proxy has heard of it. */
export async function startTestAgent(
  { port, authorities, proxy }: TestProxy,
  onConnection: (stream: Duplex, connection: TunnelConnection) => void,
): Promise<TunnelAgent> {
  const agent = runTunnel({
    proxies: [{ host: '127.0.0.1', port }],
    identity: authorities.host('Db', 'db-host'),
    hello: () => ({
      hostId: 'db-host',
      hostname: 'n',
      version: '18.3.0',
      databases: [{ name: 'sales', health: 'healthy' }],
    }),
    onConnection,
    log: silent,
  });
  while (proxy.agents().length === 0) await proxy.agentsChanged();
  return agent;
}
