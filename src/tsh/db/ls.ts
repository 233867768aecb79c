/** `tsh db ls`: the databases that you can use. Source: cli.md 4.1. */
import type { DatabaseFilter } from '../../access/access.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printJson, printLine, printTable, printYaml } from '../../cli/output.js';
import { waitingFor } from '../../cli/progress.js';
import { printableDatabase } from '../../resources/printable.js';
import type { DbArgs } from './args.js';
import { NOT_LISTED, parseLabels } from './choose.js';
import { listDatabasesOf, oneFailure } from './list.js';
import { databaseTable, type ListedDatabase } from './table.js';

export interface DbLsArgs extends DbArgs {
  labels?: string | undefined;
  verbose: boolean;
  search?: string | undefined;
  query?: string | undefined;
  format: 'text' | 'json' | 'yaml';
  all: boolean;
}

/** A table of at least this many rows comes with a hint on how to search. */
const HINT_ROWS = 20;

export async function run(env: Env, args: DbLsArgs): Promise<void> {
  const filter = { labels: parseLabels(args.labels), search: searchWords(args.search), query: args.query || undefined };
  if (args.all) await listEvery(env, args, filter);
  else await printDatabases(env, args, await ownDatabases(env, args, filter));
}

/** A person sees what is there, and then what a cluster that hangs may still say; a program gets one list. */
async function listEvery(env: Env, args: DbLsArgs, filter: DatabaseFilter): Promise<void> {
  const { everyDatabase } = await import('./every-cluster.js');
  const isEarly = args.format === 'text' && env.isTty.stdout;
  const { databases, failures, late } = await everyDatabase(env, args, filter, { isEarly });
  await printDatabases(env, args, databases);
  if (late) {
    const rest = await waitingFor(env, late.clusters.join(', '), late.listing, { patienceMs: 0 });
    if (rest.databases.length > 0) await printDatabases(env, args, rest.databases);
    failures.push(...rest.failures);
  }
  if (failures.length > 0) throw oneFailure(failures);
}

async function ownDatabases(env: Env, args: DbLsArgs, filter: DatabaseFilter): Promise<ListedDatabase[]> {
  await using access = await openAccess(env, args);
  return await listDatabasesOf(access, filter, args.cluster ? [`--cluster=${args.cluster}`] : []);
}

async function printDatabases(env: Env, args: DbLsArgs, databases: ListedDatabase[]): Promise<void> {
  if (args.format !== 'text') {
    const values = databases.map((listed) => (args.all ? withPlace(listed) : withUsers(listed)));
    if (args.format === 'json') printJson(env, values);
    else await printYaml(env, values);
    return;
  }
  await printTable(env, databaseTable(databases, { verbose: args.verbose, all: args.all }));
  printLine(env);
  // A narrow table cuts the reason.
  for (const { database, users } of args.verbose ? [] : databases) {
    if (users.refused !== undefined) printLine(env, `${database.metadata.name}: you cannot enter: ${users.refused}`);
  }
  const isFiltered = args.labels || args.search || args.query;
  if (databases.length === 0 && !isFiltered) env.stderr.write(`${NOT_LISTED}\n`);
  if (databases.length >= HINT_ROWS && !isFiltered) {
    printLine(env, "hint: use 'tsh db ls --search foo,bar' to filter keywords");
    printLine(env, "      use 'tsh db ls key1=value1,key2=value2' to filter labels");
    printLine(env);
  }
}

/** `foo,bar,"some phrase"` as words. */
export function searchWords(text: string | undefined): string[] | undefined {
  if (!text) return undefined;
  return [...text.matchAll(/"([^"]*)"|([^,]+)/g)].map((m) => (m[1] ?? m[2] ?? '').trim()).filter((word) => word !== '');
}

function withUsers({ database, users, dbRoles }: ListedDatabase): unknown {
  const allowed = [...users.allowed].sort();
  const denied = [...users.denied].sort();
  return {
    ...printableDatabase(database),
    ...(users.unknown
      ? {}
      : { users: { ...(allowed.length > 0 ? { allowed } : {}), ...(denied.length > 0 ? { denied } : {}) } }),
    ...(users.autoProvisioned && dbRoles.length > 0 ? { database_roles: dbRoles } : {}),
  };
}

function withPlace({ database, proxy, cluster }: ListedDatabase): unknown {
  return { proxy, cluster, database: printableDatabase(database) };
}
