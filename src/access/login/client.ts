/**
 * From a login to typed calls at a cluster's Auth Service. Which way the bytes go is the profile's to say:
 *
 *     TLS routing              TLS to the web address, ALPN teleport-auth@<cluster>, h2
 *     ... behind a balancer    the same inside a WebSocket (connection upgrade)
 *     separate ports           the same inside a ProxyCluster stream of the SSH address
 *
 * Spec: auth-grpc-and-routing.md 1.6, 1.7 and 2.
 */
import type { AuthClient } from '../../api/client.js';
import { type AuthCredentials, type DialAuthOptions, openAuth, openProxyTransport } from '../../api/dial.js';
import type { AuthRoute } from '../../api/host-identity.js';
import type { Env } from '../../cli/env.js';
import { messageOf, TeleportError } from '../../errors.js';
import type { HostPort } from '../../host-port.js';
import { forcedConnUpgrade } from '../../net/conn-upgrade-test.js';
import { WEB_PORT } from '../../net/ports.js';
import type { LoginSession } from '../../profile/session.js';
import { usableKeys } from '../../profile/session.js';
import type { HostCa } from '../../profile/store.js';
import { VERSION } from '../../version.js';
import { splitAddress } from '../../webapi/addresses.js';
import { webTrust } from '../../webapi/client.js';
import { fetchHostCas } from './host-cas.js';
import { proxyClusterStream } from './proxy-stream.js';

export interface AuthCallOptions {
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
export async function connectRoot(env: Env, session: LoginSession, insecure = false): Promise<ClusterClient> {
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
export async function connectCluster(session: LoginSession, options: AuthCallOptions): Promise<ClusterClient> {
  const keys = await usableKeys(session, options.now ?? new Date());
  const cluster = options.cluster ?? session.cluster;
  let cas = await session.store.hostCas(session.name);
  const { profile, rootCluster } = session;
  const credentials = (trusted = cas): AuthCredentials => ({
    clusterName: rootCluster,
    hostCaPems: trusted.flatMap(({ tlsPems }) => tlsPems),
    certPem: keys.tlsCertPem,
    keyPem: keys.tlsKeyPem,
  });
  const dialling: DialAuthOptions = {
    version: VERSION,
    address: profile.webProxyAddr,
    insecure: options.insecure ?? false,
    timeoutMs: options.dialTimeoutMs ?? 30_000,
    ...(options.callTimeoutMs ? { callTimeoutMs: options.callTimeoutMs } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  };
  let proxy: AuthClient | undefined;
  /** The Proxy's transport service, for separate ports: one connection for every cluster behind it. */
  const transportOnce = (at: HostPort): AuthClient['transport'] => {
    const trusted = cas.filter((ca) => profile.loadAllCas || [rootCluster, cluster].includes(ca.cluster));
    proxy ??= openProxyTransport({ ...at, vars: options.vars }, credentials(trusted), dialling);
    return proxy.transport;
  };
  const routeTo = (target: string): AuthRoute => {
    if (profile.tlsRoutingEnabled ?? true) return webRoute(session, options);
    const at = splitAddress(profile.sshProxyAddr ?? profile.webProxyAddr, 3023);
    return { kind: 'stream', ...at, open: () => proxyClusterStream(transportOnce(at), target) };
  };
  const root = openAuth(routeTo(rootCluster), credentials(), dialling);
  let api = root;
  const close = async () => {
    await api.close();
    await root.close();
    await proxy?.close(); // last: the others' streams run in it
  };
  const client = { root, cluster, rootCluster, close, [Symbol.asyncDispose]: close };
  if (cluster === rootCluster) return { ...client, api };
  if (!cas.some((ca) => ca.cluster === cluster && ca.tlsPems.length > 0)) {
    try {
      cas = await newCas(session, root, cluster);
    } catch (error) {
      await close();
      throw error;
    }
  }
  const explain = (failure: unknown) => unreachable(cluster, profile.webProxyAddr, failure);
  const ofNow: AuthCredentials = {
    ...credentials(),
    get hostCaPems() {
      return cas.flatMap(({ tlsPems }) => tlsPems);
    },
  };
  const renewTrust = async () => {
    // Rotated since it was kept.
    cas = await newCas(session, root, cluster);
  };
  api = openAuth(routeTo(cluster), ofNow, { ...dialling, targetCluster: cluster, explain, renewTrust });
  return { ...client, api };
}

function webRoute(session: LoginSession, { vars }: AuthCallOptions): AuthRoute {
  const at = splitAddress(session.profile.webProxyAddr, WEB_PORT);
  return { kind: 'proxy', ...at, vars, connUpgrade: isUpgraded(session, { vars }), webTrust: webTrust(at.host) };
}

function unreachable(cluster: string, address: string, cause: unknown): TeleportError {
  return new TeleportError(
    'ConnectionProblem',
    `failed to connect to cluster ${cluster} through ${address}: ${messageOf(cause)}`,
    { cause, hint: `"tsh clusters" shows whether it is online.` },
  );
}

/** The authorities of a leaf that joined after the login, or has rotated its own: asked of the root cluster, and kept. */
async function newCas({ store, name }: LoginSession, root: AuthClient, cluster: string): Promise<HostCa[]> {
  const cas = await fetchHostCas(root, name);
  if (!cas.some((ca) => ca.cluster === cluster)) {
    throw new TeleportError('NotFound', `cluster ${JSON.stringify(cluster)} is not found`, {
      hint: 'List the clusters with "tsh clusters".',
    });
  }
  if (!store.isVirtual) await store.saveHostCas(name, cas, { areAll: true });
  return cas;
}

/** Whether connections to the web address must be upgraded: the environment's word, else the profile's. */
export function isUpgraded(session: LoginSession, options: { vars: AuthCallOptions['vars'] }): boolean {
  const { webProxyAddr, tlsRoutingConnUpgradeRequired = false } = session.profile;
  return forcedConnUpgrade(webProxyAddr, options.vars) ?? tlsRoutingConnUpgradeRequired;
}
