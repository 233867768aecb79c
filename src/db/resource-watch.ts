/** The cluster's db resources that the matchers select, now and at every change; begins again when the line breaks. */

import type { AuthClient } from '../api/client.js';
import { fromMessage } from '../api/convert.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import { checkServed } from '../resources/served.js';
import type { Database } from '../resources/types.js';
import { checkDatabase } from '../resources/validate-database.js';
import { rest } from '../wait.js';
import type { Registry } from './registry.js';
import { type ResourceMatcher, selectedBy } from './resource-matcher.js';

export interface ResourceWatchOptions {
  matchers: readonly ResourceMatcher[];
  auth: AuthClient;
  registry: Registry;
  log: Logger;
  signal: AbortSignal;
}

/** Until the signal. Never rejects. */
export async function watchResources(options: ResourceWatchOptions): Promise<void> {
  const { matchers, auth, registry, log, signal } = options;
  const known = new Map<string, Database>();
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const change of auth.databaseAgent.watchDatabases({}, { signal, timeoutMs: 0 })) {
        if (change.initial) known.clear();
        for (const message of change.put) {
          const database = readable(message, log);
          if (database) known.set(database.metadata.name, database);
        }
        for (const name of change.deleted) known.delete(name);
        registry.setResources([...known.values()].flatMap((database) => selectedBy(database, matchers) ?? []));
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn('Watching db resources failed, trying again.', { error: messageOf(error) });
    }
    const pauseMs = Math.min(30_000, 500 * 2 ** failures++);
    await rest(pauseMs, signal);
  }
}

/** One resource that cannot be read must not cost the others. */
function readable(message: Parameters<typeof fromMessage<'db'>>[1], log: Logger): Database | undefined {
  try {
    const database = databaseWithDefaults(fromMessage('db', message));
    checkDatabase(database);
    checkServed(database);
    return database;
  } catch (error) {
    log.warn('Ignoring a db resource.', { db: message.metadata?.name, error: messageOf(error) });
    return undefined;
  }
}
