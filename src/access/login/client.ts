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
import { ALPN, authAlpn, hexName } from '../../api/alpn.js';
import { type AuthClient, openAuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { messageOf, TeleportError } from '../../errors.js';
import { forcedConnUpgrade } from '../../net/conn-upgrade-test.js';
import { type DialTlsOptions, dialTls } from '../../net/dial.js';
import type { Session } from '../../profile/session.js';
import { usableKeys } from '../../profile/session.js';
import type { HostCa } from '../../profile/store.js';
import { splitAddress } from '../../webapi/addresses.js';
import { webTrust } from '../../webapi/client.js';
import { CLIENT_VERSION } from '../../webapi/versions.js';
import { fetchHostCas, tlsCasOf } from './host-cas.js';
import { proxyClusterStream } from './proxy-stream.js';

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
  /** The root cluster, which alone signs certificates of its people; `api` itself unless a leaf is called. */
  readonly root: AuthClient;
  /** The cluster that is called. */
  readonly cluster: string;
  readonly rootCluster: string;
  close(): Promise<void>;
}

/**
 * Calls at the root cluster of a login, which alone knows its people and signs for them, whichever cluster is selected.
 *
 * @throws as `connectCluster`
 */
export async function connectRoot(env: Env, session: Session, insecure = false): Promise<ClusterClient> {
  return await connectCluster(session, {
    vars: env.vars,
    insecure,
    cluster: session.rootCluster,
    now: env.now(),
    signal: env.signal,
  });
}

/**
 * Calls to the session's cluster, or to a leaf behind the same Proxy. Dialled by the first call.
 *
 * @throws LoginNeeded when the certificates have ended or there are none; TeleportError `NotFound` when neither the
 *   profile nor the root cluster knows the cluster
 */
export async function connectCluster(session: Session, options: ConnectOptions): Promise<ClusterClient> {
  const keys = await usableKeys(session, options.now ?? new Date());
  const cluster = options.cluster ?? session.cluster;
  let cas = await session.store.hostCas(session.name);
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
  const authClient = (connect: () => Promise<Duplex>): AuthClient =>
    openAuthClient({
      connect,
      authority: sni,
      address: profile.webProxyAddr,
      version: CLIENT_VERSION,
      ...(options.callTimeoutMs ? { defaultTimeoutMs: options.callTimeoutMs } : {}),
    });
  let proxy: AuthClient | undefined;
  /** The Proxy's transport service, for separate ports: one connection for every cluster behind it. */
  const transportOnce = (address: string) => {
    const dial = () =>
      dialTls({
        ...mutual,
        alpn: [ALPN.proxySshGrpc, ALPN.h2],
        ca: profile.loadAllCas ? cas.flatMap((ca) => ca.tlsPems) : casOf(rootCluster, cluster),
        ...splitAddress(address, 3023),
      });
    proxy ??= authClient(dial);
    return proxy.transport;
  };
  const dialAuth = async (target: string): Promise<Duplex> => {
    const inner = { ...mutual, alpn: [authAlpn(target), ALPN.h2], ca: options.insecure ? [] : tlsCasOf(cas, target) };
    if (profile.tlsRoutingEnabled ?? true) {
      return await dialRouted(profile.webProxyAddr, inner, { ...options, isUpgraded: isUpgraded(session, options) });
    }
    const address = profile.sshProxyAddr ?? profile.webProxyAddr;
    const stream = proxyClusterStream(transportOnce(address), target);
    return await dialTls({ ...inner, ...splitAddress(address, 3023), socket: stream });
  };
  const root = authClient(() => dialAuth(rootCluster));
  let api = root;
  const close = async () => {
    await api.close();
    await root.close();
    await proxy?.close(); // last: the others' streams run in it
  };
  const client = { root, cluster, rootCluster, close, [Symbol.asyncDispose]: close };
  if (cluster === rootCluster) return { ...client, api };
  if (casOf(cluster).length === 0) {
    try {
      cas = await newCas(session, root, cluster);
    } catch (error) {
      await close();
      throw error;
    }
  }
  api = authClient(() =>
    dialAuth(cluster).catch((cause: unknown) => {
      options.signal?.throwIfAborted();
      throw new TeleportError(
        'ConnectionProblem',
        `failed to connect to cluster ${cluster} through ${profile.webProxyAddr}: ${messageOf(cause)}`,
        { cause, hint: `"tsh clusters" shows whether it is online.` },
      );
    }),
  );
  return { ...client, api };
}

/** The authorities of a leaf that joined after the login: asked of the root cluster, and kept. */
async function newCas({ store, name }: Session, root: AuthClient, cluster: string): Promise<HostCa[]> {
  const cas = await fetchHostCas(root, name);
  if (!cas.some((ca) => ca.cluster === cluster)) {
    throw new TeleportError('NotFound', `cluster ${JSON.stringify(cluster)} is not found`, {
      hint: 'List the clusters with "tsh clusters".',
    });
  }
  if (!store.isVirtual) await store.saveHostCas(name, cas);
  return cas;
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
  const { upgradeConnection } = await import('../../net/websocket.js');
  const timeoutMs = tls.timeoutMs ?? 30_000;
  const outer = await dialTls({
    ...target,
    ...webTrust(target.host),
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
