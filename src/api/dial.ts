/**
 * The one way to calls on the Auth Service: the TLS connection with the right SNI, ALPN, roots and certificate
 * (auth-grpc-and-routing.md 2.2), through the Proxy's one port or straight to the Auth port, behind a load balancer that
 * ends TLS through a WebSocket (1.6), or through what a Proxy with separate ports carries to Auth (2.3).
 */

import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { TeleportError } from '../errors.js';
import { type HostPort, joinHostPort } from '../host-port.js';
import { answersClients } from '../identity/host.js';
import { needsConnUpgrade } from '../net/conn-upgrade-test.js';
import { type DialTlsOptions, dialTls } from '../net/dial.js';
import { type ConnUpgrade, dialRouted } from '../net/routed.js';
import { organizationsOf } from '../net/tls-server.js';
import { authoritiesByCluster } from '../pki/cluster-name.js';
import { ALPN, authAlpn, hexName } from './alpn.js';
import { type AuthClient, openAuthClient } from './client.js';
import type { AuthRoute } from './host-identity.js';
import { withoutAuthority } from './without-authority.js';

/** What a person's profile and a host's identity have in common. */
export interface AuthCredentials {
  /** The cluster that issued the certificate (the root cluster). */
  clusterName: string;
  /** Host CA certificates, of other clusters as well. PEM. */
  hostCaPems: readonly string[];
  /** One leaf; without it the caller is nobody. PEM. */
  certPem?: string | undefined;
  keyPem?: string | undefined;
}

export interface DialAuthOptions {
  /** Our version, `18.3.0`. */
  version: string;
  /** Product in `user-agent`. Default `tsh`. */
  product?: string;
  /** A leaf cluster instead of the one that issued the certificate. */
  targetCluster?: string;
  /** For dialling. Default 10 000. */
  timeoutMs?: number;
  /** Deadline of each call. Default 30 000. */
  callTimeoutMs?: number;
  /** Do not check any server certificate. */
  insecure?: boolean;
  signal?: AbortSignal;
  /** What errors name as the place. Default: the address that is dialled. */
  address?: string;
  /** Asks for the authorities of now, where the server's is none of the credentials'; dialled once more after it. */
  renewTrust?: () => Promise<void>;
  /** What to throw where dialling has failed. Default: the failure. */
  explain?: (failure: unknown) => unknown;
}

/** What `dialTls` and `tls.connect` need to reach one cluster's Auth Service. */
export interface AuthTlsOptions {
  servername: string;
  alpn: string[];
  ca: string[];
  cert?: string;
  key?: string;
}

const DIAL_TIMEOUT_MS = 10_000;
/** A host name that every host certificate carries, for a cluster whose name is not known yet. */
const ANY_HOST = 'teleport.cluster.local';

/** A client that is dialled by its first call. */
export function openAuth(route: AuthRoute, credentials: AuthCredentials, options: DialAuthOptions): AuthClient {
  return clientOf(() => connectAuth(route, credentials, options), hexName(credentials.clusterName), route, options);
}

/**
 * A client whose first connection stands; later ones are made when needed.
 *
 * @throws TeleportError `ConnectionProblem` when nobody answers or the server's certificate is not the cluster's.
 *   A refusal of our certificate comes with the first call.
 */
export async function dialAuth(
  route: AuthRoute,
  credentials: AuthCredentials,
  options: DialAuthOptions,
): Promise<AuthClient> {
  let first: Duplex | undefined = await connectAuth(route, credentials, options);
  const connect = async () => {
    const ready = first?.destroyed ? undefined : first;
    first = undefined;
    return ready ?? (await connectAuth(route, credentials, options));
  };
  return clientOf(connect, hexName(credentials.clusterName), route, options, () => first?.destroy());
}

/**
 * The Auth port of a cluster whose name is not known yet, for a host that joins: the caller is nobody.
 *
 * @param ca  the only authorities trusted, PEM; undefined: the server is not checked
 */
export function openUnknownAuth(at: HostPort, ca: string[] | undefined, options: DialAuthOptions): AuthClient {
  const tls = { servername: ANY_HOST, alpn: [ALPN.h2], ca: ca ?? [], rejectUnauthorized: ca !== undefined };
  const { timeoutMs = DIAL_TIMEOUT_MS } = options;
  const connect = () => dialServer(() => dialTls({ host: at.host, port: at.port, ...tls, timeoutMs }), at, tls);
  return clientOf(connect, ANY_HOST, at, options);
}

/**
 * What a Proxy takes from hosts that join: only `join` is there, and the caller is nobody. The Proxy is known by the
 * certificate of its web port.
 */
export function openProxyJoin(route: AuthRoute & { kind: 'proxy' }, options: DialAuthOptions): AuthClient {
  const { host, port, vars } = route;
  const tls = { host, port, vars, alpn: [ALPN.proxyGrpc], ...dialling(options) };
  const connect = async () => {
    const isBehind = async () =>
      await needsConnUpgrade({ host, port, rejectUnauthorized: tls.rejectUnauthorized, vars });
    const connUpgrade = route.connUpgrade ?? (await isBehind());
    return await dialRouted(tls, upgradeOf({ ...route, connUpgrade }, options));
  };
  return clientOf(connect, joinHostPort(host, port), route, options);
}

