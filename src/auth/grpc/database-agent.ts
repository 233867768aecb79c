/** What Database Services ask of Auth, by a service of our own (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { DatabaseAgent, GetSessionAccessRequest } from '../../api/gen/internal_pb.js';
import { remoteName } from '../../identity/remote.js';
import { mapRoles } from '../../rbac/role-map.js';
import { isSameInRedshift } from '../../resources/auto-user-name.js';
import type { User } from '../../resources/types.js';
import { keyOf } from '../../store/store.js';
import { rest } from '../../wait.js';
import { sortRecords } from '../agent-records.js';
import { checkWord } from '../asked-words.js';
import { hostAuthorities } from '../host-certs.js';
import { requireOffer } from '../offers.js';
import { locksFeed, rightsFeed } from '../rights-feed.js';
import { secretsOf } from '../secrets.js';
import type { AuthState } from '../state.js';
import { locksAbout, requireHost, rolesOf, trustedRoot, whoCalls } from '../who.js';

interface KnownUser {
  user: User | undefined;
  generation: string;
}

/** The cluster of a certificate, where that is not ours. */
const remoteIn = ({ clusterName }: AuthState, { cluster }: GetSessionAccessRequest): string | undefined =>
  cluster === '' || cluster === clusterName ? undefined : cluster;

const userOf = (state: AuthState, request: GetSessionAccessRequest, remote: string | undefined): Promise<KnownUser> =>
  remote === undefined ? ownUser(state, request.user) : remoteUser(state, request, remote);

async function ownUser(state: AuthState, name: string): Promise<KnownUser> {
  const [user, { generation = '' }] = await Promise.all([state.users.get(name), secretsOf(state, name)]);
  return { user, generation };
}

/** With the roles that the role map makes of those in the certificate; no traits: the certificate has them. */
async function remoteUser(
  state: AuthState,
  { user: username, roles: groups, userGeneration = '' }: GetSessionAccessRequest,
  cluster: string,
): Promise<KnownUser> {
  const trusted = await trustedRoot(state, cluster);
  const said = await state.roots.ask({ username, teleportCluster: cluster, userGeneration });
  const roles = mapRoles(trusted?.spec.role_map ?? [], groups);
  const name = remoteName(username, cluster);
  const user: User = { kind: 'user', version: 'v2', metadata: { name }, spec: { roles, traits: {} } };
  return { user: trusted && user, generation: said?.ended === undefined ? userGeneration : '-' };
}

/** A change in a database has deadlines of its own, which are shorter. */
const MOST_HELD_MS = 5 * 60_000;
/** Refused records of one call that are named in the log. */
const MOST_SAID = 10;

/** The authorities of hosts now, and at each change. Not by the store's word for it, which comes before the change is in use. */
async function* authoritiesFeed(state: AuthState, signal: AbortSignal) {
  let isNew = true;
  let wake = () => {};
  using _listening = state.authorities.onChange(() => {
    isNew = true;
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  while (!signal.aborted) {
    if (isNew) {
      isNew = false;
      yield hostAuthorities(state);
    } else {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  signal.throwIfAborted();
}

export function databaseAgentHandlers(state: AuthState): Partial<ServiceImpl<typeof DatabaseAgent>> {
  const asAgent = async (context: HandlerContext) =>
    requireHost(await whoCalls(state, context.values.get(callerKey)), 'Db');
  return {
    getSessionAccess: async (request, context) => {
      // A Proxy asks whether a certificate still counts.
      requireHost(await whoCalls(state, context.values.get(callerKey)), 'Db', 'Proxy');
      const remote = remoteIn(state, request);
      const { user, generation } = await userOf(state, request, remote);
      const certificateEnded = request.userGeneration !== undefined && request.userGeneration !== generation;
      // Whoever is out is out, also where a role of hers is gone.
      const roles = user && !certificateEnded ? await rolesOf(state, user.spec.roles) : [];
      return {
        roles: roles.map((role) => toMessage('role', role)),
        locks: (await locksAbout(state, remote)).map((lock) => toMessage('lock', lock)),
        userExists: user !== undefined,
        authPreference: toMessage('cluster_auth_preference', state.settings.preference),
        networkingConfig: toMessage('cluster_networking_config', state.settings.of('cluster_networking_config')),
        ...(user ? { user: toMessage('user', user) } : {}),
        certificateEnded,
      };
    },
    emitAuditEvents: async ({ events }, context) => {
      const { hostId } = await asAgent(context);
      const { taken, refused } = await sortRecords(events, { hostId, clusterName: state.clusterName });
      await state.reserve.take(taken);
      await state.audit.take(taken, hostId);
      for (const { uid, reason } of refused.slice(0, MOST_SAID)) {
        state.log.error('An audit record of an agent is refused.', { host_id: hostId, uid, error: reason });
      }
      return { refused };
    },
    async *watchLocks({ withUsers }, context) {
      const { hostId, role } = requireHost(await whoCalls(state, context.values.get(callerKey)), 'Db', 'Proxy');
      using mine = state.watches.begin(`locks ${role} ${hostId} ${withUsers}`, context.signal);
      yield* withUsers ? rightsFeed(state, mine.signal) : locksFeed(state, mine.signal);
    },
    async *watchAuthorities(_, context) {
      const caller = await whoCalls(state, context.values.get(callerKey));
      const { hostId, role } = requireHost(caller, 'Db', 'Proxy', 'Discovery');
      using mine = state.watches.begin(`authorities ${role} ${hostId}`, context.signal);
      yield* authoritiesFeed(state, mine.signal);
    },
    async *holdDatabaseUser({ endpoint, user, sameNames }, context) {
      const { hostId } = await asAgent(context);
      checkWord('endpoint', endpoint);
      checkWord('user', user);
      await requireOffer(state, hostId, endpoint, context);
      using held = await state.heldNames.take(JSON.stringify([endpoint, user]), context.signal, hostId);
      const isSame = ({ metadata }: User) => isSameInRedshift(metadata.name, user);
      const same = sameNames ? (await state.users.list()).filter(isSame) : [];
      yield { sameNames: same.map(({ metadata }) => metadata.name) };
      await rest(MOST_HELD_MS, AbortSignal.any([context.signal, held.wanted]), { isIdle: true });
    },
    async *watchDatabases(_, context) {
      const { hostId } = await asAgent(context);
      using mine = state.watches.begin(`databases ${hostId}`, context.signal);
      const folder = `${keyOf('db')}/`;
      const changes = state.store.watch(folder, mine.signal);
      const all = await state.databases.list();
      yield { initial: true, put: all.map((database) => toMessage('db', database)) };
      for await (const change of changes) {
        const name = decodeURIComponent(change.key.slice(folder.length));
        const database = change.type === 'put' ? await state.databases.get(name) : undefined;
        if (database) yield { put: [toMessage('db', database)] };
        else yield { deleted: [name] };
      }
      mine.signal.throwIfAborted();
    },
  };
}
