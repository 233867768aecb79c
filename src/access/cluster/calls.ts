/**
 * What the database commands ask of a cluster's Auth Service, each a function over the gRPC client: list, who am I there.
 * Certificates: `issue.ts`. Works the same on our clusters and Teleport's.
 *
 * Source: auth-grpc-and-routing.md 3.1.
 */

import type { AuthClient } from '../../api/client.js';
import { fromMessage } from '../../api/convert.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { expandRole } from '../../rbac/templates.js';
import { DISCOVERED_NAME_LABEL } from '../../resources/labels.js';
import type { Database, Role, Traits } from '../../resources/types.js';
import type { DatabaseFilter } from '../access.js';

/** What one page may hold; halved by tsh when the answer is too large for one message. */
const PAGE_SIZE = 1000;
/** Names in one predicate; Teleport's own limit for `db exec`. */
export const MAX_NAMES = 100;

/** Pages that are followed, and messages of one stream that are taken. Our own limits: a list does not go on beyond. */
const MOST_PAGES = 1000;
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
  const found = new Map<string, Database>();
  let startKey = '';
  let limit = PAGE_SIZE;
  for (let page = 0; ; page++) {
    if (page === MOST_PAGES) throw tooMany('databases');
    try {
      const page = await auth.auth.listResources({
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
      for (const { resource } of page.resources) {
        if (resource.case !== 'databaseServer' || !resource.value.spec?.database) continue;
        const database = fromMessage('db', resource.value.spec.database);
        if (!found.has(database.metadata.name)) found.set(database.metadata.name, database);
      }
      startKey = page.nextKey;
      if (startKey === '' || page.resources.length === 0) break;
    } catch (error) {
      if (!isTeleportError(error, 'LimitExceeded') || limit === 1) throw error;
      limit = Math.max(1, Math.floor(limit / 2));
    }
  }
  return [...found.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
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
  const found: LeafCluster[] = [];
  let pageToken = '';
  for (let page = 0; ; page++) {
    if (page === MOST_PAGES) throw tooMany('clusters');
    const answer = await root.presence.listRemoteClusters({ pageToken });
    for (const { metadata, status } of answer.remoteClusters) {
      found.push({ name: metadata?.name ?? '', status: status?.connection ?? '', labels: metadata?.labels ?? {} });
    }
    pageToken = answer.nextPageToken;
    if (pageToken === '') break;
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

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
    if (messages.length === MOST_MESSAGES) throw tooMany(what);
    messages.push(message);
  }
  return messages;
}

function tooMany(what: string): TeleportError {
  return new TeleportError('LimitExceeded', `the cluster's list of ${what} does not end`);
}
