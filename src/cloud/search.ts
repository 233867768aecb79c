/**
 * Databases that are found in AWS: every matcher's types in its regions, asked every few minutes. Only an answer takes a
 * database away: where AWS does not answer, or answers in part, what was found before stays.
 *
 * Source: database-service.md 7.1 to 7.3.
 */

import { atOnce } from '../at-once.js';
import type { Looked } from '../aws/discover.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { matchesLabels } from '../rbac/labels.js';
import { checkDatabase } from '../resources/validate-database.js';
import { rest } from '../wait.js';
import { type Found, foundFrom, placeOf } from './found.js';
import { type AwsMatcher, SERVED } from './matchers.js';

export interface SearchOptions {
  matchers: readonly AwsMatcher[];
  /** The section that has them, for the log. */
  setting: 'db_service.aws' | 'discovery_service.aws';
  /** Called after each round; the next begins after it. Must not reject. */
  onRound: (searches: readonly Search[]) => void | Promise<void>;
  signal: AbortSignal;
  log: Logger;
  now: () => Date;
  /** Default 5 min, Teleport's own. */
  intervalMs?: number | undefined;
}

/** One type in one region, by one matcher. */
export interface Search {
  type: (typeof SERVED)[number];
  region: string;
  matcher: AwsMatcher;
  /** What is there, as far as it is known. */
  found: Found[];
  lastRun?: Date;
  /** When AWS last said everything. */
  lastSuccess?: Date;
  /** What went wrong in the last round, for people. Empty: AWS has said everything. */
  failures: string[];
  /** What is there and cannot be a database here, for people. AWS has said it: what was there before does not stay for it. */
  ignored: string[];
}

export const POLL_INTERVAL_MS = 5 * 60_000;
const AT_ONCE = 5;

/** Looks now and again until the signal. Never rejects. */
export async function runSearches(options: SearchOptions): Promise<void> {
  const { onRound, signal, log, now, intervalMs = POLL_INTERVAL_MS } = options;
  const searches = searchesOf(options);
  while (searches.length > 0 && !signal.aborted) {
    const inTurn = atOnce(AT_ONCE);
    const round = searches.map((search) =>
      inTurn(async () => {
        if (!signal.aborted) await look(search, log, now);
      }),
    );
    await Promise.all(round);
    if (signal.aborted) return;
    await onRound(searches);
    await rest(intervalMs, signal, { isIdle: true });
  }
}

function searchesOf({ matchers, setting, log }: SearchOptions): Search[] {
  return matchers.flatMap((matcher) =>
    matcher.types.flatMap((type) => {
      const served = SERVED.find((one) => one === type);
      if (!served) {
        log.warn('This program does not look for databases of this type.', { setting, type });
        return [];
      }
      return matcher.regions.map((region) => ({ type: served, region, matcher, found: [], failures: [], ignored: [] }));
    }),
  );
}

async function look(search: Search, log: Logger, now: () => Date): Promise<void> {
  const { type, region, matcher, failures: before } = search;
  const where = { type, region };
  search.lastRun = now();
  try {
    const { discoverRedshift, discoverServerless } = await import('../aws/discover.js');
    const { assume_role_arn: roleArn, external_id: externalId } = matcher;
    const chain = roleArn ? [{ roleArn, externalId }] : [];
    const { databases, unsaid } = await (type === 'redshift' ? discoverRedshift : discoverServerless)({
      region,
      chain,
    });
    take(search, { databases, unsaid }, log);
    log.debug('Looked for databases in AWS.', { ...where, found: databases.length, taken: search.found.length });
  } catch (error) {
    search.failures = [messageOf(error)];
  }
  if (search.failures.length === 0) search.lastSuccess = search.lastRun;
  for (const error of search.failures) {
    // Said once, then quietly, until it is something else.
    const say = before.some((one) => isAlike(one, error)) ? log.debug : log.warn;
    say('Cannot look for databases in AWS.', { ...where, error });
  }
}

/** Sessions of a role and requests have numbers of their own. */
const isAlike = (a: string, b: string): boolean => a.replace(/\d+/g, '') === b.replace(/\d+/g, '');

function take(search: Search, { databases, unsaid }: Looked, log: Logger): void {
  const { matcher, found: before, ignored: ignoredBefore } = search;
  const ignored: string[] = [];
  const known = new Set(before.map(({ database }) => placeOf(database)));
  const found = databases
    .filter(({ labels }) => matchesLabels(matcher.tags, labels))
    .flatMap((one) => {
      try {
        const made = foundFrom(one, matcher);
        checkDatabase(made.database);
        // With its tags it is known better.
        return made.isUntagged && known.has(placeOf(made.database)) ? [] : [made];
      } catch (error) {
        const text = `${one.name} is ignored: ${messageOf(error)}`;
        ignored.push(text);
        const say = ignoredBefore.includes(text) ? log.debug : log.warn;
        say('Ignoring a database of AWS.', { db: one.name, error: messageOf(error) });
        return [];
      }
    });
  const places = new Set(found.map(({ database }) => placeOf(database)));
  const kept = unsaid.length > 0 ? before.filter(({ database }) => !places.has(placeOf(database))) : [];
  search.found = [...found, ...kept];
  search.failures = unsaid.map(messageOf);
  search.ignored = ignored;
}
