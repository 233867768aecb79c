/** What Auth hears of searches in AWS, for `tctl discovery ls`: when each ran, what it found and what failed. */
import type { AuthClient } from '../api/client.js';
import { timestampOfDate } from '../api/time.js';
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Trouble } from './distinct-names.js';
import { areaOf, areaOfDatabase } from './found.js';
import { POLL_INTERVAL_MS, type Search } from './search.js';

/** Texts of one search that are reported, and their length. Auth takes no more. */
export const MOST_FAILURES = 20;
export const LONGEST_FAILURE = 500;

export interface Report {
  nodename: string;
  /** Of `discovery_service`; none: databases of one agent. */
  group?: string | undefined;
  intervalMs?: number | undefined;
  searches: readonly Search[];
  /** What was found, and did not become what it should have. */
  troubles: readonly Trouble[];
  log: Logger;
}

/** Never rejects: a report is repeated with the next round. */
export async function reportSearches(auth: Pick<AuthClient, 'discovery'>, report: Report): Promise<void> {
  const { nodename, group = '', intervalMs = POLL_INTERVAL_MS, searches, troubles, log } = report;
  for (const { database, text } of troubles) {
    log.warn('A database of AWS is in trouble.', { db: database.metadata.name, error: text });
  }
  try {
    await auth.discovery.reportSearches({
      hostname: nodename,
      discoveryGroup: group,
      intervalSeconds: Math.ceil(intervalMs / 1_000),
      searches: searches.map((search) => messageOfSearch(search, troubles)),
    });
  } catch (error) {
    // An older Auth does not keep them.
    const say = isTeleportError(error, 'NotImplemented') ? log.debug : log.warn;
    say('Cannot report searches in AWS.', { error: messageOf(error) });
  }
}

function messageOfSearch({ type, region, matcher, found, failures, ...when }: Search, troubles: readonly Trouble[]) {
  const own = troubles.filter(({ database }) => areaOfDatabase(database) === areaOf({ type, region }));
  const texts = [...failures, ...own.map(({ text }) => text)].map((text) => text.slice(0, LONGEST_FAILURE));
  const more = texts.length - MOST_FAILURES + 1;
  return {
    type,
    region,
    roleArn: matcher.assume_role_arn ?? '',
    ...(when.lastRun ? { lastRun: timestampOfDate(when.lastRun) } : {}),
    ...(when.lastSuccess ? { lastSuccess: timestampOfDate(when.lastSuccess) } : {}),
    found: found.length,
    failures: more > 1 ? [...texts.slice(0, MOST_FAILURES - 1), `and ${more} more`] : texts,
  };
}
