/**
 * From a user's certificate to a session that may or may not begin. The certificate is verified against the User CA
 * here, although the Proxy has done so before: the agent trusts a Proxy for the proof of the key, not for who may enter.
 * Role definitions come from Auth in one call a connection, so what was taken away is gone with the next connection.
 *
 * Source: database-service.md 8.2 (steps 2 to 9), 8.3, section 2 (limits); certificates.md 2.2.
 */
import { randomUUID } from 'node:crypto';
import { type FetchedTrust, fetchTrust } from '../api/authorities.js';
import type { AuthClient } from '../api/client.js';
import { fromMessage, fromMessages } from '../api/convert.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { type Bearer, bearerOf, checkUsage, isStillBelieved } from '../identity/bearer.js';
import type { Identity } from '../identity/identity.js';
import { remoteIdentity } from '../identity/remote.js';
import { ipOf } from '../ip.js';
import { isProtocolOption } from '../pg/backend.js';
import type { CancelRequest, StartupMessage } from '../pg/startup.js';
import { checkDatabaseAccess } from '../rbac/check.js';
import { lockInForce, lockingMode, lockText, sessionLimitsOf } from '../rbac/limits.js';
import { checkPinning } from '../rbac/pinned-ip.js';
import { expandRole } from '../rbac/templates.js';
import type { User } from '../resources/types.js';
import { RESET, type RightHolder, trustEnded } from '../rights/rights-watch.js';
import { autoUserOf } from './auto-user.js';
import type { MonitorLimits } from './monitor.js';
import type { Registry } from './registry.js';
import type { DatabaseSession, SessionCaller } from './session.js';

export interface Authorizer {
  /**
   * Who this is, to which database, as whom.
   *
   * @throws AccessDenied for a certificate that is not believed, NotFound for a database we do not offer
   */
  session(caller: SessionCaller, first: StartupMessage | CancelRequest): Promise<DatabaseSession>;
  /** Ask again whom to believe: an authority has changed. @throws what Auth says */
  refresh(): Promise<void>;
}

export interface AuthorizerOptions {
  registry: Registry;
  auth: () => Promise<AuthClient>;
  /** Whose certificates are believed; `refresh` asks Auth again. */
  trust: (refresh: boolean) => Promise<FetchedTrust>;
  clusterName: string;
  /** Our host id, which a lock may target. */
  serverId: string;
  now: () => Date;
}

/** For `trust`: asked for now, and again at a refresh. */
export function askedTrust(auth: Pick<AuthClient, 'trust'>, clusterName: string): AuthorizerOptions['trust'] {
  let known: Promise<FetchedTrust>;
  const ask = () => {
    known = fetchTrust(auth, clusterName);
    known.catch(() => {}); // whoever waits for it hears of it
  };
  ask();
  return (refresh) => {
    if (refresh) ask();
    return known;
  };
}

export function createAuthorizer(given: AuthorizerOptions): Authorizer {
  let latest: FetchedTrust = { hostCas: [], userCas: [], remotes: [] };
  const trust = async (refresh: boolean) => {
    const fetched = await given.trust(refresh);
    if (fetched.userCas.length > 0) latest = fetched;
    return fetched;
  };
  const options = { ...given, trust };
  return {
    async refresh() {
      await trust(true);
    },
    async session(caller, first) {
      const bearer = await believe(options, caller.certificateDer);
      const { identity: certified } = bearer;
      const route = certified.routeToDatabase;
      const database = route ? options.registry.get(route.serviceName) : undefined;
      if (!route || !database) {
        throw new TeleportError(
          'NotFound',
          `database "${route?.serviceName ?? ''}" not found among registered databases in cluster "${options.clusterName}"`,
        );
      }
      const parameters = first.type === 'StartupMessage' ? new Map(first.parameters) : new Map<string, string>();
      // What the client says replaces what the certificate says; a CancelRequest says nothing.
      const dbUser = parameters.get('user') || route.username || '';
      const dbName = parameters.get('database') || route.database || dbUser;
      const userAgent = parameters.get('application_name') ?? '';
      for (const name of ['user', 'database', 'application_name']) parameters.delete(name);

      const client = await options.auth();
      const access = await client.databaseAgent.getSessionAccess({
        user: certified.username,
        roles: certified.groups,
        mfaDevice: certified.mfaVerified ?? '',
        userGeneration: certified.userGeneration ?? '',
        cluster: bearer.remote ?? '',
      });
      const identity = asOfNow(bearer, access.user && fromMessage('user', access.user));
      const session: DatabaseSession = {
        id: randomUUID(),
        identity,
        isBelieved: () => isStillBelieved(bearer, latest),
        database,
        dbUser,
        dbName,
        userAgent,
        startupParameters: [...parameters].filter(([name]) => !isProtocolOption(name)),
        roles: access.roles.map((role) => expandRole(fromMessage('role', role), identity.traits)),
        traits: identity.traits,
        locks: fromMessages('lock', access.locks),
        authPreference: access.authPreference && fromMessage('cluster_auth_preference', access.authPreference),
        networking: access.networkingConfig && fromMessage('cluster_networking_config', access.networkingConfig),
        clientAddr: caller.clientAddr,
        startedAt: options.now(),
        refusal: undefined,
      };
      const refusal = refusalOf(session, access, options);
      return { ...session, ...(refusal ? { refusal } : withAutoUser(session)) };
    },
  };
}

