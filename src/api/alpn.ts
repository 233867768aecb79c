/**
 * The ALPN protocol names with which one port tells its callers apart. Names and rules: Teleport 18.3.0,
 * lib/srv/alpnproxy/common/protocols.go. The agent tunnel's own name is in `tunnel/protocol.ts`.
 */

export const ALPN = {
  http1: 'http/1.1',
  h2: 'h2',
  acme: 'acme-tls/1',
  /** Followed by the hex name of a cluster: the Auth Service of that cluster. */
  authPrefix: 'teleport-auth@',
  proxySsh: 'teleport-proxy-ssh',
  /** gRPC transport service of the Proxy; a client certificate is required. */
  proxySshGrpc: 'teleport-proxy-ssh-grpc',
  reverseTunnel: 'teleport-reversetunnel',
  reverseTunnelV2: 'teleport-reversetunnelv2',
  /** gRPC without a client certificate (join service). */
  proxyGrpc: 'teleport-proxy-grpc',
  proxyGrpcMtls: 'teleport-proxy-grpc-mtls',
  postgres: 'teleport-postgres',
  postgresPing: 'teleport-postgres-ping',
} as const;

/** A name that ends so carries length-prefixed frames with pings inside TLS. */
export const PING_SUFFIX = '-ping';

const HEX_SUFFIX = '.teleport.cluster.local';

/** `example.com` → `6578616d706c652e636f6d.teleport.cluster.local`: SNI and `:authority` of a cluster's Auth Service. */
export function hexName(cluster: string): string {
  return `${Buffer.from(cluster, 'utf8').toString('hex')}${HEX_SUFFIX}`;
}

/** The cluster behind a hex name, or undefined when it is none. */
export function clusterOfHexName(name: string): string | undefined {
  if (!name.endsWith(HEX_SUFFIX)) return undefined;
  const hex = name.slice(0, -HEX_SUFFIX.length);
  if (hex.length === 0 || hex.length % 2 === 1 || !/^[0-9a-f]+$/.test(hex)) return undefined;
  return Buffer.from(hex, 'hex').toString('utf8');
}

/** `teleport-auth@<hex name>`. */
export function authAlpn(cluster: string): string {
  return `${ALPN.authPrefix}${hexName(cluster)}`;
}
