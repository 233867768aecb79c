/**
 * A cluster as `tsh` sees it, small enough for one test file: one TLS port with the web API and Auth's gRPC behind ALPN.
 * It issues real certificates for the keys that a login brings. User `alice`, password `correct`, code `123456`;
 * `keyholder` has a security key instead of the code, `newcomer` nothing.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { createTestCa, hostOf } from '../ca.js';
import { grpcServer, method, Refusal, STATUS } from './grpc.js';
import { databaseMethods, fakeLeaf } from './leaf.js';
import { SERVICE, TABLES } from './messages.js';
import { type Person, principals, sshExtensions, subjectOf } from './person.js';
import { type FakeRequests, fakeRequests } from './requests.js';
import { createSshCa } from './ssh-ca.js';
import { type FakeSso, GITHUB_IDENTITY, ssoCallback, ssoRoutes } from './sso.js';

export const CLUSTER = 'peer.local';

export interface FakeCluster extends FakeSso, AsyncDisposable {
  port: number;
  /** A balancer in front that ends TLS, knows no ALPN and passes HTTP and WebSockets on. */
  balancerPort: number;
  /** The ping announces the balancer. */
  isBalanced?: boolean;
  /** PEM file with the authority of the web certificate, for SSL_CERT_FILE. */
  webCaFile: string;
  /** Authority of the host's certificates, PEM. */
  hostCaPem: string;
  /** `METHOD /path` of the web API and `Method` of gRPC, in order. */
  calls: string[];
  /** Bodies of `finish`. */
  logins: Record<string, unknown>[];
  /** Length of certificates, in ms; default: what was asked. */
  lifetimeMs?: number;
  requests: FakeRequests;
  /** Changes to the ping's `auth`. */
  auth: Record<string, unknown>;
  /** `leaf.local` answers; otherwise its connections are closed, as those of a leaf without a tunnel. */
  isLeafOnline?: boolean;
  /** Until then a connection to `leaf.local` is taken, and nobody says anything on it. */
  leafHeld: Promise<void>;
  /** The cluster that each certificate for a database is for. */
  routes: string[];
  /** Where the identity provider and the Proxy send the browser in the end of the last single sign-on login. */
  ssoCallback(): string;
  /** The headless login that waits, by its state: 1 pending, 2 denied, 3 approved. */
  headlessState?: number;
}

const LEAF = 'leaf.local';

