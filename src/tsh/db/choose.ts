/**
 * Which database a command means. The rules are Teleport's: an active database by its name, else exactly one of those that
 * the cluster has under that name, labels and query; otherwise an error that says how to choose.
 *
 * Source: cli.md 4.2.
 */

import type { Access, AccessibleDatabase, ActiveDatabase, DatabaseFilter } from '../../access/access.js';
import { databaseNameOf } from '../../access/endpoint.js';
import type { Env } from '../../cli/env.js';
import { printLine, tableFor } from '../../cli/output.js';
import { askLine } from '../../cli/prompt.js';
import { closest, TeleportError } from '../../errors.js';
import { shellWord } from '../../shell-word.js';
import { databaseTable } from './table.js';

/** How access is asked for where a database is not there for one: flags of `db login`, `db connect`, `proxy db`. */
export interface RequestArgs {
  requestReason?: string | undefined;
  disableAccessRequest?: boolean | undefined;
}

export interface Selectors {
  db?: string | undefined;
  labels?: string | undefined;
  query?: string | undefined;
}

const NOT_LOGGED_IN = "please login using 'tsh db login' first (use 'tsh db ls' to see registered databases)";

/** `k=v,k2=v2` as a record. @throws BadParameter for anything else */
export function parseLabels(text: string | undefined): Record<string, string> | undefined {
  if (!text) return undefined;
  return Object.fromEntries(
    text.split(',').map((part) => {
      const at = part.indexOf('=');
      if (at <= 0) throw new TeleportError('BadParameter', `invalid label spec: '${text}', should be 'key=value'`);
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
}

/** For `db login`, `db connect`, `proxy db`. */
export async function chooseDatabase(
  env: Env,
  access: Access,
  selectors: Selectors & RequestArgs,
): Promise<AccessibleDatabase> {
  const active = await access.active();
  const hasSelectors = Boolean(selectors.labels || selectors.query);
  let name = selectors.db;
  if (!name && !hasSelectors) {
    if (active.length > 1) {
      const names = active.map(({ name }) => name).sort();
      throw new TeleportError(
        'BadParameter',
        `multiple databases are available (${names.join(', ')}), please specify one by name, --labels, or --query`,
      );
    }
    if (active.length === 0) {
      throw new TeleportError('BadParameter', 'please specify a database service by name, --labels, or --query');
    }
    name = active[0]!.name;
  }
  const shown = name && databaseNameOf(name);
  const known = hasSelectors ? undefined : active.find((one) => one.name === shown);
  // What is stored is enough to connect; whether the database still exists is said by whoever is asked to open it.
  if (known) return fromActive(known);
  const filter: DatabaseFilter = { name, labels: parseLabels(selectors.labels), query: selectors.query || undefined };
  const found = await access.databases(filter);
  if (found.length === 0 && access.requests?.canTakeUp && !selectors.disableAccessRequest) {
    const got = await requested(env, access, filter, selectors);
    if (got) return got;
  }
  const near = found.length === 0 && shown ? await neighbour(access, shown) : undefined;
  return await oneOf(env, found, active, { ...selectors, db: shown }, near);
}

/** The database whose name looks most like one that is not there. Best effort: the refusal stands without it. */
async function neighbour(access: Access, name: string): Promise<string | undefined> {
  const all = await access.databases({}).catch(() => []);
  return closest(
    name,
    all.map(({ database }) => database.metadata.name),
  );
}

/** The database that the person can only request: ask, wait, and look again with what was given. */
async function requested(
  env: Env,
  access: Access,
  filter: DatabaseFilter,
  { requestReason, ...selectors }: Selectors & RequestArgs,
): Promise<AccessibleDatabase | undefined> {
  const requestable = await access.databases(filter, { useSearchAsRoles: true });
  if (requestable.length === 0) return undefined;
  const wanted = await oneOf(env, requestable, [], { ...selectors, db: filter.name });
  const { name } = wanted.database.metadata;
  const { makeRequest } = await import('../request/execute.js');
  printLine(env, `You do not currently have access to ${JSON.stringify(name)}, attempting to request access.`);
  printLine(env);
  const reason =
    requestReason ||
    (await askLine(env, 'Enter request reason: ', {
      withoutTerminal: 'an access request needs a reason, and nobody can be asked: give --request-reason',
    }));
  const resources = [{ cluster: access.clusterName, kind: 'db', name }];
  await makeRequest(env, access.requests!, { resources, reason });
  return await oneOf(env, await access.databases({ name }), [], { db: name });
}

function fromActive({ name, protocol }: ActiveDatabase): AccessibleDatabase {
  const unknown = { allowed: [], denied: [], unknown: true };
  const database = { kind: 'db', version: 'v3', metadata: { name }, spec: { protocol, uri: '' } } as const;
  return { database, users: unknown, names: unknown, dbRoles: [] };
}

/** Why a database that somebody made may not be there for this person. */
export const NOT_LISTED =
  'A database is listed once an agent serves it and your roles allow it. Administrators see those that no agent serves: tctl db ls.';

async function oneOf(
  env: Env,
  found: AccessibleDatabase[],
  active: readonly ActiveDatabase[],
  selectors: Selectors,
  near?: string,
): Promise<AccessibleDatabase> {
  const nameOf = ({ database }: AccessibleDatabase) => database.metadata.name;
  const activeNames = new Set(active.map(({ name }) => name));
  const isActive = found.filter((one) => activeNames.has(nameOf(one)));
  const rest = isActive.length > 0 ? isActive : found;
  const exact = rest.filter((one) => nameOf(one) === selectors.db);
  const candidates = exact.length > 0 ? exact : rest;
  const [first] = candidates;
  if (first && candidates.length === 1) return first;
  const what = described(selectors);
  if (first === undefined) {
    const gone = selectors.db !== undefined && activeNames.has(selectors.db) ? selectors.db : undefined;
    throw new TeleportError('NotFound', `${what} not found, use 'tsh db ls' to see registered databases`, {
      hint:
        gone !== undefined
          ? `you are logged into a database that no longer exists in the cluster (remove it with 'tsh db logout ${shellWord(gone)}')`
          : near === undefined
            ? NOT_LISTED
            : `Did you mean ${JSON.stringify(near)}?`,
    });
  }
  const unknownUsers = candidates.map((one) => ({ ...one, users: { allowed: [], denied: [], unknown: true } }));
  const { text: table } = await tableFor(env, databaseTable(unknownUsers, { verbose: true }), 'stderr');
  throw new TeleportError(
    'BadParameter',
    [
      what === 'database' ? 'multiple databases are available:' : `${what} matches multiple databases:`,
      '',
      table,
      "Hint: use 'tsh db ls -v' or 'tsh db ls --format=[json|yaml]' to list all databases with full details.",
      candidates.every((one) => nameOf(one) === nameOf(first))
        ? `Hint: try selecting the database by its URI (ex: tsh db connect ${shellWord(first.database.spec.uri)}).`
        : `Hint: try selecting the database with a more specific name (ex: tsh db connect ${shellWord(nameOf(first))}).`,
      'Hint: try selecting the database with additional --labels or --query predicate.',
    ].join('\n'),
  );
}

/**
 * For `db env`, `db config`, `db logout`: the databases that the person is logged into and that are meant. The cluster is asked
 * only where what is stored cannot tell: for labels, a query, or the beginning of a name.
 */
export async function chooseActive(access: Access, selectors: Selectors): Promise<ActiveDatabase[]> {
  const active = await access.active();
  const { labels, query } = selectors;
  const db = selectors.db && databaseNameOf(selectors.db);
  const asked = described({ ...selectors, db });
  if (active.length === 0 && !db && !labels && !query) throw new TeleportError('NotFound', NOT_LOGGED_IN);
  const named = db ? active.filter(({ name }) => name === db) : active;
  if (!labels && !query && named.length > 0) return named;
  const notLoggedIn = new TeleportError('NotFound', `not logged into ${asked}`);
  if (db ? !active.some(({ name }) => name.startsWith(db)) : active.length === 0) throw notLoggedIn;
  const found = await access.databases({ name: db, labels: parseLabels(labels), query: query || undefined });
  if (found.length === 0 && db) {
    throw new TeleportError('NotFound', `${asked} not found, use 'tsh db ls' to see registered databases`, {
      hint: NOT_LISTED,
    });
  }
  const names = new Set(found.map(({ database }) => database.metadata.name));
  const matches = active.filter(({ name }) => names.has(name));
  if (matches.length === 0) throw notLoggedIn;
  return matches;
}

/** `database "x" with labels "env=a" with query (…)`. */
function described({ db, labels, query }: Selectors): string {
  return [
    db ? `database "${db}"` : 'database',
    labels ? ` with labels "${labels}"` : '',
    query ? ` with query (${query})` : '',
  ].join('');
}

/** Exactly one active database, for `db env` and `db config`. */
export async function chooseOneActive(access: Access, selectors: Selectors): Promise<ActiveDatabase> {
  const matches = await chooseActive(access, selectors);
  if (matches.length === 1) return matches[0]!;
  const names = matches.map(({ name }) => name).sort();
  throw new TeleportError(
    'BadParameter',
    `multiple databases are available (${names.join(', ')}), please specify one by name, --labels, or --query`,
  );
}
