/**
 * Days of the audit log that are about to be deleted, held against what is signed before them and what stays behind them. A
 * signature over their end is a new beginning for the whole log: whoever can edit the files must not get Auth to sign one
 * that leaves out more than the days that are old.
 */
import { join } from 'node:path';
import { CHAIN_START, type ChainedLine, type Link, unchained } from './chain.js';
import { HEAD_FILE } from './day-file.js';
import { readPlainFile } from './plain-file.js';
import { isSealed, type SealOptions, sealedOf } from './seal.js';
import { chainProblem, checkpointProblem, sealedIn } from './verify.js';
import { wholeLinesOf } from './whole-lines.js';

export interface OldDays {
  dir: string;
  /** Those that go, and those that stay, in order. */
  old: readonly string[];
  kept: readonly string[];
  /** The first day that would stay, whether it has a file or not. */
  firstKept: string;
  key: SealOptions['key'];
  /** Of the whole log, where no record is in a file that stays. */
  end: Link;
}

/** The last record of the days that go, none where a version without a chain wrote them; or why they must stay. */
export type OldDaysFound = { end: Link | undefined } | { wrong: string };

export async function lookAtOldDays(days: OldDays): Promise<OldDaysFound> {
  const begin = beginOf(days.dir, days.key);
  if (begin === undefined) return { wrong: `${join(days.dir, HEAD_FILE)} does not have the signature of Auth` };
  let end = begin;
  for (const day of days.old) {
    const path = join(days.dir, `${day}.log`);
    let number = 0;
    for await (const { text, problem } of wholeLinesOf(path)) {
      number++;
      const stamped = unchained(text);
      // Auth ended before it could delete what it had said farewell to.
      if (end === begin && stamped && stamped.n <= begin.n) continue;
      const what = problem ?? problemOf(stamped, end, days);
      if (what) return { wrong: `${path}:${number}: ${what}` };
      if (stamped) end = { n: stamped.n, sum: stamped.sum };
    }
  }
  const wrong = await problemBehind(end, days);
  return wrong === undefined ? { end: end === CHAIN_START ? undefined : end } : { wrong };
}

/** Undefined where the farewell is not Auth's. */
function beginOf(dir: string, key: OldDays['key']): Link | undefined {
  const path = join(dir, HEAD_FILE);
  const text = readPlainFile(path);
  if (text === undefined) return CHAIN_START;
  const head = sealedIn(text.split('\n', 1)[0]!);
  return head && isSealed('farewell', head, key) ? { n: head.last_n, sum: head.last_sum } : undefined;
}

function problemOf(
  stamped: ChainedLine | undefined,
  before: Link,
  { firstKept, key }: Pick<OldDays, 'firstKept' | 'key'>,
): string | undefined {
  // A version that had no chain wrote lines like this; none of them can stand behind a beginning.
  if (stamped === undefined) return before.n === 0 ? undefined : 'it has no place in the chain';
  const what = chainProblem(before, stamped, before.n === 0);
  if (what) return what;
  if (isCheckpoint(stamped)) return checkpointProblem(sealedOf(JSON.parse(stamped.record)), before, key);
  // The checkpoint at the end of a day is written with the first record of a later one.
  return stamped.received.slice(0, 10) < firstKept ? undefined : `it is of ${stamped.received}, which is not old`;
}

const isCheckpoint = ({ record }: ChainedLine): boolean =>
  record.includes('"audit.checkpoint"') && (JSON.parse(record) as { event?: unknown }).event === 'audit.checkpoint';

/** What stays must follow: else what stood between is gone, and the new beginning would cover it up. */
async function problemBehind(end: Link, { dir, kept, end: whole }: OldDays): Promise<string | undefined> {
  for (const day of kept) {
    const path = join(dir, `${day}.log`);
    for await (const { text, problem } of wholeLinesOf(path)) {
      const stamped = unchained(text);
      if (stamped === undefined && end.n === 0) return problem;
      const what = stamped ? chainProblem(end, stamped, false) : 'it has no place in the chain';
      return what && `${path}:1: ${what}`;
    }
  }
  if (whole.n === end.n && whole.sum === end.sum) return undefined;
  return `record ${end.n} is their last one, and that of the log is record ${whole.n}: what is between is lost`;
}
