/**
 * The port of the Auth Service: TLS with a host certificate of role Admin, behind it gRPC for everybody (`h2`) and two
 * small lists over HTTP/1.1 for administrators' tools. Client certificates are optional; one that is shown must be exactly
 * one leaf, unrestricted, of the authority that its kind of holder belongs to, else the connection is closed without a
 * word, as Teleport does. Source: auth-grpc-and-routing.md 2.2 and 5.2, certificates.md 2.2.
 */
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ConnectRouter } from '@connectrpc/connect';
import { ALPN } from '../api/alpn.js';
import type { Caller } from '../api/caller.js';
import { AuthService, JoinService } from '../api/gen/authservice_pb.js';
import { ClusterConfigService } from '../api/gen/clusterconfig_pb.js';
import {
  AccessReader,
  AuditReader,
  DatabaseAgent,
  Discovery,
  ProxyGateway,
  TrustLink,
} from '../api/gen/internal_pb.js';
import { PresenceService } from '../api/gen/presence_pb.js';
import { TrustService } from '../api/gen/trust_pb.js';
import { UsersService } from '../api/gen/users_pb.js';
import { knownAs } from '../api/known-as.js';
import { createAuthHttp2Server } from '../api/server.js';
import { messageOf, TeleportError } from '../errors.js';
import { hostOf, joinHostPort } from '../host-port.js';
import { type Bearer, bearerOf, checkUsage } from '../identity/bearer.js';
import { hostIdIn } from '../identity/host.js';
import { isLoopback } from '../ip.js';
import { addressOfCluster, Crowd, type CrowdOptions, type Guest, type Known } from '../net/crowd.js';
import { hangUp } from '../net/hang-up.js';
import { type Listener, listen } from '../net/listen.js';
import { endsOf, makeTlsServer, presentedCertificate, type TlsIdentity } from '../net/tls-server.js';
import { clientAddress } from './client-address.js';
import { accessReaderHandlers } from './grpc/access-reader.js';
import { auditReaderHandlers } from './grpc/audit-reader.js';
import { authHandlers } from './grpc/auth-service.js';
import { joinHandlers } from './grpc/certs.js';
import { clusterConfigHandlers } from './grpc/cluster-config.js';
import { databaseAgentHandlers } from './grpc/database-agent.js';
import { discoveryHandlers } from './grpc/discovery.js';
import { presenceHandlers } from './grpc/presence.js';
import { proxyGatewayHandlers } from './grpc/proxy-gateway.js';
import { trustHandlers } from './grpc/trust.js';
import { trustLinkHandlers } from './grpc/trust-link.js';
import { usersHandlers } from './grpc/users-service.js';
import { issueHostIdentity } from './host-certs.js';
import { OpenConnections } from './open-connections.js';
import { registeredProxies } from './proxies.js';
import type { Rotator } from './rotator.js';
import type { AuthState } from './state.js';
import { believed, refuseLocked, whoCalls } from './who.js';

const FIRST_BYTES_TIMEOUT_MS = 15_000;
const REST_IDLE_TIMEOUT_MS = 60_000;

export interface ListenAt {
  host: string;
  port: number;
  /** HTTP/1.1 connections without a word for so long are cut. Default 60 s. */
  idleTimeoutMs?: number;
  /** How many connections each class may have. */
  crowd?: Omit<CrowdOptions, 'log'> | undefined;
}

