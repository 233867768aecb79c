/** At a root: the clusters that have become its leafs, and whether they are there. */

import { messageOf, TeleportError } from '../errors.js';
import { ipOf } from '../ip.js';
import { isSameCluster } from '../resources/cluster-name.js';
import { TRUST_ROLES } from '../resources/system-role.js';
import type { CertAuthority, RemoteCluster } from '../resources/types.js';
import { shellWord } from '../shell-word.js';
import { keyOf } from '../store/store.js';
import { checkedAuthorities } from './checked-authorities.js';
import { requireMethod, tokenOf } from './host-certs.js';
import { recorded } from './recorded.js';
import { storedValue } from './records.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { nameOf, type Who } from './who.js';

export interface ValidateRequest {
  token: string;
  authorities: CertAuthority[];
  /** Of the leaf. */
  remoteAddr: string;
}

/**
 * A cluster wants to become a leaf.
 *
 * @returns our authorities of hosts and users
 * @throws TeleportError `AccessDenied` for a token or authorities that are not good, `AlreadyExists` for a name that is taken
 */
export async function validateTrustedCluster(state: AuthState, request: ValidateRequest): Promise<CertAuthority[]> {
  state.joinLimits.attempt(ipOf(request.remoteAddr) ?? request.remoteAddr);
  await checkToken(state, request.token);
  const { cluster, authorities } = checkedAuthorities(request.authorities, ['host']);
  if (isSameCluster(cluster, state.clusterName)) {
    throw new TeleportError('AccessDenied', `remote cluster has same name as this cluster: ${cluster}`);
  }
  const { remotes } = state.authorities;
  const look = async () => {
    const recordOf = async () => (await state.remoteClusters.list()).map(({ metadata }) => metadata.name);
    const holder = remotes.nameLike(cluster) ?? (await recordOf()).find((name) => isSameCluster(name, cluster));
    if (holder !== undefined) throw taken(state, holder);
  };
  await look();
  await recorded(state, ['remote_cluster.create', { name: cluster, 'addr.remote': request.remoteAddr }], () =>
    remotes.change(cluster, async (remote) => {
      await look();
      await state.remoteClusters.create({
        kind: 'remote_cluster',
        version: 'v3',
        metadata: { name: cluster },
        status: { connection: 'offline' },
      });
      await remote.put(authorities).catch(async (error: unknown) => {
        await state.remoteClusters.delete(cluster);
        throw error;
      });
    }),
  );
  return (['host', 'user'] as const).map((type) => state.authorities.get(type).resource);
}

const taken = ({ clusterName }: AuthState, cluster: string) =>
  new TeleportError(
    'AlreadyExists',
    `leaf cluster name ${JSON.stringify(cluster)} is taken at root cluster ${JSON.stringify(clusterName)}. If that is the same cluster, remove it at the root first: tctl rm rc/${shellWord(cluster)}`,
  );

async function checkToken(state: AuthState, token: string): Promise<void> {
  const known = await tokenOf(state, token).catch((cause: unknown) => {
    state.log.info('A cluster that wants to become a leaf has a token that is not good.', { error: messageOf(cause) });
    throw new TeleportError('AccessDenied', 'the remote server denied access: invalid cluster token', { cause });
  });
  requireMethod(known, 'token');
  if (!known.roles.includes(TRUST_ROLES.token)) {
    throw new TeleportError(
      'AccessDenied',
      'role does not match: the token is not one of "tctl tokens add --type=trusted_cluster"',
    );
  }
}

/** @throws NotFound `remote cluster "x" is not found` */
export async function getRemoteCluster(state: AuthState, who: Who, name: string): Promise<RemoteCluster> {
  requireRule(who, 'remote_cluster', 'read');
  const found = await state.remoteClusters.get(name);
  if (found === undefined) throw notFound(name);
  return await withStatus(state, found);
}

export async function listRemoteClusters(state: AuthState, who: Who): Promise<RemoteCluster[]> {
  requireRule(who, 'remote_cluster', 'list', 'read');
  return await Promise.all((await state.remoteClusters.list()).map((one) => withStatus(state, one)));
}

/** From now on the leaf is a stranger, and what runs through its tunnels ends. */
export async function deleteRemoteCluster(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'remote_cluster', 'delete');
  // What an older version has left may have the authority alone.
  const isOrphan = async () => state.authorities.remotes.has(name) && !(await state.trustedClusters.get(name));
  if (!(await state.remoteClusters.get(name)) && !(await isOrphan())) throw notFound(name);
  await recorded(state, ['remote_cluster.delete', { name, user: nameOf(who) }], () =>
    state.authorities.remotes.change(name, async (remote) => {
      await remote.drop();
      await state.remoteClusters.delete(name);
      for (const { key } of await state.store.range(`${keyOf(HEARTBEATS, name)}/`)) await state.store.delete(key);
    }),
  );
}

const notFound = (name: string) => new TeleportError('NotFound', `remote cluster ${JSON.stringify(name)} is not found`);

interface Heartbeat {
  /** RFC 3339. */
  at: string;
  isOnline: boolean;
}

const HEARTBEATS = 'remote_heartbeat';
/** How long a word of a Proxy's is good. */
export const LEAF_TTL_MS = 180_000;

/** A Proxy says which leafs hold a tunnel to it. */
export async function reportLeafs(state: AuthState, hostId: string, online: readonly string[]): Promise<void> {
  const at = state.now().toISOString();
  for (const { metadata } of await state.remoteClusters.list()) {
    const key = keyOf(HEARTBEATS, metadata.name, hostId);
    const isOnline = online.includes(metadata.name);
    const last = await state.store.get(key);
    if (!isOnline && !(last && storedValue<Heartbeat>(last).isOnline)) continue;
    const said: Heartbeat = isOnline ? { at, isOnline } : { ...storedValue<Heartbeat>(last!), isOnline };
    await state.store.put(key, JSON.stringify(said));
  }
}

async function withStatus(state: AuthState, cluster: RemoteCluster): Promise<RemoteCluster> {
  const items = await state.store.range(`${keyOf(HEARTBEATS, cluster.metadata.name)}/`);
  const heard = items.map((item) => storedValue<Heartbeat>(item));
  const since = state.now().getTime() - LEAF_TTL_MS;
  const isOnline = heard.some((one) => one.isOnline && Date.parse(one.at) > since);
  const last = heard
    .map(({ at }) => at)
    .sort()
    .at(-1);
  return {
    ...cluster,
    status: { connection: isOnline ? 'online' : 'offline', ...(last ? { last_heartbeat: last } : {}) },
  };
}
