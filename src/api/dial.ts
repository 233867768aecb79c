/**
 * From an identity to calls on the Auth Service: the TLS connection with the right SNI, ALPN, roots and certificate
 * (`auth-grpc-and-routing.md` 2.2), through the Proxy's one port or straight to the Auth port, and behind a load balancer
 * that ends TLS through a WebSocket (1.6).
 */
import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { needsConnUpgrade } from '../net/conn-upgrade-test.js';
import { dialTls } from '../net/dial.js';
import { joinHostPort } from '../net/socket-errors.js';
import { upgradeConnection } from '../net/websocket.js';
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
  /** Environment, for HTTPS_PROXY and SSL_CERT_FILE. */
  vars?: Record<string, string | undefined>;
}

/** What `dialTls` and `tls.connect` need to reach one cluster's Auth Service. */
export interface AuthTlsOptions {
  servername: string;
  alpn: string[];
  ca: string[];
  cert?: string;
  key?: string;
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
  return openAuthClient({
    authority: hexName(credentials.clusterName),
    version: options.version,
    address: joinHostPort(route.host, route.port),
    ...(options.product === undefined ? {} : { product: options.product }),
    ...(options.callTimeoutMs === undefined ? {} : { defaultTimeoutMs: options.callTimeoutMs }),
    abandon: () => first?.destroy(),
    connect: async () => {
      const ready = first?.destroyed ? undefined : first;
      first = undefined;
      return ready ?? (await connectAuth(route, credentials, options));
    },
  });
}

/** SNI, ALPN list, roots and certificate for one cluster. Roots are picked by subject CN, as Teleport picks them. */
export function authTlsOptions(
  credentials: AuthCredentials,
  { targetCluster = credentials.clusterName }: { targetCluster?: string } = {},
): AuthTlsOptions {
  return {
    servername: hexName(credentials.clusterName),
    alpn: [authAlpn(targetCluster), ALPN.h2],
    ca: authoritiesOf(targetCluster, credentials.hostCaPems),
    ...(credentials.certPem === undefined ? {} : { cert: credentials.certPem }),
    ...(credentials.keyPem === undefined ? {} : { key: credentials.keyPem }),
  };
}

/**
 * One TLS connection on which `h2` was negotiated. At a Proxy's port something in front may end TLS; that is looked into
 * when the direct way fails, unless the route says.
 *
 * @throws TeleportError `ConnectionProblem`
 */
export async function connectAuth(
  route: AuthRoute,
  credentials: AuthCredentials,
  options: DialAuthOptions,
): Promise<Duplex> {
  try {
    return await connectOnce(route, credentials, options);
  } catch (error) {
    if (route.kind !== 'proxy' || route.connUpgrade !== undefined) throw error;
    const { host, port } = route;
    const rejectUnauthorized = !options.insecure;
    if (!(await needsConnUpgrade({ host, port, rejectUnauthorized, vars: options.vars ?? process.env }))) throw error;
    return await connectOnce({ ...route, connUpgrade: true }, credentials, options);
  }
}

async function connectOnce(route: AuthRoute, credentials: AuthCredentials, options: DialAuthOptions): Promise<Duplex> {
  const { host, port } = route;
  const dialling = {
    host,
    port,
    timeoutMs: options.timeoutMs ?? DIAL_TIMEOUT_MS,
    ...(options.vars ? { vars: options.vars } : {}),
  };
  const through = route.kind === 'proxy' && route.connUpgrade ? await upgraded(dialling, options) : undefined;
  const socket = await dialTls({
    ...dialling,
    ...authTlsOptions(credentials, options.targetCluster === undefined ? {} : { targetCluster: options.targetCluster }),
    rejectUnauthorized: !options.insecure,
    ...(through ? { socket: through } : {}),
  });
  if (socket.alpnProtocol === ALPN.h2) return socket;
  socket.destroy();
  throw new TeleportError('ConnectionProblem', `${host}:${port} does not speak gRPC for the Auth Service`);
}

const DIAL_TIMEOUT_MS = 10_000;

async function upgraded(
  dialling: { host: string; port: number; timeoutMs: number },
  { insecure = false }: DialAuthOptions,
): Promise<Duplex> {
  const { host, port, timeoutMs } = dialling;
  const web = await dialTls({ ...dialling, rejectUnauthorized: !insecure });
  return await upgradeConnection(web, { host: `${host}:${port}`, protocol: 'alpn-ping', timeoutMs });
}

function authoritiesOf(cluster: string, pems: readonly string[]): string[] {
  const found = pems.filter((pem) => subjectCn(pem) === cluster);
  if (found.length > 0) return found;
  throw withoutAuthority(cluster);
}

function subjectCn(pem: string): string | undefined {
  try {
    const { CN } = new X509Certificate(pem).toLegacyObject().subject;
    return Array.isArray(CN) ? CN[0] : CN;
  } catch {
    return undefined;
  }
}
