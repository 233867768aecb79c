/**
 * `ListResources` over database servers: what the caller may see, narrowed by labels, keywords and predicate, page by page
 * in the order of database name and host. Source: auth-grpc-and-routing.md 3.4.
 */
import { unknownStatus } from '../api/status.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { compileFilter } from '../rbac/predicate.js';
import type { Database, DatabaseServer } from '../resources/types.js';
import { Slices } from '../slices.js';
import { checkWord, checkWords } from './asked-words.js';
import { sees } from './databases.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import type { Who } from './who.js';

export interface ListRequest {
  resourceType: string;
  limit: number;
  startKey: string;
  labels: Record<string, string>;
  predicate: string;
  keywords: readonly string[];
  isDescending: boolean;
}

const MAX_LIMIT = 1000;
/** Kinds that exist in Teleport and never have members here. */
const EMPTY_KINDS = new Set([
  'node',
  'app_server',
  'kube_server',
  'kube_cluster',
  'windows_desktop',
  'windows_desktop_service',
  'db_service',
  'user_group',
  'saml_idp_service_provider',
  'git_server',
  'app',
]);

export async function listServers(
  state: AuthState,
  who: Who,
  request: ListRequest,
): Promise<{ items: DatabaseServer[]; next: string; total: number }> {
  if (EMPTY_KINDS.has(request.resourceType)) return { items: [], next: '', total: 0 };
  if (request.resourceType !== 'db_server') {
    throw new TeleportError('NotImplemented', `resource type ${request.resourceType} does not support pagination`);
  }
  requireRule(who, 'db_server', 'list', 'read');
  checkSizes(request);
  const order = request.isDescending ? -1 : 1;
  const all = (await wanted(await state.servers.list(), sees(who), request))
    .map((server) => ({ server, key: `${server.spec.database.metadata.name}/${server.spec.host_id}` }))
    .sort((a, b) => (a.key < b.key ? -order : order));
  const from =
    request.startKey === ''
      ? 0
      : all.findIndex(({ key }) => (order > 0 ? key >= request.startKey : key <= request.startKey));
  if (from < 0) return { items: [], next: '', total: all.length };
  const size = request.limit > 0 ? Math.min(request.limit, MAX_LIMIT) : MAX_LIMIT;
  return {
    items: all.slice(from, from + size).map(({ server }) => server),
    next: all[from + size]?.key ?? '',
    total: all.length,
  };
}

/** @throws TeleportError `BadParameter` naming what there is too much of */
function checkSizes({ labels, keywords, startKey }: ListRequest): void {
  checkWords(
    'labels',
    Object.entries(labels).map(([key, value]) => key + value),
  );
  checkWords('search_keywords', keywords);
  checkWord('start_key', startKey);
}

/** Those that the caller sees and asks for, a slice at a time: neither a long list nor a long predicate holds up others. */
async function wanted(
  servers: DatabaseServer[],
  isVisible: (database: Database) => boolean,
  request: ListRequest,
): Promise<DatabaseServer[]> {
  const matches = filterOf(request);
  const slices = new Slices();
  const found: DatabaseServer[] = [];
  for (const server of servers) {
    await slices.next();
    if (isVisible(server.spec.database) && matches(server)) found.push(server);
  }
  return found;
}

/** Both throw status Unknown, in Teleport's words, for a predicate that cannot be read. */
function filterOf({ labels, keywords, predicate }: ListRequest): (server: DatabaseServer) => boolean {
  const inTeleportsWords = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw isTeleportError(error, 'BadParameter') ? unknownStatus(error.message) : error;
    }
  };
  const matches = inTeleportsWords(() => compileFilter({ labels, search: keywords, query: predicate }));
  return ({ spec, status }) =>
    inTeleportsWords(() => matches({ database: spec.database, health: status?.target_health?.status }));
}
