/**
 * The one error class of the house and its codes.
 *
 * The codes are Teleport's own words. Three tables turn a code into something else, each in the room that needs it:
 * `cli/exit.ts` (text for people), `api/status.ts` (gRPC status), `pg/sqlstate.ts` (SQLSTATE). `docs/errors.md` has one
 * heading a code; a test compares the two lists.
 */
import { nodeUtil } from './node-modules.js';
import { redactText } from './redact.js';

/** Every code, in the order of `docs/errors.md`. */
export const ERROR_CODES = [
  'BadParameter',
  'NotFound',
  'AlreadyExists',
  'AccessDenied',
  'CompareFailed',
  'LimitExceeded',
  'ConnectionProblem',
  'Protocol',
  'NotImplemented',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** One or more whole sentences with the command that puts it right. */
  hint?: string | undefined;
  /** What went wrong below; never shown to a stranger. */
  cause?: unknown;
}

/** An error that a person, a peer or psql can see as it stands: what looks like a secret is taken out here. */
export class TeleportError extends Error {
  override readonly name = 'TeleportError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(redactText(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint && redactText(details.hint);
  }
}

/** True for our own errors, optionally of one code. Works across module copies (bundles, test realms). */
export function isTeleportError(value: unknown, code?: ErrorCode): value is TeleportError {
  return (
    value instanceof Error &&
    value.name === 'TeleportError' &&
    (code === undefined || (value as TeleportError).code === code)
  );
}

/** What the system says of a failed call in words (`no space left on device`), or the message of anything else. */
export function systemReason(value: unknown): string {
  const { errno } = (value ?? {}) as { errno?: unknown };
  return (typeof errno === 'number' ? nodeUtil().getSystemErrorMap().get(errno)?.[1] : undefined) ?? messageOf(value);
}

/**
 * Nobody answered in time: `no <awaited> within 30 s`, and where the way to `address` is what is in question
 * `dial tcp <address>: i/o timeout: ` before it, the words in which Go programs say the same.
 */
export class TimedOut extends TeleportError {
  /** What did not come: `answer to the SSLRequest`. */
  readonly awaited: string;

  /** @param details.address  `host:port` */
  constructor(awaited: string, timeoutMs: number, { address, ...details }: ErrorDetails & { address?: string } = {}) {
    const where = address === undefined ? '' : `dial tcp ${address}: i/o timeout: `;
    super('ConnectionProblem', `${where}no ${awaited} within ${inSeconds(timeoutMs)}`, details);
    this.awaited = awaited;
  }
}

/** True for a `TimedOut`. Works across module copies as well. */
export function isTimedOut(value: unknown): value is TimedOut {
  return isTeleportError(value, 'ConnectionProblem') && 'awaited' in value;
}