export interface AuthListener {
  address: { host: string; port: number };
  /** Show a new certificate from the next handshake on. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

/** @throws TeleportError `AlreadyExists` when the port is taken */
export async function openListener(state: AuthState, rotator: Rotator, at: ListenAt): Promise<AuthListener> {
  const { log } = state;
  let own = await ownIdentity(state);
  const grpc = createAuthHttp2Server({
    version: state.version,
    routes: (router) => routes(state, rotator, router),
    log,
  });
  const callers = new WeakMap<object, Caller>();
  const rest = restServer(state, at, (socket) => callers.get(socket) ?? { remoteAddr: '' });
  const arrivals = new WeakMap<object, { remoteAddr: string; guest: Guest; via: string | undefined }>();
  const crowd = new Crowd({ log, ...at.crowd });
  const connections = new OpenConnections(state);

  const identity = () => ({ ...own, ca: namedAuthorities(state) });
  const tls = makeTlsServer({
    identity: identity(),
    requestCert: true,
    chooseAlpn: (offered) => [ALPN.h2, ALPN.http1].find((name) => offered.includes(name)),
    onSecure: (socket) => {
      try {
        const arrival = arrivals.get(connectionOf(socket));
        if (arrival === undefined) throw new TeleportError('Protocol', 'a connection that nobody has accepted');
        const { remoteAddr, guest, via } = arrival;
        const bearer = believe(state, socket, via);
        const admit = bearer && (() => guest.become(knownHere(bearer, socket)));
        const caller: Caller = { bearer, remoteAddr, busy: () => guest.busy(), admit };
        if (socket.alpnProtocol === ALPN.h2) connections.keep(caller, socket, grpc.accept(socket, caller));
        else {
          connections.keep(caller, socket, () => hangUp(socket));
          callers.set(socket, caller);
          rest.emit('connection', socket);
        }
        // Who is out, or one too many, stays a stranger: a call hears why, in a stranger's time.
        if (bearer) whoCalls(state, caller).catch((error: unknown) => log.debug('Connection not admitted', { error }));
      } catch (error) {
        log.warn('Connection refused', { addr: socket.remoteAddress, error: messageOf(error) });
        socket.destroy();
      }
    },
    onError: (error) => log.debug('TLS handshake failed', { error }),
  });

  const rotations = state.authorities.onChange(() => tls.setIdentity(identity()));

  const accepted = new Map<string, object>();
  const connectionOf = (socket: TLSSocket): object => accepted.get(endsOf(socket) ?? '') ?? socket;

  const listener: Listener = await listen({
    ...at,
    onConnection: async (socket: Socket) => {
      const guest = crowd.arrive(socket, socket.remoteAddress ?? '');
      const ends = endsOf(socket);
      if (guest === undefined || ends === undefined) return void socket.destroy();
      accepted.set(ends, socket);
      socket.once('close', () => accepted.delete(ends));
      const { remoteAddr, via } = await originOf(state, socket);
      // A root can say any address: what comes through it counts as its own.
      guest.from(via === undefined ? hostOf(remoteAddr) : addressOfCluster(via));
      arrivals.set(socket, { remoteAddr, guest, via });
      tls.accept(socket);
    },
    onError: (error) => log.debug('Connection ended', { error }),
  });
  return {
    address: { host: at.host, port: listener.port },
    async renew() {
      own = await ownIdentity(state);
      tls.setIdentity(identity());
    },
    async close() {
      rotations[Symbol.dispose]();
      const stopped = listener.close({ drainMs: 2_000 });
      await grpc.close({ graceMs: 500 });
      rest.closeAllConnections();
      tls.close();
      await Promise.all([stopped, connections.close()]);
    },
  };
}

/** Whose certificates a client may show: it looks for one of them. */
function namedAuthorities(state: AuthState): string[] {
  const { hostCas, userCas, remotes } = believed(state);
  return [...hostCas, ...userCas, ...remotes.flatMap((remote) => [...remote.hostCas, ...remote.userCas])];
}

/** The administrator of this host has room of his own. */
function knownHere(bearer: Bearer, { remoteAddress = '' }: TLSSocket): Known {
  const isLocal = bearer.role === 'Admin' && bearer.remote === undefined && isLoopback(remoteAddress);
  return isLocal ? { kind: 'local' } : knownAs(bearer);
}

/** HTTP/1.1 for connections that are given to it. */
function restServer(state: AuthState, { idleTimeoutMs }: ListenAt, callerOf: (socket: object) => Caller): HttpServer {
  const server = createServer((request, response) => {
    void answer(state, callerOf(request.socket), request, response);
  });
  server.on('clientError', (_, socket) => socket.destroy());
  // A server that never listens does not watch its own deadlines; the one of the socket works.
  server.timeout = idleTimeoutMs ?? REST_IDLE_TIMEOUT_MS;
  return server;
}

/** What this port shows. */
async function ownIdentity(state: AuthState): Promise<TlsIdentity> {
  const { clusterName, nodename } = state;
  const own = await issueHostIdentity(state, {
    role: 'Admin',
    nodename,
    additionalPrincipals: [nodename, `${nodename}.${clusterName}`],
    dnsNames: [],
  });
  return { cert: own.certPem, key: own.keyPem };
}

/** Where the other end is, and the root cluster that says so. */
async function originOf(state: AuthState, socket: Socket): Promise<{ remoteAddr: string; via: string | undefined }> {
  const { clusterName, now } = state;
  const { hostCas } = believed(state);
  const options = { timeoutMs: FIRST_BYTES_TIMEOUT_MS, hostCas, clusterName, now: now() };
  const { address, statedBy, via } = await clientAddress(socket, options);
  if (statedBy) {
    const { identity } = statedBy;
    await refuseLocked(state, { identity, serverId: hostIdIn(identity.username, clusterName) });
  }
  return { remoteAddr: address, via };
}

/**
 * Who showed a certificate, if one was shown. Through a root come its people only: what it says of where others are is not
 * believed, so nobody else can be let in by it.
 *
 * @throws TeleportError `AccessDenied` for one that is not accepted here
 */
function believe(state: AuthState, socket: TLSSocket, via: string | undefined): Bearer | undefined {
  const shown = presentedCertificate(socket);
  const bearer = shown && verified(state, shown);
  if (via === undefined || (bearer?.remote === via && bearer.role === undefined)) return bearer;
  throw new TeleportError('AccessDenied', `access denied: through the cluster ${via} come only its own people`);
}

function verified(state: AuthState, shown: Buffer): Bearer {
  const bearer = bearerOf(shown, { ...believed(state), clusterName: state.clusterName, now: state.now() });
  checkUsage(bearer.identity, 'everything');
  return bearer;
}

function routes(state: AuthState, rotator: Rotator, router: ConnectRouter): void {
  // Methods that are left out are answered as unknown (`api/server.ts`), so partial implementations are whole here.
  router.service(AuthService, authHandlers(state));
  router.service(JoinService, joinHandlers(state));
  router.service(TrustService, trustHandlers(state, rotator));
  router.service(UsersService, usersHandlers(state));
  router.service(PresenceService, presenceHandlers(state));
  router.service(ClusterConfigService, clusterConfigHandlers(state));
  router.service(ProxyGateway, proxyGatewayHandlers(state));
  router.service(DatabaseAgent, databaseAgentHandlers(state));
  router.service(Discovery, discoveryHandlers(state));
  router.service(AuditReader, auditReaderHandlers(state));
  router.service(AccessReader, accessReaderHandlers(state));
  router.service(TrustLink, trustLinkHandlers(state));
}

/** `GET /v2/authservers` and `GET /v2/proxies`: what `tctl tokens add` prints commands from. */
async function answer(
  state: AuthState,
  caller: Caller,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body: unknown) => {
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
  try {
    const who = await whoCalls(state, caller);
    if (who.kind === 'nobody' || who.kind === 'leaf') return send(403, { error: { message: 'access denied' } });
    const path = (request.url ?? '').replace(/\?.*$/, '');
    if (request.method === 'GET' && path === '/v2/authservers') return send(200, [authServer(state)]);
    if (request.method === 'GET' && path === '/v2/proxies') return send(200, await proxies(state));
    send(404, { error: { message: 'path not found' } });
  } catch (error) {
    state.log.debug('Request refused', { error });
    send(403, { error: { message: 'access denied' } });
  }
}

function authServer({ hostId, nodename, address }: AuthState) {
  return {
    kind: 'auth_server',
    version: 'v2',
    metadata: { name: hostId, namespace: 'default' },
    spec: { addr: joinHostPort(address.host, address.port), hostname: nodename },
  };
}

async function proxies(state: AuthState) {
  return (await registeredProxies(state)).map(({ hostId, hostname, publicAddr }) => ({
    kind: 'proxy',
    version: 'v2',
    metadata: { name: hostId, namespace: 'default' },
    spec: { addr: publicAddr, hostname, public_addrs: publicAddr === '' ? [] : [publicAddr] },
  }));
}