export async function startFakeCluster(options: { now: () => Date }): Promise<FakeCluster> {
  const { now } = options;
  const folder = mkdtempSync(join(tmpdir(), 'fake-cluster-'));
  const webCa = createTestCa('web');
  const hostCa = createTestCa(CLUSTER);
  const userCa = createTestCa(CLUSTER, { from: new Date(0), to: new Date('2069-12-31') });
  const sshCa = createSshCa();
  const web = webCa.issue(['localhost', '127.0.0.1']);
  const host = hostCa.issue(['*.teleport.cluster.local', 'localhost'], { subject: hostOf('Proxy') });
  const webCaFile = join(folder, 'web-ca.pem');
  writeFileSync(webCaFile, webCa.certPem);
  const base64 = (text: string) => Buffer.from(text).toString('base64');

  const cluster = {
    calls: [],
    logins: [],
    routes: [],
    ssoLogins: [],
    auth: {},
    leafHeld: Promise.resolve(),
    webCaFile,
    hostCaPem: hostCa.certPem,
  } as unknown as FakeCluster;
  const leaf = fakeLeaf(LEAF, cluster.calls);
  cluster.requests = fakeRequests({ now, calls: cluster.calls });

  const issue = (request: {
    user: string;
    ssh: string;
    tls: string;
    ttlMs: number;
    cluster: string;
    database?: Person['database'];
    requests?: string[];
  }) => {
    const requested = cluster.requests.approved(request.requests ?? []);
    const resources = requested.flatMap(({ spec }) =>
      (spec!.resourceIds ?? []).map(({ cluster, kind, name }) => `/${cluster}/${kind}/${name}`),
    );
    const person: Person = {
      name: request.user,
      roles: ['capture-db', 'access', ...new Set(requested.flatMap(({ spec }) => spec!.roles ?? []))],
      cluster: CLUSTER,
      route: request.cluster,
      database: request.database?.serviceName ? request.database : undefined,
      requests: requested.map(({ metadata }) => metadata!.name!),
      resources: resources.length > 0 ? resources : undefined,
    };
    const logins = principals();
    const from = new Date(now().getTime() - 60_000);
    const to = new Date(Math.floor((now().getTime() + (cluster.lifetimeMs ?? request.ttlMs)) / 1000) * 1000);
    const extensions = { ...sshExtensions(person), ...(request.user === 'octo' ? GITHUB_IDENTITY : {}) };
    return {
      ssh: request.ssh ? sshCa.sign(request.ssh, { keyId: person.name, principals: logins, from, to, extensions }) : '',
      tls: userCa.sign(request.tls, { subject: subjectOf(person, logins), from, to }),
    };
  };

  const answers: Record<string, (body: Record<string, unknown>) => [number, unknown]> = {
    'GET /webapi/ping': () => [200, ping()],
    'GET /webapi/ping/local': () => [200, ping()],
    'GET /webapi/ping/headless': () => [200, ping()],
    'GET /webapi/ping/acme': () => [200, ping()],
    'GET /webapi/ping/gone': () => [400, { error: { message: 'invalid connector name: gone; valid options: acme' } }],
    'GET /webapi/motd': () => [200, { Text: 'Be kind.' }],
    'POST /webapi/mfa/login/begin': ({ user, pass }) => {
      if (pass === 'correct' && user === 'alice') {
        return [200, { webauthn_challenge: null, totp_challenge: true, sso_challenge: null }];
      }
      if (pass === 'correct' && user === 'keyholder') {
        return [200, { webauthn_challenge: { publicKey: { challenge: 'AAAA' } }, totp_challenge: false }];
      }
      if (pass === 'correct' && user === 'newcomer') return [200, { webauthn_challenge: null, totp_challenge: false }];
      return [403, { error: { message: 'invalid credentials' } }];
    },
    'POST /webapi/mfa/login/finish': (body) => {
      if (body.user === 'newcomer') return [403, { error: { message: 'missing second factor' } }];
      if (body.totp_code !== '123456') {
        return [403, { error: { message: 'invalid username, password or second factor' } }];
      }
      cluster.logins.push(body);
      return [200, loginAnswer('alice', body, body.ttl)];
    },
    ...ssoRoutes(cluster),
  };
  const loginAnswer = (user: string, body: Record<string, unknown>, ttl: unknown) => {
    const text = (key: string) => Buffer.from(String(body[key]), 'base64').toString();
    const certs = issue({
      user,
      ssh: text('ssh_pub_key'),
      tls: text('tls_pub_key'),
      ttlMs: Number(ttl) / 1e6,
      cluster: String(body.RouteToCluster) || CLUSTER,
    });
    return {
      username: user,
      cert: base64(certs.ssh),
      tls_cert: base64(certs.tls),
      host_signers: [
        { domain_name: CLUSTER, checking_keys: [base64(sshCa.line)], tls_certs: [base64(hostCa.certPem)] },
      ],
    };
  };
  cluster.ssoCallback = () => ssoCallback(cluster, loginAnswer);
  const ping = () => ({
    auth: {
      type: 'local',
      second_factor: 'otp',
      local: { name: '' },
      default_session_ttl: '12h0m0s',
      signature_algorithm_suite: 'balanced-v1',
      ...cluster.auth,
    },
    proxy: {
      kube: { enabled: true },
      ssh: {
        listen_addr: `127.0.0.1:${cluster.port}`,
        web_listen_addr: `127.0.0.1:${cluster.port}`,
        public_addr: `localhost:${cluster.isBalanced ? cluster.balancerPort : cluster.port}`,
        dial_timeout: 30_000_000_000,
      },
      db: {
        postgres_listen_addr: `127.0.0.1:${cluster.port}`,
        mysql_listen_addr: `127.0.0.1:${cluster.port}`,
      },
      tls_routing_enabled: true,
    },
    server_version: '18.3.0',
    cluster_name: CLUSTER,
  });

  const http = createHttpServer((request: IncomingMessage, response: ServerResponse) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const call = `${request.method} ${request.url}`;
      cluster.calls.push(call);
      const body = chunks.length > 0 ? (JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>) : {};
      const [status, value] = answers[call]?.(body) ?? [404, { error: { message: 'path not found' } }];
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    })();
  });

  /** Connection upgrade: what comes inside is the host's TLS again, as behind a load balancer. */
  const upgrades = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    cluster.calls.push(`UPGRADE ${request.headers['sec-websocket-protocol']}`);
    upgrades.handleUpgrade(request, socket, head, (tunnel) => {
      inner.emit(
        'connection',
        createWebSocketStream(tunnel).on('error', () => {}),
      );
    });
  });
  const inner = createServer({ ...host, ALPNProtocols: ['h2'] }, (socket) => grpc.accept(kept(socket)));
  inner.on('tlsClientError', () => {});
  const sockets = new Set<Duplex>();
  const kept = (socket: TLSSocket) => {
    sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };

  const { auth, presence, trust } = SERVICE;
  const authorityOf = (clusterName: string, hostCaPem: string) => ({
    spec: {
      type: 'host',
      clusterName,
      activeKeys: { ssh: [{ publicKey: Buffer.from(sshCa.line) }], tls: [{ cert: Buffer.from(hostCaPem) }] },
    },
  });
  const grpc = grpcServer({
    ...databaseMethods('root-db', cluster.calls),
    ...cluster.requests.methods,
    [`${trust}GetCertAuthorities`]: method(TABLES.empty, TABLES.authorities, () => {
      cluster.calls.push('GetCertAuthorities');
      return { authorities: [authorityOf(LEAF, leaf.hostCaPem), authorityOf(CLUSTER, hostCa.certPem)] };
    }),
    [`${presence}ListRemoteClusters`]: method(TABLES.page, TABLES.remoteClusters, ({ pageToken }) => {
      cluster.calls.push('ListRemoteClusters');
      if (pageToken) return {};
      const metadata = { name: LEAF, labels: [{ key: 'env', value: 'dev' }] };
      const status = { connection: cluster.isLeafOnline ? 'online' : 'offline' };
      return { remoteClusters: [{ metadata, status }], nextPageToken: 'more' };
    }),
    [`${auth}GetClusterAlerts`]: method(TABLES.empty, TABLES.empty, () => {
      cluster.calls.push('GetClusterAlerts');
      return {};
    }),
    [`${auth}GetHeadlessAuthentication`]: method(TABLES.headlessId, TABLES.headless, ({ id = '' }) => {
      if (cluster.headlessState === undefined) throw new Refusal(STATUS.unknown, 'context deadline exceeded');
      return { user: 'alice', state: cluster.headlessState, clientIpAddress: `192.0.2.1:${id.length}` };
    }),
    [`${auth}UpdateHeadlessAuthenticationState`]: method(TABLES.headlessId, TABLES.empty, ({ state }) => {
      cluster.headlessState = state!;
      return {};
    }),
    [`${auth}GenerateUserCerts`]: method(TABLES.certsRequest, TABLES.certs, (request) => {
      const { routeToCluster = '', routeToDatabase, accessRequests = [], dropAccessRequests = [] } = request;
      cluster.calls.push('GenerateUserCerts');
      if (routeToCluster !== CLUSTER && routeToCluster !== LEAF) {
        throw new Refusal(STATUS.notFound, `remote cluster "${routeToCluster}" is not found`);
      }
      if (routeToDatabase?.serviceName) cluster.routes.push(routeToCluster);
      const certs = issue({
        user: request.username!,
        database: routeToDatabase,
        ssh: request.sshPublicKey?.toString() ?? '',
        tls: request.tlsPublicKey!.toString(),
        ttlMs: request.expires!.seconds! * 1000 - now().getTime(),
        cluster: routeToCluster,
        requests: accessRequests.filter((id) => !dropAccessRequests.includes(id)),
      });
      return { ssh: Buffer.from(certs.ssh), tls: Buffer.from(certs.tls) };
    }),
  });

  const hostContext = createSecureContext({ ...host, ca: [userCa.certPem] });
  const leafProtocol = `teleport-auth@${Buffer.from(LEAF).toString('hex')}.`;
  const server = createServer({
    cert: web.cert,
    key: web.key,
    requestCert: true,
    rejectUnauthorized: false,
    ca: [userCa.certPem],
    SNICallback(name, done) {
      done(null, name.endsWith('.teleport.cluster.local') ? hostContext : undefined);
    },
    ALPNCallback: ({ protocols }) => (protocols[0]?.startsWith('teleport-auth@') ? 'h2' : protocols[0]),
  });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => {
    kept(socket);
    if (socket.alpnProtocol === 'h2') grpc.accept(socket);
    else if (socket.alpnProtocol) socket.destroy();
    else http.emit('connection', socket);
  });
  const front = createTcpServer((connection) => {
    clientHello(connection.on('error', () => {})).then(
      (hello) => {
        if (!hello.includes(leafProtocol)) server.emit('connection', connection);
        else if (cluster.isLeafOnline) void cluster.leafHeld.then(() => leaf.accept(connection));
        else connection.destroy();
      },
      () => connection.destroy(),
    );
  });
  await new Promise<void>((done) => front.listen(0, done));
  cluster.port = (front.address() as AddressInfo).port;
  const balancer = createServer({ cert: web.cert, key: web.key }, (socket) => {
    http.emit('connection', kept(socket));
  });
  balancer.on('tlsClientError', () => {});
  await new Promise<void>((done) => balancer.listen(0, done));
  cluster.balancerPort = (balancer.address() as AddressInfo).port;
  cluster[Symbol.asyncDispose] = async () => {
    grpc.close();
    leaf.close();
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((done) => front.close(() => done()));
    await new Promise<void>((done) => balancer.close(() => done()));
    rmSync(folder, { recursive: true, force: true });
  };
  return cluster;
}

/** The first TLS record of a connection, which keeps it for its reader. */
async function clientHello(socket: Socket): Promise<Buffer> {
  let seen = Buffer.alloc(0);
  while (seen.length < 5 || seen.length < 5 + seen.readUInt16BE(3)) {
    await once(socket, 'readable');
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) break; // it ended
    seen = Buffer.concat([seen, chunk]);
  }
  socket.unshift(seen);
  return seen;
}
