/**
 * The chain of Auth's own log. A record stands in it as it came, and behind it what Auth knows itself:
 *
 *     {…the record…,"auth":{"received":"…","host":"…","n":7,"sum":"…"}}
 *
 * `sum` is the SHA-256, in hex, of the `sum` before and of the line without its own `,"sum":"…"`. So each line vouches for
 * all that stand before it.
 */
import { createHash } from 'node:crypto';
import { sha256 } from '../sha256.js';

/** The end of a chain: the number of its last record, and that record's sum. */
export interface Link {
  n: number;
  sum: string;
}

/** Auth takes none of its last records twice. */
export const REMEMBERED_RECORDS = 100_000;

/** Before the first record. */
export const CHAIN_START: Link = { n: 0, sum: '0'.repeat(64) };

export interface Stamp {
  /** RFC 3339: when Auth had it. */
  received: string;
  /** UUID of the host whose certificate delivered it. */
  host: string;
}

/**
 * @param record  JSON text of an object that is not empty
 * @returns the line, without its line feed, and the end of the chain with it
 */
export function chained(record: string, { received, host }: Stamp, before: Link): { line: string; link: Link } {
  const n = before.n + 1;
  const open = `${record.slice(0, -1)},"auth":{"received":"${received}","host":${JSON.stringify(host)},"n":${n}`;
  const sum = sumOf(before.sum, `${open}}}`);
  return { line: `${open},"sum":"${sum}"}}`, link: { n, sum } };
}

/** What a record that comes twice is known by: what another host says, or what says something else, is another record. */
export const keyOfRecord = (host: string, record: string): string => sha256(`${host}\n${record}`);

export interface ChainedLine extends Stamp, Link {
  /** The record as it came. */
  record: string;
  /** The line without its sum: what the sum is made of. */
  unsummed: string;
}

/** At the end of the line only: a text inside the record can look like it, but cannot be the end of the line. */
const STAMP =
  /,"auth":\{"received":"([0-9TZ:.-]{1,40})","host":("(?:[^"\\]|\\.){0,200}"),"n":(\d{1,16}),"sum":"([0-9a-f]{64})"\}\}$/;

/** Undefined for a line that has no stamp: one of a version that wrote none, or one that somebody else wrote. */
export function unchained(line: string): ChainedLine | undefined {
  // The expression would be tried at each place of a long line; the stamp is short.
  const tail = STAMP.exec(line.slice(-600));
  if (tail === null) return undefined;
  const [stamp, received, host, n, sum] = tail as unknown as [string, string, string, string, string];
  const kept = line.slice(0, line.length - stamp.length);
  return {
    record: `${kept}}`,
    unsummed: `${line.slice(0, line.length - `,"sum":"${sum}"}}`.length)}}}`,
    received,
    host: JSON.parse(host) as string,
    n: Number(n),
    sum,
  };
}

export const sumOf = (before: string, unsummed: string): string =>
  createHash('sha256').update(before).update(unsummed).digest('hex');
