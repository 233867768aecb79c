/**
 * What the configuration left out about a Redshift database and AWS knows: region, account, cluster or workgroup id, and
 * its tags as labels. Fetched once when the database registers; a refusal is no obstacle to using the database.
 *
 * Source: database-service.md 6.1 and 6.2.
 */
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { awsOf, isSet } from '../resources/database-type.js';
import type { Database } from '../resources/types.js';
import { isRedshift } from '../upstream/connect.js';
import type { Registry } from './registry.js';

export async function completeMetadata(database: Database, registry: Registry, log: Logger): Promise<void> {
  if (!isRedshift(database) || isSet(database.status?.aws)) return;
  try {
    const { fetchMetadata } = await import('../aws/metadata.js');
    const found = await fetchMetadata(awsOf(database));
    registry.complete(database, {
      ...database,
      // What was written by hand wins over a tag of the same name.
      metadata: { ...database.metadata, labels: { ...found.labels, ...database.metadata.labels } },
      status: { ...database.status, aws: { ...database.spec.aws, ...found.aws } },
    });
  } catch (error) {
    const say = isTeleportError(error, 'AccessDenied') ? log.debug : log.warn;
    say('Cannot read AWS metadata of a database.', { db: database.metadata.name, error: messageOf(error) });
  }
}
