/** What `tsh db ls` shows: the databases of a back end with those that the person is logged into marked, and what failed. */
import type { Access, AccessibleDatabase, ActiveDatabase, DatabaseFilter } from '../../access/access.js';
import { TeleportError } from '../../errors.js';
import type { ListedDatabase } from './table.js';

/** Databases of one back end as they are listed. @param flags  what a command needs to find them again */
export async function listDatabasesOf(
  access: Access,
  filter: DatabaseFilter,
  flags: readonly string[],
): Promise<ListedDatabase[]> {
  const [found, active] = await Promise.all([access.databases(filter), access.active()]);
  return found.map((one) => ({
    ...one,
    active: active.find((other) => isSame(other, one)),
    proxy: access.proxyAddress,
    cluster: access.clusterName,
    flags,
  }));
}

function isSame({ name, uri }: ActiveDatabase, { database: { metadata, spec } }: AccessibleDatabase): boolean {
  return name === metadata.name && (uri === undefined || uri === spec.uri);
}

/** Several failures as one error, a line for each. */
export function oneFailure(failures: readonly TeleportError[]): TeleportError {
  if (failures.length === 1) return failures[0]!;
  const lines = failures.map(({ message }) => message).sort();
  return new TeleportError('ConnectionProblem', lines.join('\n'));
}