/** What Auth knows against it. Recorded like any other refusal, so it is not thrown before there is a session. */
function refusalOf(
  { identity, locks, roles, dbUser, database, clientAddr }: DatabaseSession,
  access: { userExists: boolean; certificateEnded: boolean },
  { serverId, now }: AuthorizerOptions,
): TeleportError | undefined {
  if (identity.remote && identity.groups.length === 0) return unmapped(identity.remote);
  if (!access.userExists) return new TeleportError('AccessDenied', 'access denied');
  if (access.certificateEnded) {
    return new TeleportError('AccessDenied', `access denied: ${RESET}`, { hint: LOGIN_AGAIN });
  }
  const lock = lockInForce(locks, { identity, login: dbUser, database, serverId, now: now() });
  if (lock) return new TeleportError('AccessDenied', `access denied: ${lockText(lock)}`);
  try {
    checkPinning({ pinnedIp: identity.pinnedIp, roles }, ipOf(clientAddr));
  } catch (error) {
    if (isTeleportError(error)) return error;
    throw error;
  }
  return undefined;
}

/** The user that is made for the session, or why it cannot be. */
function withAutoUser(session: DatabaseSession): Pick<DatabaseSession, 'autoUser' | 'refusal'> {
  const { identity, roles, traits, database, dbName } = session;
  const dbRoles = identity.routeToDatabase?.roles ?? [];
  try {
    const autoUser = autoUserOf({
      username: identity.username,
      remoteUser: identity.remote?.username,
      roles,
      traits,
      database,
      dbName,
      dbRoles,
    });
    return { autoUser, refusal: undefined };
  } catch (error) {
    if (isTeleportError(error)) return { refusal: error };
    throw error;
  }
}

function unmapped({ username, cluster, groups }: NonNullable<Identity['remote']>): TeleportError {
  return new TeleportError(
    'AccessDenied',
    `no roles mapped for remote user ${JSON.stringify(username)} from cluster ${JSON.stringify(cluster)} with remote roles [${groups.join(' ')}]`,
  );
}

export const LOGIN_AGAIN = 'Log in again: "tsh login".';

/** What was given or taken since the certificate was made counts; an older Auth Service does not say it. */
function asOfNow({ identity: certified, remote }: Bearer, user: User | undefined): Identity {
  if (remote !== undefined) return remoteIdentity(certified, user?.spec.roles ?? []);
  return user ? { ...certified, groups: user.spec.roles, traits: user.spec.traits } : certified;
}

/** Whose certificate it is, of our User CA or that of a root, and meant for databases. */
async function believe(options: AuthorizerOptions, der: Buffer): Promise<Bearer> {
  const { clusterName, now } = options;
  const verify = async (refresh: boolean) =>
    bearerOf(der, { ...(await options.trust(refresh)), hostCas: [], clusterName, now: now() });
  // A rotated authority is unknown for a moment: ask once before refusing.
  const bearer = await verify(false).catch(() => verify(true));
  // A host is nobody who enters a database.
  if (bearer.role) throw new TeleportError('AccessDenied', 'access denied: invalid client certificate');
  checkUsage(bearer.identity, 'databases');
  return bearer;
}

/** @throws AccessDenied for a lock, an address or a certificate that was ended */
export function checkAdmission({ refusal }: DatabaseSession): void {
  if (refusal) throw refusal;
}

/** @throws AccessDenied with Teleport's text without a user, for replication, and when the roles refuse */
export function checkAccess(session: DatabaseSession): void {
  const { identity, database, dbUser, dbName, roles } = session;
  if (dbUser === '') throw new TeleportError('AccessDenied', 'user name must not be empty');
  // It reads the whole server's log, whatever the database's name is, in commands that no event would have.
  if (session.startupParameters.some(([name]) => name === 'replication')) {
    throw new TeleportError('AccessDenied', 'connections for replication are not taken', {
      hint: 'Connect without the startup parameter "replication".',
    });
  }
  checkDatabaseAccess({
    username: identity.username,
    leaf: identity.remote && identity.routeToCluster,
    remoteUser: identity.remote?.username,
    roles,
    traits: session.traits,
    database,
    dbUser,
    dbName,
    mfaVerified: identity.mfaVerified !== undefined,
    authPreference: session.authPreference,
  });
}

/** What may end while the session runs. */
export function rightsOf({
  identity,
  isBelieved,
  dbUser,
  database,
  roles,
  authPreference,
}: DatabaseSession): RightHolder {
  const isStrict = lockingMode(roles, authPreference) === 'strict';
  const ifNotBelieved = identity.remote && trustEnded(identity.remote.cluster);
  return { identity, isBelieved, ifNotBelieved, login: dbUser, database, isStrict };
}

export function sessionLimits(session: DatabaseSession): MonitorLimits {
  const limits = sessionLimitsOf(session.roles, session.authPreference, session.networking);
  return {
    ...(limits.disconnectExpiredCert
      ? { disconnectAt: session.identity.previousIdentityExpires ?? session.identity.expires }
      : {}),
    ...(limits.clientIdleTimeoutMs ? { idleTimeoutMs: limits.clientIdleTimeoutMs } : {}),
  };
}
