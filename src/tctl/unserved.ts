/**
 * Databases that stand in the cluster and that no agent serves: nobody can connect to them, and nothing else says so. Who
 * may not look at databases or servers gets an error from here, which a caller whose own work is done lets go.
 */

import type { AuthClient } from '../api/client.js';
import { listDatabases } from '../api/list-databases.js';
import type { Env } from '../cli/env.js';
import { printWarning } from '../cli/output.js';
import type { DatabaseServer } from '../resources/types.js';
import { rest } from '../wait.js';
import { listDatabaseServers } from './lists.js';

/** An agent that serves a new database has said so by then. Our own limit. */
const PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 100;
const MOST_NAMES = 10;

/** Names of the databases without a server among these. */
export async function unserved(client: AuthClient, servers: readonly DatabaseServer[]): Promise<string[]> {
  const served = new Set(servers.map(({ metadata }) => metadata.name));
  return (await listDatabases(client)).map(({ metadata }) => metadata.name).filter((name) => !served.has(name));
}

/** Those of these new databases that no agent has taken up within a moment. */
export async function stillUnserved(client: AuthClient, names: readonly string[]): Promise<string[]> {
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    const served = new Set((await listDatabaseServers(client)).map(({ metadata }) => metadata.name));
    const left = names.filter((name) => !served.has(name));
    if (left.length === 0 || waited >= PATIENCE_MS) return left;
    await rest(LOOK_EVERY_MS);
  }
}

export function warnUnserved(env: Env, names: readonly string[]): void {
  if (names.length === 0) return;
  const shown = names.slice(0, MOST_NAMES).map((name) => JSON.stringify(name));
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const what = names.length === 1 ? 'database' : 'databases';
  printWarning(
    env,
    `no agent serves ${what} ${shown.join(', ')}${more}, so nobody can connect. An agent serves what the labels under "db_service: resources:" of its configuration match; with none yet: teleport db configure create --help`,
  );
}
