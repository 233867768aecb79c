/**
 * Looks after the users that an agent has left behind, this one before its last start or another that serves the same server: when a
 * database comes, and again and again. One look a server, however many databases of it there are.
 */
import { atOnce } from '../at-once.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { supportsAutoUsers } from '../rbac/auto-users.js';
import { endpointOf } from '../resources/database-uri.js';
import type { Database } from '../resources/types.js';
import { rest } from '../wait.js';
import type { AutoUsers } from './auto-users.js';
import type { Registry } from './registry.js';

export interface UserSweepOptions {
  registry: Registry;
  autoUsers: Pick<AutoUsers, 'sweep'>;
  /** Called for each user that was disabled or dropped. */
  onEnd: (database: Database, user: string, end: { isDropped: boolean }) => void;
  log: Logger;
  signal: AbortSignal;
  /** Default 10 min. */
  everyMs?: number;
}

/** Servers at the same time. */
const AT_ONCE = 2;

/** Resolves after the signal. Never rejects. */
export async function sweepUsers(options: UserSweepOptions): Promise<void> {
  const { registry, signal, everyMs = 10 * 60_000 } = options;
  const look = looker(options);
  registry.onChange(
    (names) =>
      void look(
        names.flatMap((name) => registry.get(name) ?? []),
        { onlyNew: true },
      ),
  );
  while (!signal.aborted) {
    await look(registry.all(), { onlyNew: false });
    await rest(everyMs, signal, { isIdle: true });
  }
}

function looker({ autoUsers, onEnd, log, signal }: UserSweepOptions) {
  const inTurn = atOnce(AT_ONCE);
  const known = new Set<string>();
  return async (databases: readonly Database[], { onlyNew }: { onlyNew: boolean }): Promise<void> => {
    const servers = new Map(databases.filter(supportsAutoUsers).map((database) => [endpointOf(database), database]));
    const wanted = [...servers].filter(([endpoint]) => !onlyNew || !known.has(endpoint));
    for (const [endpoint] of wanted) known.add(endpoint);
    const sweep = async (database: Database) => {
      if (signal.aborted) return;
      await autoUsers
        .sweep(database, (user, end) => onEnd(database, user, end))
        .catch((error: unknown) => {
          const { name } = database.metadata;
          log.warn('Cannot look for users that were left behind.', { db: name, error: messageOf(error) });
        });
    };
    await Promise.all(wanted.map(([, database]) => inTurn(() => sweep(database))));
  };
}
