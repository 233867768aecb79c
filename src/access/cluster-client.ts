/**
 * From a login to typed calls at a cluster's Auth Service. Which way the bytes go is the profile's to say:
 *
 *     TLS routing              TLS to the web address, ALPN teleport-auth@<cluster>, h2
 *     ... behind a balancer    the same inside a WebSocket (connection upgrade)
 *     separate ports           the same inside a ProxyCluster stream of the SSH address
 *
 * Spec: auth-grpc-and-routing reference, 1.6, 1.7 and 2.
 */
import type { Duplex } from 'node:stream';
import { ALPN, authAlpn, hexName } from '../api/alpn.js';
import { type AuthClient, openAuthClient } from '../api/client.js';
import { forcedConnUpgrade } from '../net/conn-upgrade-test.js';
import { type DialTlsOptions, dialTls } from '../net/dial.js';
import type { Session } from '../profile/session.js';
import { usableKeys } from '../profile/session.js';
import { splitAddress } from './proxy-addresses.js';
import { webTrust } from './proxy-client.js';
import { proxyClusterStream } from './proxy-cluster-stream.js';

/** Version that we announce: that of the protocol that we speak. */
export const CLIENT_VERSION = '18.3.0';

export interface ConnectOptions {
  vars: Record<string, string | undefined>;
  insecure?: boolean;
  /** Default: the session's cluster. */
  cluster?: string | undefined;
  now?: Date;
  signal?: AbortSignal;
  /** Of each call. Default 30 s. */
  callTimeoutMs?: number;
  /** Of each dial, all layers together. Default 30 s, the profile's default. */
  dialTimeoutMs?: number;
}

export interface ClusterClient extends AsyncDisposable {
  readonly api: AuthClient;
  /** The cluster that is called. */
  readonly cluster: string;
  readonly rootCluster: string;
  close(): Promise<void>;
}

/**
 * Calls to the session's cluster. Dialled by the first call.
 *
 * @throws LoginNeeded when the certificates have ended or there are none
 */
export async function connectCluster(session: Session, options: ConnectOptions): Promise<ClusterClient> {
  const keys = await usableKeys(session, options.now ?? new Date());
  const cluster = options.cluster ?? session.cluster;
  const cas = await session.store.hostCas(session.name);
  const casOf = (...clusters: string[]) =>
    cas.filter((ca) => clusters.includes(ca.cluster)).flatMap((ca) => ca.tlsPems);
  const { profile, rootCluster } = session;
  const sni = hexName(rootCluster);
  const mutual = {
    servername: sni,
    cert: keys.tlsCertPem,
    key: keys.tlsKeyPem,
    rejectUnauthorized: !options.insecure,
    vars: options.vars,
    timeoutMs: options.dialTimeoutMs ?? 30_000,
    ...(options.signal ? { signal: options.signal } : {}),
  };
  const opened: AuthClient[] = [];
  const open = (connect: () => Promise<Duplex>): AuthClient => {
    const client = openAuthClient({
      connect,
      authority: sni,
      version: CLIENT_VERSION,
      ...(options.callTimeoutMs ? { defaultTimeoutMs: options.callTimeoutMs } : {}),
    });
    opened.unshift(client);
    return client;
  };
  const inner = { ...mutual, alpn: [authAlpn(cluster), ALPN.h2], ca: casOf(cluster) };
  let api: AuthClient;
  if (profile.tlsRoutingEnabled ?? true) {
    api = open(() => dialRouted(profile.webProxyAddr, inner, { ...options, isUpgraded: isUpgraded(session, options) }));
  } else {
    const address = profile.sshProxyAddr ?? profile.webProxyAddr;
    const outer = {
      ...mutual,
      alpn: [ALPN.proxySshGrpc, ALPN.h2],
      ca: profile.loadAllCas ? cas.flatMap((ca) => ca.tlsPems) : casOf(rootCluster, cluster),
    };
    const proxy = open(() => dialTls({ ...outer, ...splitAddress(address, 3023) }));
    api = open(async () => {
      const stream = proxyClusterStream(proxy.transport, cluster);
      return await dialTls({ ...inner, ...splitAddress(address, 3023), socket: stream });
    });
  }
  const close = async () => {
    for (const client of opened) await client.close();
  };
  return { api, cluster, rootCluster, close, [Symbol.asyncDispose]: close };
}

/** Whether connections to the web address must be upgraded: the environment's word, else the profile's. */
export function isUpgraded(session: Session, options: { vars: ConnectOptions['vars'] }): boolean {
  const { webProxyAddr, tlsRoutingConnUpgradeRequired = false } = session.profile;
  return forcedConnUpgrade(webProxyAddr, options.vars) ?? tlsRoutingConnUpgradeRequired;
}

/**
 * TLS by ALPN to a Proxy's web address, through the connection upgrade where one is needed.
 *
 * @param tls  of the connection that the Proxy routes; its host and port are the address
 */
export async function dialRouted(
  address: string,
  tls: Omit<DialTlsOptions, 'host' | 'port' | 'socket'>,
  options: { vars: ConnectOptions['vars']; insecure?: boolean; isUpgraded: boolean; protocol?: 'alpn' | 'alpn-ping' },
): Promise<Duplex> {
  const target = splitAddress(address, 3080);
  if (!options.isUpgraded) return await dialTls({ ...tls, ...target });
  const { upgradeConnection } = await import('../net/websocket.js');
  const timeoutMs = tls.timeoutMs ?? 30_000;
  const outer = await dialTls({
    ...target,
    ...webTrust(target.host, { vars: options.vars }),
    vars: options.vars,
    rejectUnauthorized: !options.insecure,
    timeoutMs,
    ...(tls.signal ? { signal: tls.signal } : {}),
  });
  const tunnel = await upgradeConnection(outer, {
    host: address,
    protocol: options.protocol ?? 'alpn-ping',
    timeoutMs,
  });
  return await dialTls({ ...tls, ...target, socket: tunnel });
}