/** The gRPC services of a Proxy with separate ports, at its SSH port. Only `transport` is there. */
export function openProxyTransport(
  at: HostPort & { vars: Record<string, string | undefined> },
  credentials: AuthCredentials,
  options: DialAuthOptions,
): AuthClient {
  const ours = { ...own(credentials), alpn: [ALPN.proxySshGrpc, ALPN.h2], ca: credentials.hostCaPems };
  const tls = { ...at, ...ours, ...dialling(options) };
  return clientOf(() => dialServer(() => dialTls(tls), at, tls), ours.servername, at, options);
}

function clientOf(
  connect: () => Promise<Duplex>,
  authority: string,
  at: HostPort,
  { version, product, callTimeoutMs, address = joinHostPort(at.host, at.port) }: DialAuthOptions,
  abandon?: () => void,
): AuthClient {
  return openAuthClient({
    connect,
    authority,
    version,
    address,
    ...(product === undefined ? {} : { product }),
    ...(callTimeoutMs === undefined ? {} : { defaultTimeoutMs: callTimeoutMs }),
    ...(abandon ? { abandon } : {}),
  });
}

/** SNI, ALPN list, roots and certificate for one cluster. Roots are picked by subject CN, as Teleport picks them. */
export function authTlsOptions(
  credentials: AuthCredentials,
  { targetCluster = credentials.clusterName, insecure }: Pick<DialAuthOptions, 'targetCluster' | 'insecure'> = {},
): AuthTlsOptions {
  return {
    ...own(credentials),
    alpn: [authAlpn(targetCluster), ALPN.h2],
    ca: insecure ? [] : authoritiesOf(targetCluster, credentials.hostCaPems),
  };
}

function own({ clusterName, certPem, keyPem }: AuthCredentials): Omit<AuthTlsOptions, 'alpn' | 'ca'> {
  return {
    servername: hexName(clusterName),
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
  };
}

function dialling({ timeoutMs = DIAL_TIMEOUT_MS, insecure = false, signal }: DialAuthOptions) {
  return { timeoutMs, rejectUnauthorized: !insecure, ...(signal ? { signal } : {}) };
}

/**
 * One TLS connection on which `h2` was negotiated. At a Proxy's port something in front may end TLS; that is looked into
 * when the direct way fails, unless the route says.
 */
async function connectAuth(route: AuthRoute, credentials: AuthCredentials, options: DialAuthOptions): Promise<Duplex> {
  const { signal, explain, renewTrust } = options;
  try {
    return await connectAnyhow(route, credentials, options).catch(async (error: unknown) => {
      if (!renewTrust || !(error instanceof Error && 'certificateProblem' in error)) throw error;
      await renewTrust();
      return await connectAnyhow(route, credentials, options);
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw explain ? explain(error) : error;
  }
}

async function connectAnyhow(
  route: AuthRoute,
  credentials: AuthCredentials,
  options: DialAuthOptions,
): Promise<Duplex> {
  try {
    return await connectOnce(route, credentials, options);
  } catch (error) {
    if (route.kind !== 'proxy' || route.connUpgrade !== undefined) throw error;
    const { host, port, vars } = route;
    const rejectUnauthorized = !options.insecure;
    if (!(await needsConnUpgrade({ host, port, rejectUnauthorized, vars }))) throw error;
    return await connectOnce({ ...route, connUpgrade: true }, credentials, options);
  }
}

async function connectOnce(route: AuthRoute, credentials: AuthCredentials, options: DialAuthOptions): Promise<Duplex> {
  const { host, port } = route;
  const tls = { host, port, ...authTlsOptions(credentials, options), ...dialling(options) };
  const dial = () =>
    route.kind === 'proxy'
      ? dialRouted({ ...tls, vars: route.vars }, upgradeOf(route, options))
      : dialTls({ ...tls, ...(route.kind === 'stream' ? { socket: route.open() } : {}) });
  const socket = await dialServer(dial, route, tls);
  if (socket.alpnProtocol === ALPN.h2) return socket;
  socket.destroy();
  throw new TeleportError('ConnectionProblem', `${joinHostPort(host, port)} does not speak gRPC for the Auth Service`);
}

/**
 * Every host of a cluster has a certificate of the authority that vouches for its servers, so the role counts beside the name.
 *
 * @throws TeleportError `ConnectionProblem` for a server that is neither the Auth Service nor a Proxy
 */
async function dialServer(
  dial: () => Promise<TLSSocket>,
  { host, port }: HostPort,
  { rejectUnauthorized }: Pick<DialTlsOptions, 'rejectUnauthorized'>,
): Promise<TLSSocket> {
  const socket = await dial();
  const organizations = organizationsOf(socket);
  if (!rejectUnauthorized || answersClients(organizations)) return socket;
  socket.destroy();
  throw new TeleportError(
    'ConnectionProblem',
    `${joinHostPort(host, port)} shows the certificate of a host that is neither the Auth Service nor a Proxy (${organizations.join(', ') || 'no role'})`,
  );
}

function upgradeOf(
  { connUpgrade, webTrust, vars }: AuthRoute & { kind: 'proxy' },
  { insecure = false }: DialAuthOptions,
): ConnUpgrade | undefined {
  if (!connUpgrade) return undefined;
  return { trust: { ...webTrust, vars, rejectUnauthorized: !insecure }, protocol: 'alpn-ping' };
}

function authoritiesOf(cluster: string, pems: readonly string[]): string[] {
  const found = authoritiesByCluster(pems).get(cluster);
  if (found) return found;
  throw withoutAuthority(cluster);
}