/** A length of time as texts for people have it: whole seconds, at least one. */
export function inSeconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1000))} s`;
}

/** What to do where a file cannot be made, written or removed, by Node's code. */
const WAY_OUT: Readonly<Record<string, string>> = {
  EACCES: 'Your user may not do that: ask for the right, or name another place.',
  EPERM: 'Your user may not do that: ask for the right, or name another place.',
  EROFS: 'It is on a file system that is mounted read-only: name another place.',
  ENOSPC: 'Make room there, or name another place.',
  EDQUOT: 'Your share of that disk is used up: make room there, or name another place.',
  ENOTDIR: 'A part of that path is a file and not a folder.',
  EISDIR: 'It is a folder and not a file.',
  ENOENT: 'There is no such folder.',
};

/**
 * A file or folder that the system refuses, in words: `cannot write PATH: read-only file system`, and a way out.
 *
 * @param options.hint  a better way out than the general one
 */
export function fileError(
  verb: 'read' | 'write' | 'remove',
  path: string,
  cause: unknown,
  options: { hint?: string | undefined } = {},
): TeleportError {
  const hint = options.hint ?? WAY_OUT[nodeCodeOf(cause) ?? ''];
  return new TeleportError('AccessDenied', `cannot ${verb} ${path}: ${systemReason(cause)}`, { cause, hint });
}

/** The text of anything thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  const value = firstOf(thrown);
  // Not only `instanceof Error`: Node's own errors belong to another realm under a test runner.
  const message = (value as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(value);
}

/** What went wrong first, where tidying up (`using`) failed after it: that hides it in a SuppressedError. */
export function firstOf(thrown: unknown): unknown {
  let value = thrown;
  while ((value as { name?: unknown } | null | undefined)?.name === 'SuppressedError') {
    value = (value as { suppressed?: unknown }).suppressed;
  }
  return value;
}

/** Node's error code (`ECONNREFUSED`, `ENOENT`, …) of anything thrown, or undefined. */
export function nodeCodeOf(value: unknown): string | undefined {
  const code = (value as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** How many letters may be wrong in a word that is still taken for a slip, of a word so long. Our own limit. */
const SLIPS = (length: number) => (length < 4 ? 1 : length < 8 ? 2 : 3);
/** Longer words are not compared: the work grows with the square. */
const LONGEST_WORD = 64;

/** `, did you mean "db_users"?` for the candidate that looks most like the word, `''` when none does. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const close = closest(word, candidates);
  return close === undefined ? '' : `, did you mean ${JSON.stringify(close)}?`;
}

/** Mistakes of one file that are shown; who has made more has made one of them many times. Our own limit. */
const MISTAKES_SHOWN = 20;

/** One a line, and how many more there are. */
export function mistakesText(mistakes: readonly string[], joint = '\n'): string {
  const more = mistakes.length - MISTAKES_SHOWN;
  return [...mistakes.slice(0, MISTAKES_SHOWN), ...(more > 0 ? [`… and ${more} more`] : [])].join(joint);
}

/** An error and what it was caused by, outermost first. */
export function causesOf(error: unknown): Error[] {
  const chain: Error[] = [];
  let link = error;
  // Not only `instanceof Error`: Node's own errors belong to another realm under a test runner.
  while (typeof link === 'object' && link !== null && 'message' in link && chain.length < 16) {
    chain.push(link as Error);
    link = (link as Error).cause;
  }
  return chain;
}

/** The person's own setting that no connection could be tried with, so that no server is blamed for it. */
export function settingAtFault(error: unknown): Error | undefined {
  return causesOf(error).find((link) => isTeleportError(link, 'BadParameter'));
}

/** The candidate that looks most like a word; case does not count, a swapped pair of letters is one slip. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  let best: { candidate: string; slips: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > 3) continue;
    const slips = slipsBetween(word.toLowerCase(), candidate.toLowerCase());
    const limit = SLIPS(Math.min(word.length, candidate.length));
    if (slips <= limit && slips < (best?.slips ?? Number.POSITIVE_INFINITY)) best = { candidate, slips };
  }
  return best?.candidate;
}

/** Edit distance with swaps of neighbours (optimal string alignment). */
function slipsBetween(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? rows[i - 2]![j - 2]! + 1 : change;
      row.push(Math.min(change, swap, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** A disk that is full, a quota that is used up, a file at the largest size that this process may write. */
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** True when a write failed because there is no room for it. */
export function isDiskFull(value: unknown): boolean {
  return NO_SPACE.has(nodeCodeOf(value) ?? '');
}

/** True when the storage itself let us down, and not a wrong path or a missing right: what it does may change by itself. */
export function isDiskFailure(value: unknown): boolean {
  return isDiskFull(value) || nodeCodeOf(value) === 'EIO';
}

/**
 * Load a package that has a part for each kind of machine, which npm may have left out or taken from another one.
 *
 * @throws TeleportError `NotFound` that names the package and says how to get it
 */
export async function loadNative<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const machine = `${process.platform}-${process.arch}`;
    throw new TeleportError('NotFound', `the package ${name} cannot be loaded: ${whyNotLoaded(cause, machine)}`, {
      cause,
      hint: 'Install teleshift again on this machine, without "--omit=optional": npm install -g teleshift-VERSION.tgz',
    });
  }
}

/** The system's own words when the file is there; the packages' own words for a missing one lead astray. */
function whyNotLoaded(cause: unknown, machine: string): string {
  for (let link = cause, depth = 0; link != null && depth < 16; link = (link as { cause?: unknown }).cause, depth++) {
    const text = messageOf(link).split('\n')[0]!;
    if (!text.startsWith('Cannot find ')) return text;
  }
  return `it, or its part for ${machine}, is not installed`;
}
