/**
 * What the configuration left out about a Redshift database and AWS knows: region, account, cluster or workgroup id, and
 * its tags as labels. Asked when a database registers. A refusal does not keep anybody from using the database and is not asked
 * again; where AWS was not reached it is asked again later.
 *
 * Source: database-service.md 6.1 and 6.2.
 */

import { atOnce } from '../at-once.js';
import { isRedshift } from '../dbserver/connect.js';
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { awsOf } from '../resources/database-type.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import type { Database } from '../resources/types.js';
import { rest } from '../wait.js';
import type { Registry } from './registry.js';

export interface MetadataOptions {
  registry: Registry;
  log: Logger;
  signal: AbortSignal;
  /** Before the second question; doubled each time, to half an hour. Default 1 min. */
  retryMs?: number;
}

export interface MetadataImport {
  /** Resolves when nothing is left to ask about this record. Never rejects. */
  complete(database: Database): Promise<void>;
}

const LONGEST_RETRY_MS = 30 * 60_000;
/** Questions at the same time: AWS limits how often it may be asked. */
const AT_ONCE = 5;

export function importMetadata({ registry, log, signal, retryMs = 60_000 }: MetadataOptions): MetadataImport {
  /** Records that are complete or being completed. */
  const known = new WeakSet<Database>();
  const inTurn = atOnce(AT_ONCE);
  const ask = async (database: Database): Promise<'done' | 'later'> => {
    try {
      const { fetchMetadata } = await import('../aws/metadata.js');
      const found = await fetchMetadata(awsOf(database));
      const completed: Database = {
        ...database,
        // What was written by hand wins over a tag of the same name.
        metadata: { ...database.metadata, labels: { ...found.labels, ...database.metadata.labels } },
        status: { ...database.status, aws: { ...awsOf(database), ...found.aws } },
      };
      known.add(completed);
      registry.complete(database, completed);
      return 'done';
    } catch (error) {
      const isDenied = isTeleportError(error, 'AccessDenied');
      const say = isDenied ? log.debug : log.warn;
      say('Cannot read AWS metadata of a database.', { db: database.metadata.name, error: messageOf(error) });
      const isPassing = isTeleportError(error, 'ConnectionProblem') || isTeleportError(error, 'LimitExceeded');
      return isPassing ? 'later' : 'done';
    }
  };
  return {
    async complete(database) {
      // Discovery has just asked AWS about its own.
      if (!isRedshift(database) || database.metadata.labels?.[ORIGIN_LABEL] === 'cloud' || known.has(database)) return;
      known.add(database);
      let waitMs = retryMs;
      while (!signal.aborted && (await inTurn(() => ask(database))) === 'later') {
        await rest(waitMs, signal, { isIdle: true });
        waitMs = Math.min(2 * waitMs, LONGEST_RETRY_MS);
        if (registry.get(database.metadata.name) !== database) return;
      }
    },
  };
}
