/**
 * Which service a connection is for, from its first bytes and its ClientHello. Pure; rules and tables of
 * auth-grpc-and-routing.md 1.1 to 1.3, with two additions: our agents' own name, and names that ask for the Auth
 * Service by SNI alone, as tctl does ("What tctl asks").
 */
import { ALPN, clusterOfHexName } from '../api/alpn.js';
import { isProxyHeader } from '../net/proxy-protocol.js';
import { MAX_STARTUP_PACKET_BYTES } from '../pg/messages.js';
import { TUNNEL_ALPN } from '../tunnel/protocol.js';

export type FirstBytes = 'tls' | 'postgres' | 'proxy-header' | 'other';

/** How many bytes `classify` needs. */
export const FIRST_BYTES = 8;

/** Packets with which a PostgreSQL client begins without TLS: SSLRequest, GSSENCRequest, CancelRequest. */
const POSTGRES_STARTS = ['0000000804d2162f', '0000000804d21630', '0000001004d2162e'];

/** What the first 8 bytes of a connection are. */
export function classify(bytes: Buffer): FirstBytes {
  if (bytes[0] === 0x16) return 'tls';
  if (POSTGRES_STARTS.includes(bytes.subarray(0, FIRST_BYTES).toString('hex')) || isStartup(bytes)) return 'postgres';
  return isProxyHeader(bytes) ? 'proxy-header' : 'other';
}

/** A StartupMessage in clear: refused, but its client hears why. */
function isStartup(bytes: Buffer): boolean {
  return (
    bytes.length >= FIRST_BYTES && bytes.readUInt32BE(0) <= MAX_STARTUP_PACKET_BYTES && bytes.readUInt16BE(4) === 3
  );
}

export type Service = 'web' | 'postgres' | 'transport' | 'join' | 'reverse-tunnel' | 'tunnel';

/**
 * `forward`: bytes go to the Auth Service of a cluster untouched. `serve`: TLS ends here. `challenge`: an ACME authority asks.
 * `close`: no alert.
 */
export type AlpnRoute =
  | { action: 'forward'; cluster: string }
  | { action: 'close' }
  | { action: 'challenge'; name: string }
  | { action: 'serve'; service: Service };

const SERVICES = new Map<string, Service>([
  [ALPN.http1, 'web'],
  [ALPN.h2, 'web'],
  [ALPN.postgres, 'postgres'],
  [ALPN.postgresPing, 'postgres'],
  [ALPN.proxySshGrpc, 'transport'],
  [ALPN.proxyGrpc, 'join'],
  [ALPN.reverseTunnel, 'reverse-tunnel'],
  [TUNNEL_ALPN, 'tunnel'],
]);

const KUBE_SNI_PREFIX = 'kube-teleport-proxy-alpn.';

/** Decide by SNI and the offered names, in the client's order. */
export function chooseRoute(
  hello: { serverName: string | undefined; alpn: readonly string[] },
  { clusterName }: { clusterName: string },
): AlpnRoute {
  const { serverName = '', alpn } = hello;
  if (serverName.startsWith(KUBE_SNI_PREFIX)) return { action: 'close' };
  if (alpn.length === 0) return { action: 'serve', service: 'web' };
  if (alpn.length === 1 && alpn[0] === ALPN.acme) return { action: 'challenge', name: serverName };
  if (asksForAuth(serverName, alpn, clusterName)) return { action: 'forward', cluster: clusterName };
  for (const name of alpn) {
    if (name.startsWith(ALPN.authPrefix)) {
      // The cluster is taken from the first name of the list, whichever name matched.
      const first = alpn[0]!;
      const cluster = first.startsWith(ALPN.authPrefix)
        ? clusterOfHexName(first.slice(ALPN.authPrefix.length))
        : undefined;
      return cluster === undefined ? { action: 'close' } : { action: 'forward', cluster };
    }
    const service = SERVICES.get(name);
    if (service) return { action: 'serve', service };
  }
  return { action: 'close' };
}

/** What every host certificate is valid for. */
const ANY_HOST = 'teleport.cluster.local';

/**
 * tctl: `h2` alone (gRPC) or `http/1.1` alone (the older REST calls), with the cluster's hex name as SNI. Teleport's API
 * client for Go, which does not know the name of the cluster, says the name of any host.
 */
function asksForAuth(serverName: string, alpn: readonly string[], clusterName: string): boolean {
  const isAlone = alpn.length === 1 && (alpn[0] === ALPN.h2 || alpn[0] === ALPN.http1);
  return isAlone && (serverName === ANY_HOST || clusterOfHexName(serverName) === clusterName);
}

/**
 * Names that each service can negotiate, best first. The router's own list is shared by all that show the web
 * certificate, so that a `-ping` name wins over its plain form and `http/1.1` over `h2`, whatever the client prefers.
 */
const ROUTER_ALPN: readonly string[] = [
  ALPN.postgresPing,
  ALPN.http1,
  ALPN.h2,
  ALPN.reverseTunnel,
  ALPN.proxyGrpc,
  ALPN.postgres,
];
export const ALPN_OF_SERVICE: Readonly<Record<Service, readonly string[]>> = {
  web: ROUTER_ALPN,
  postgres: ROUTER_ALPN,
  'reverse-tunnel': ROUTER_ALPN,
  join: ROUTER_ALPN,
  transport: [ALPN.h2],
  tunnel: [TUNNEL_ALPN],
};
