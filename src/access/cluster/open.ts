/**
 * From a command's arguments to a cluster: the login that `--proxy`, `--identity` or the current profile names, and the
 * calls on its cluster, which are dialled when they are first needed.
 */
import type { Duplex } from 'node:stream';
import { ALPN, PING_SUFFIX } from '../../api/alpn.js';
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { printWarning } from '../../cli/output.js';
import { waitingFor } from '../../cli/progress.js';
import { TeleportError } from '../../errors.js';
import { dialTcp, dialTls } from '../../net/dial.js';
import { PingStream } from '../../net/ping-stream.js';
import { requestTls } from '../../pg/frontend.js';
import { hostOf, pgServicePath, pgServicePaths } from '../../profile/paths.js';
import { type Session, usableKeys } from '../../profile/session.js';
import type { DatabaseKeys } from '../../profile/store.js';
import { splitAddress } from '../../webapi/addresses.js';
import { webTrust } from '../../webapi/client.js';
import { type ClusterClient, connectCluster, connectRoot, dialRouted, isUpgraded } from '../login/client.js';
import { tlsCasOf } from '../login/host-cas.js';
import { type LoginArgs, sessionFor, withRelogin } from '../login/relogin.js';
import { pinnedHint } from '../login/session.js';
import { type ClusterAccess, type ClusterContext, clusterAccess } from './access.js';
import { reissueLogin } from './reissue.js';

/** Databases of the login that the arguments name. @throws when there is no login at all */
export async function openCluster(env: Env, args: LoginArgs): Promise<ClusterAccess> {
  let context = contextOf(env, args, await sessionFor(env, args), (next) => {
    context = next;
  });
  return clusterAccess(() => context);
}

/** Calls on Auth as the person who is logged in, for `tctl`. */
export async function loginAuthClient(env: Env, args: LoginArgs): Promise<AuthClient> {
  const session = await sessionFor(env, args);
  const { api } = await connectCluster(session, { vars: env.vars, insecure: args.insecure ?? false, now: env.now() });
  return api;
}

function contextOf(
  env: Env,
  args: LoginArgs,
  session: Session,
  replace: (next: ClusterContext) => void,
): ClusterContext {
  const insecure = args.insecure ?? false;
  const { profile, store } = session;
  let client: Promise<ClusterClient> | undefined;
  const close = async () => {
    const open = client;
    client = undefined;
    await (await open?.catch(() => undefined))?.close();
  };
  const context: ClusterContext = {
    store,
    profileName: session.name,
    webProxyAddr: profile.webProxyAddr,
    postgresProxyAddr: splitAddress(profile.postgresProxyAddr ?? profile.webProxyAddr, 443),
    isUpgraded: (profile.tlsRoutingEnabled ?? true) && isUpgraded(session, { vars: env.vars }),
    username: session.user,
    cluster: session.cluster,
    rootCluster: session.rootCluster,
    accessRequests: session.facts?.activeRequests ?? [],
    credentials: async () => {
      const { tlsKeyPem } = await usableKeys(session, env.now());
      return { tlsKeyPem, expires: session.facts!.tlsExpiresAt };
    },
    insecure,
    pgServiceFile: pgServicePath(env),
    otherPgServiceFiles: pgServicePaths(env).slice(1),
    warn: (text) => printWarning(env, text),
    now: env.now,
    log: env.log,
    withAuth: (work) =>
      withRelogin(env, args, session, async (current) => {
        if (current !== session) {
          // A new login replaces keys and certificates: everything after this uses it.
          await close();
          const next = contextOf(env, args, current, replace);
          replace(next);
          return await next.withAuth(work);
        }
        client ??= connectCluster(session, { vars: env.vars, insecure, now: env.now(), signal: env.signal });
        client.catch(() => {
          client = undefined;
        });
        const { api, root } = await client;
        return await waitingFor(env, `the cluster ${session.cluster}`, work(api, root));
      }),
    withRoot: (work, { isSilent = false } = {}) =>
      withRelogin(env, args, session, async (current) => {
        await using client = await connectRoot(env, current, insecure);
        const answer = work(client.root);
        return await (isSilent ? answer : waitingFor(env, `the cluster ${current.rootCluster}`, answer));
      }),
    async changeRequests(change) {
      const next = await reissueLogin(env, session, { ...change, insecure, cluster: session.cluster });
      await close();
      replace(contextOf(env, args, next, replace));
    },
    signal: env.signal,
    hintOfSilence: session.facts?.pinnedIp && pinnedHint(session.facts.pinnedIp),
    dialPostgres: (keys) => dialPostgres(env, session, insecure, keys),
    close,
  };
  return context;
}

/** One connection on which PostgreSQL may begin, by whichever way this cluster is reached. */
async function dialPostgres(
  env: Env,
  session: Session,
  insecure: boolean,
  keys: DatabaseKeys | undefined,
): Promise<Duplex> {
  const { profile, store } = session;
  const mutual = {
    ...(keys ? { cert: keys.certPem, key: keys.keyPem } : {}),
    rejectUnauthorized: !insecure,
    vars: env.vars,
    timeoutMs: 30_000,
  };
  const hostCas = async () => (insecure ? [] : tlsCasOf(await store.hostCas(session.name), session.rootCluster));
  if (profile.tlsRoutingEnabled === false) {
    // Separate ports: PostgreSQL's own way into TLS.
    const target = splitAddress(profile.postgresProxyAddr ?? profile.webProxyAddr, 5432);
    const socket = await dialTcp({ ...target, vars: env.vars, timeoutMs: 30_000 });
    if (!keys) return socket;
    try {
      if (!(await requestTls(socket, { address: `${target.host}:${target.port}` }))) {
        throw new TeleportError('ConnectionProblem', `${target.host}:${target.port} refused TLS connection`);
      }
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return await dialTls({ ...mutual, ...target, socket, ca: await hostCas() });
  }
  const upgraded = isUpgraded(session, { vars: env.vars });
  const host = hostOf(profile.webProxyAddr);
  const stream = await dialRouted(
    profile.webProxyAddr,
    {
      ...mutual,
      alpn: [ALPN.postgres + PING_SUFFIX, ALPN.postgres],
      ...(upgraded ? { ca: await hostCas() } : webTrust(host)),
    },
    { vars: env.vars, insecure, isUpgraded: upgraded, protocol: 'alpn' },
  );
  const { alpnProtocol } = stream as Duplex & { alpnProtocol?: string | false | null };
  return typeof alpnProtocol === 'string' && alpnProtocol.endsWith(PING_SUFFIX) ? new PingStream(stream) : stream;
}
