/**
 * What the database commands ask of a cluster's Auth Service, each a function over the gRPC client: list, who am I there.
 * Certificates: `issue.ts`. Works the same on our clusters and Teleport's.
 *
 * Source: auth-grpc-and-routing.md 3.1.
 */

import type { AuthClient } from '../../api/client.js';
import { fromMessage } from '../../api/convert.js';
import type { RemoteClusterV3 } from '../../api/gen/types_pb.js';
import { endless, everyPage } from '../../api/pages.js';
import { isTeleportError } from '../../errors.js';
import { expandRole } from '../../rbac/templates.js';
import { DISCOVERED_NAME_LABEL } from '../../resources/labels.js';
import type { Database, Role, Traits } from '../../resources/types.js';
import type { DatabaseFilter } from '../access.js';

/** What one page may hold; halved by tsh when the answer is too large for one message. */
const PAGE_SIZE = 1000;
/** Names in one predicate; Teleport's own limit for `db exec`. */
export const MAX_NAMES = 100;

/** Messages of one stream that are taken. Our own limit: a list does not go on beyond. */
const MOST_MESSAGES = 100_000;

/**
 * The databases the person can see, one per name, sorted by name. `useSearchAsRoles` also finds what could be requested.
 *
 * @throws with the server's text, a malformed `--query` included
 */
export async function listDatabases(
  auth: AuthClient,
  filter: DatabaseFilter,
  options: { names?: string[]; useSearchAsRoles?: boolean } = {},
): Promise<Database[]> {
  const predicate = predicateOf(filter, options.names ?? (filter.name === undefined ? [] : [filter.name]));
  const ask = (startKey: string, limit: number) =>
    auth.auth.listResources({
      resourceType: 'db_server',
      namespace: 'default',
      limit,
      startKey,
      labels: filter.labels ?? {},
      predicateExpression: predicate,
      searchKeywords: filter.search ?? [],
      sortBy: {},
      windowsDesktopFilter: {},
      useSearchAsRoles: options.useSearchAsRoles ?? false,
    });
  const page = shrinking(ask);
  const found = new Map<string, Database>();
  await everyPage('databases', async (startKey) => {
    const { resources, nextKey } = await page(startKey);
    for (const { resource } of resources) {
      if (resource.case !== 'databaseServer' || !resource.value.spec?.database) continue;
      const database = fromMessage('db', resource.value.spec.database);
      if (!found.has(database.metadata.name)) found.set(database.metadata.name, database);
    }
    return { items: [], next: resources.length === 0 ? '' : nextKey };
  });
  return [...found.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Asks for half as much, from then on, whenever the answer is too large. */
function shrinking<Page>(ask: (startKey: string, limit: number) => Promise<Page>): (startKey: string) => Promise<Page> {
  let limit = PAGE_SIZE;
  return async (startKey) => {
    for (;;) {
      try {
        return await ask(startKey, limit);
      } catch (error) {
        if (!isTeleportError(error, 'LimitExceeded') || limit === 1) throw error;
        limit = Math.max(1, Math.floor(limit / 2));
      }
    }
  };
}

/** Name or discovered name, and the person's own query. */
function predicateOf(filter: DatabaseFilter, names: string[]): string {
  const byName = names
    .map((name) => {
      const quoted = JSON.stringify(name);
      return `(name == ${quoted}) || (labels["${DISCOVERED_NAME_LABEL}"] == ${quoted})`;
    })
    .reduce((all, one) => (all === '' ? one : `(${all}) || (${one})`), '');
  if (byName === '') return filter.query ?? '';
  return filter.query ? `(${byName}) && (${filter.query})` : byName;
}

export interface LeafCluster {
  name: string;
  /** `online`, `offline`. */
  status: string;
  labels: Record<string, string>;
}

/** The leaves of a root cluster, sorted by name. */
export async function remoteClusters(root: AuthClient): Promise<LeafCluster[]> {
  const found = await everyPage('clusters', async (pageToken) => {
    const { remoteClusters, nextPageToken } = await root.presence.listRemoteClusters({ pageToken });
    return { items: remoteClusters.map(leafOf), next: nextPageToken };
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const leafOf = ({ metadata, status }: RemoteClusterV3): LeafCluster => ({
  name: metadata?.name ?? '',
  status: status?.connection ?? '',
  labels: metadata?.labels ?? {},
});

export interface OwnAccess {
  username: string;
  /** Templates expanded with the traits below. */
  roles: Role[];
  traits: Traits;
}

/** The caller's roles and traits as the cluster has them now. */
export async function ownAccess(auth: AuthClient): Promise<OwnAccess> {
  const rolesOf = async () => await collected(auth.auth.getCurrentUserRoles({}), 'roles');
  const [messages, { user }] = await Promise.all([rolesOf(), auth.users.getUser({ currentUser: true })]);
  const me = fromMessage('user', user!);
  return {
    username: me.metadata.name,
    roles: messages.map((message) => expandRole(fromMessage('role', message), me.spec.traits)),
    traits: me.spec.traits,
  };
}

/** All messages of a stream. @throws LimitExceeded when it does not end */
export async function collected<Message>(stream: AsyncIterable<Message>, what: string): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) {
    if (messages.length === MOST_MESSAGES) throw endless(what);
    messages.push(message);
  }
  return messages;
}
