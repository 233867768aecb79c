/**
 * What the database commands ask of a cluster's Auth Service, each a function over the gRPC client: list, who am I there,
 * is a second factor wanted, make me a certificate. Works the same on our clusters and Teleport's.
 *
 * Source: auth-grpc-and-routing.md sections 3.1 and 3.4.
 */
import type { AuthClient } from '../../api/client.js';
import { fromMessage } from '../../api/convert.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { expandRole } from '../../rbac/templates.js';
import type { Database, Role, Traits } from '../../resources/types.js';
import type { DatabaseFilter } from '../access.js';

/** What one page may hold; halved by tsh when the answer is too large for one message. */
const PAGE_SIZE = 1000;
/** Names in one predicate; Teleport's own limit for `db exec`. */
export const MAX_NAMES = 100;

/** Pages that are followed, and messages of one stream that are taken. Ours: a list that goes on beyond is no list. */
const MOST_PAGES = 1000;
const MOST_MESSAGES = 100_000;

/** Requesters that Auth knows (`UserCertsRequest.requester_name`). */
export const REQUESTER = { none: 0, localProxyTunnel: 1, dbExec: 5 } as const;

/** Usage `database` and the purpose of certificates made after a second factor. */
const USAGE_DATABASE = 3;

/**
 * The databases one may see, one per name, sorted by name. `useSearchAsRoles` also finds what one could request.
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
      return `(name == ${quoted}) || (labels["teleport.internal/discovered-name"] == ${quoted})`;
    })
    .reduce((all, one) => (all === '' ? one : `(${all}) || (${one})`), '');
  if (byName === '') return filter.query ?? '';
  return filter.query ? `(${byName}) && (${filter.query})` : byName;
}

export interface RemoteCluster {
  name: string;
  /** `online`, `offline`. */
  status: string;
  labels: Record<string, string>;
}

/** The leaves of a root cluster, sorted by name. */
export async function remoteClusters(root: AuthClient): Promise<RemoteCluster[]> {
  const found: RemoteCluster[] = [];
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

export interface CertificateRequest {
  username: string;
  clusterName: string;
  database: Database;
  dbUser: string;
  dbName: string;
  dbRoles: string[];
  /** PEM of the public key. */
  tlsPublicKey: string;
  /** The end of the login certificate; the server cuts it further. */
  expires: Date;
  requester: number;
  accessRequests: string[];
}

/** Whether this database wants a second factor for each session. */
export async function isMfaRequired(auth: AuthClient, request: CertificateRequest): Promise<boolean> {
  const answer = await auth.auth.isMFARequired({ target: { case: 'database', value: routeOf(request) } });
  return answer.required;
}

/** A certificate for one database, PEM. Nothing is checked at issuance; refusals come with the connection. */
export async function generateDatabaseCertificate(auth: AuthClient, request: CertificateRequest): Promise<string> {
  const seconds = Math.floor(request.expires.getTime() / 1000);
  const { tls } = await auth.auth.generateUserCerts({
    username: request.username,
    expires: { seconds: BigInt(seconds), nanos: 0 },
    routeToCluster: request.clusterName,
    accessRequests: request.accessRequests,
    routeToDatabase: routeOf(request),
    usage: USAGE_DATABASE,
    routeToApp: {},
    routeToWindowsDesktop: {},
    requesterName: request.requester,
    tlsPublicKey: Buffer.from(request.tlsPublicKey),
  });
  return Buffer.from(tls).toString();
}

function routeOf({ database, dbUser, dbName, dbRoles }: CertificateRequest) {
  return {
    serviceName: database.metadata.name,
    protocol: database.spec.protocol,
    username: dbUser,
    database: dbName,
    roles: dbRoles,
  };
}
