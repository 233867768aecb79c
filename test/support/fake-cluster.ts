/**
 * A cluster as `tsh` sees it, small enough for one test file: one TLS port with the web API and Auth's gRPC behind ALPN.
 * It issues real certificates for the keys that a login brings. User `alice`, password `correct`, code `123456`;
 * `keyholder` has a security key instead of the code, `newcomer` nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { Code, ConnectError } from '@connectrpc/connect';
import { authAlpn } from '../../src/api/alpn.js';
import { AuthService } from '../../src/api/gen/authservice_pb.js';
import { PresenceService } from '../../src/api/gen/presence_pb.js';
import { TrustService } from '../../src/api/gen/trust_pb.js';
import { UsersService } from '../../src/api/gen/users_pb.js';
import { createAuthHttp2Server } from '../../src/api/server.js';
import { encodeSubject, newIdentity } from '../../src/identity/identity.js';
import { userPrincipals, userSshCertificate } from '../../src/identity/ssh-cert.js';
import { peekClientHello } from '../../src/net/peek.js';
import { acceptUpgrade } from '../../src/net/websocket.js';
import { generateKey, readPublicKey } from '../../src/pki/keys.js';
import { authorizedKeyLine, readAuthorizedKey } from '../../src/pki/ssh/certificate.js';
import { createCa, issueLeaf } from '../../src/pki/x509.js';
import { createTestCa } from './ca.js';
import { currentUser, databaseCalls, startFakeLeaf } from './fake-leaf.js';
import { type FakeRequests, fakeRequests } from './fake-requests.js';
import { type FakeSso, GITHUB_IDENTITY, ssoCallback, ssoRoutes } from './fake-sso.js';

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
  const webCa = await createTestCa('web');
  const hostCa = await createTestCa(CLUSTER);
  const [caKey, sshCaKey] = await Promise.all([generateKey('ecdsa-p256'), generateKey('ed25519')]);
  const userCa = {
    certPem: createCa({ clusterName: CLUSTER, key: caKey, now: new Date(0), days: 365_00 }).certPem,
    key: caKey,
  };
  const web = await webCa.issue(['localhost', '127.0.0.1']);
  const host = await hostCa.issue(['*.teleport.cluster.local', 'localhost']);
  const webCaFile = join(folder, 'web-ca.pem');
  writeFileSync(webCaFile, webCa.certPem);
  const sshCaLine = `${authorizedKeyLine(sshCaKey)}\n`;
  const base64 = (text: string) => Buffer.from(text).toString('base64');

  const cluster = {
    calls: [],
    logins: [],
    routes: [],
    ssoLogins: [],
    auth: {},
    webCaFile,
    hostCaPem: hostCa.certPem,
  } as unknown as FakeCluster;
  const leaf = await startFakeLeaf(LEAF, cluster.calls);
  cluster.requests = fakeRequests({ now, calls: cluster.calls });

  const issue = (request: {
    user: string;
    ssh: string;
    tls: string;
    ttlMs: number;
    cluster: string;
    database?: { serviceName: string; protocol: string; username: string; database: string };
    requests?: string[];
  }) => {
    const requested = cluster.requests.approved(request.requests ?? []);
    const expires = new Date(Math.floor((now().getTime() + (cluster.lifetimeMs ?? request.ttlMs)) / 1000) * 1000);
    const identity = newIdentity({
      username: request.user,
      groups: ['capture-db', 'access', ...new Set(requested.flatMap(({ spec }) => spec!.roles))],
      activeRequests: requested.map(({ metadata }) => metadata!.name),
      allowedResources: requested.flatMap(({ spec }) =>
        spec!.resourceIds.map(({ cluster, kind, name }) => `/${cluster}/${kind}/${name}`),
      ),
      teleportCluster: CLUSTER,
      routeToCluster: request.cluster,
      ...(request.database?.serviceName ? { routeToDatabase: request.database } : {}),
      expires,
      principals: userPrincipals([]),
      traits: { db_users: ['reader'], logins: null },
      loginIp: '127.0.0.1',
      privateKeyPolicy: 'none',
    });
    const certExtensions = request.user === 'octo' ? GITHUB_IDENTITY : {};
    return {
      ssh: request.ssh
        ? `${userSshCertificate({ identity, publicKey: readAuthorizedKey(request.ssh), caKey: sshCaKey, now: now(), certExtensions })}\n`
        : '',
      tls: issueLeaf({
        ca: userCa,
        publicKey: readPublicKey(request.tls),
        subject: encodeSubject(identity),
        notBefore: new Date(now().getTime() - 60_000),
        notAfter: expires,
      }),
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
      host_signers: [{ domain_name: CLUSTER, checking_keys: [base64(sshCaLine)], tls_certs: [base64(hostCa.certPem)] }],
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
  http.on('upgrade', (request, socket, head) => {
    cluster.calls.push(`UPGRADE ${request.headers['sec-websocket-protocol']}`);
    void acceptUpgrade(request, socket, head).then((tunnel) => inner.emit('connection', tunnel));
  });
  const inner = createServer({ cert: host.cert, key: host.key, ALPNProtocols: ['h2'] }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    grpc.accept(socket, { remoteAddr: '127.0.0.1:1' });
  });
  inner.on('tlsClientError', () => {});
  const sockets = new Set<TLSSocket>();

  const grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes(router) {
      router.service(TrustService, {
        getCertAuthorities() {
          cluster.calls.push('GetCertAuthorities');
          return {
            certAuthoritiesV2: [
              {
                spec: {
                  type: 'host',
                  clusterName: LEAF,
                  activeKeys: {
                    ssh: [{ publicKey: Buffer.from(sshCaLine) }],
                    tls: [{ cert: Buffer.from(leaf.hostCaPem) }],
                  },
                },
              },
              {
                spec: {
                  type: 'host',
                  clusterName: CLUSTER,
                  activeKeys: {
                    ssh: [{ publicKey: Buffer.from(sshCaLine) }],
                    tls: [{ cert: Buffer.from(hostCa.certPem) }],
                  },
                },
              },
            ],
          };
        },
      });
      router.service(PresenceService, {
        listRemoteClusters({ pageToken }) {
          cluster.calls.push('ListRemoteClusters');
          if (pageToken === '') {
            const remote = {
              metadata: { name: LEAF, labels: { env: 'dev' } },
              status: { connection: cluster.isLeafOnline ? 'online' : 'offline' },
            };
            return { remoteClusters: [remote], nextPageToken: 'more' };
          }
          return { remoteClusters: [] };
        },
      });
      router.service(UsersService, currentUser);
      router.service(AuthService, {
        ...databaseCalls('root-db', cluster.calls),
        ...cluster.requests.handlers,
        getClusterAlerts() {
          cluster.calls.push('GetClusterAlerts');
          return {};
        },
        getHeadlessAuthentication({ id }) {
          if (cluster.headlessState === undefined) throw new ConnectError('context deadline exceeded', Code.Unknown);
          return { user: 'alice', state: cluster.headlessState, clientIpAddress: `192.0.2.1:${id.length}` };
        },
        updateHeadlessAuthenticationState({ state }) {
          cluster.headlessState = state;
          return {};
        },
        generateUserCerts(request) {
          cluster.calls.push('GenerateUserCerts');
          if (request.routeToCluster !== CLUSTER && request.routeToCluster !== LEAF) {
            throw new ConnectError(`remote cluster "${request.routeToCluster}" is not found`, Code.NotFound);
          }
          if (request.routeToDatabase?.serviceName) cluster.routes.push(request.routeToCluster);
          const certs = issue({
            user: request.username,
            ...(request.routeToDatabase ? { database: request.routeToDatabase } : {}),
            ssh: Buffer.from(request.sshPublicKey).toString(),
            tls: Buffer.from(request.tlsPublicKey).toString(),
            ttlMs: Number(request.expires!.seconds) * 1000 - now().getTime(),
            cluster: request.routeToCluster,
            requests: request.accessRequests.filter((id) => !request.dropAccessRequests.includes(id)),
          });
          return { ssh: Buffer.from(certs.ssh), tls: Buffer.from(certs.tls) };
        },
      });
    },
  });

  const server = createServer({
    cert: web.cert,
    key: web.key,
    requestCert: true,
    rejectUnauthorized: false,
    ca: [userCa.certPem],
    SNICallback(name, done) {
      const isHost = name.endsWith('.teleport.cluster.local');
      done(null, isHost ? createSecureContext({ cert: host.cert, key: host.key, ca: [userCa.certPem] }) : undefined);
    },
    ALPNCallback: ({ protocols }) => (protocols[0]?.startsWith('teleport-auth@') ? 'h2' : protocols[0]),
  });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (socket.alpnProtocol === 'h2') {
      grpc.accept(socket, { certificate: socket.getPeerX509Certificate(), remoteAddr: '127.0.0.1:1' });
    } else if (socket.alpnProtocol) socket.destroy();
    else http.emit('connection', socket);
  });
  const front = createTcpServer((connection) => {
    connection.on('error', () => {});
    peekClientHello(connection, { timeoutMs: 10_000 }).then(
      ({ alpn }) => {
        if (!alpn.includes(authAlpn(LEAF))) server.emit('connection', connection);
        else if (cluster.isLeafOnline) leaf.accept(connection);
        else connection.destroy();
      },
      () => connection.destroy(),
    );
  });
  await new Promise<void>((done) => front.listen(0, done));
  cluster.port = (front.address() as AddressInfo).port;
  const balancer = createServer({ cert: web.cert, key: web.key }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    http.emit('connection', socket);
  });
  balancer.on('tlsClientError', () => {});
  await new Promise<void>((done) => balancer.listen(0, done));
  cluster.balancerPort = (balancer.address() as AddressInfo).port;
  cluster[Symbol.asyncDispose] = async () => {
    await grpc.close({ graceMs: 0 });
    for (const socket of sockets) socket.destroy();
    await leaf.close();
    await new Promise<void>((done) => front.close(() => done()));
    await new Promise<void>((done) => balancer.close(() => done()));
    rmSync(folder, { recursive: true, force: true });
  };
  return cluster;
}
