/** What Auth hears of searches in AWS, for `tctl discovery ls`: when each ran, what it found and what failed. */
import type { AuthClient } from '../api/client.js';
import { timestampOfDate } from '../api/time.js';
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Trouble } from './distinct-names.js';
import { areaOf, areaOfDatabase } from './found.js';
import { POLL_INTERVAL_MS, type Search } from './search.js';

/** Texts of one search that are reported, and their length. */
const MOST_FAILURES = 20;
const LONGEST_FAILURE = 500;
/** Of the texts of all searches, as JSON: about half of what Auth keeps of one host (`auth/searches.ts`). */
const MOST_BYTES = 128 * 1_024;

export interface Reporter {
  nodename: string;
  /** Of `discovery_service`; none: databases of one agent. */
  group?: string | undefined;
  intervalMs?: number | undefined;
  log: Logger;
}

export interface Round {
  searches: readonly Search[];
  /** What was found, and did not become what it should have. */
  troubles: readonly Trouble[];
}

/** @returns called after each round. Never rejects: a report is repeated with the next one */
export function searchReporter(
  auth: Pick<AuthClient, 'discovery'>,
  { nodename, group = '', intervalMs = POLL_INTERVAL_MS, log }: Reporter,
): (round: Round) => Promise<void> {
  let before = new Set<string>();
  return async ({ searches, troubles }) => {
    for (const { database, text } of troubles) {
      // Said once, then quietly.
      const say = before.has(text) ? log.debug : log.warn;
      say('A database of AWS is in trouble.', { db: database.metadata.name, error: text });
    }
    before = new Set(troubles.map(({ text }) => text));
    try {
      await auth.discovery.reportSearches({
        hostname: nodename,
        discoveryGroup: group,
        intervalSeconds: Math.ceil(intervalMs / 1_000),
        searches: messagesOf(searches, troubles),
      });
    } catch (error) {
      // An older Auth does not keep them.
      const say = isTeleportError(error, 'NotImplemented') ? log.debug : log.warn;
      say('Cannot report searches in AWS.', { error: messageOf(error) });
    }
  };
}

function messagesOf(searches: readonly Search[], troubles: readonly Trouble[]) {
  const texts = searches.map(({ type, region, failures, ignored }) => {
    const own = troubles.filter(({ database }) => areaOfDatabase(database) === areaOf({ type, region }));
    return [...failures, ...ignored, ...own.map(({ text }) => text)];
  });
  const share = MOST_BYTES / texts.filter(({ length }) => length > 0).length;
  return searches.map(({ type, region, matcher, found, lastRun, lastSuccess }, i) => ({
    type,
    region,
    roleArn: matcher.assume_role_arn ?? '',
    ...(lastRun ? { lastRun: timestampOfDate(lastRun) } : {}),
    ...(lastSuccess ? { lastSuccess: timestampOfDate(lastSuccess) } : {}),
    found: found.length,
    failures: within(share, texts[i]!),
  }));
}

/** As many of the texts as go into so many bytes, and how many there are besides. */
function within(bytes: number, texts: readonly string[]): string[] {
  const most = texts.length > MOST_FAILURES ? MOST_FAILURES - 1 : MOST_FAILURES;
  const kept: string[] = [];
  let left = bytes;
  for (const text of texts.slice(0, most)) {
    const cut = text.slice(0, LONGEST_FAILURE);
    left -= Buffer.byteLength(JSON.stringify(cut));
    if (left < 0) break;
    kept.push(cut);
  }
  const more = texts.length - kept.length;
  if (more === 0) return kept;
  return [...kept, kept.length > 0 ? `and ${more} more` : `${more} failed: there are too many failures to show them`];
}
