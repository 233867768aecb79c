/**
 * Is the log as Auth wrote it: the chain of all records, the signatures over it, and the chains of the sessions in it. Reads
 * the files while Auth goes on writing them, in memory that does not grow with them.
 *
 * What it finds comes with file and line; the chain is then taken up again behind it, so that one edited line does not
 * hide the next.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CHAIN_START, type ChainedLine, type Link, REMEMBERED_RECORDS, sumOf, unchained } from './chain.js';
import { DAY_FILE, HEAD_FILE } from './day-file.js';
import { readPlainFile } from './plain-file.js';
import { isSealed, publicKeyText, type Sealed, sealedOf } from './seal.js';
import { TOO_LONG, type WholeLine, wholeLinesOf } from './whole-lines.js';

export interface LogToVerify {
  /** The folder of the log. */
  dir: string;
  /** Public or private; without it signatures are not looked at. */
  key?: KeyObject | undefined;
  /** Checkpoints that are kept elsewhere: the log must agree with each. */
  checkpoints?: readonly Sealed[];
}

export interface Problem {
  /** Path and line of the first record that is not as it was written; 0 where the end is missing. */
  file: string;
  line: number;
  what: string;
}

export interface Verdict {
  files: number;
  records: number;
  /** Numbers of the first and last record. */
  first: number;
  last: number;
  checkpoints: number;
  /** Records behind the last checkpoint that is right: nothing but the chain vouches for them. */
  unsigned: number;
  sessions: number;
  /** Records of a version that made no chain: nothing vouches for them. */
  unchained: number;
  /** Records that no signature covered when Auth started: somebody else may have written them. */
  unsignedAtStart: { first: number; last: number }[];
  /** Kept checkpoints of days that were deleted since: there is nothing to hold them against. */
  incomparable: number;
  problems: Problem[];
}

/** More are not told: the first is the one that counts. */
const MOST_PROBLEMS = 100;
/** Sessions that are followed at a time. */
const MOST_SESSIONS = 200_000;

export async function verifyLog(options: LogToVerify): Promise<Verdict> {
  const verifier = new Verifier(options);
  await verifier.run();
  return verifier.verdict;
}

interface Session {
  ei: number;
  hash: string;
}

class Verifier {
  readonly verdict: Verdict = {
    files: 0,
    records: 0,
    first: 0,
    last: 0,
    checkpoints: 0,
    unsigned: 0,
    sessions: 0,
    unchained: 0,
    unsignedAtStart: [],
    incomparable: 0,
    problems: [],
  };
  readonly #options: LogToVerify;
  /** By number of the last record that they vouch for. */
  readonly #kept: Map<number, Sealed[]>;
  /** By host and session. */
  readonly #sessions = new Map<string, Session>();
  /** Hashes of the last records of sessions, by host, session and number. */
  readonly #hashes = new Map<string, string>();
  #end: Link = CHAIN_START;
  /** The log has lost its beginning, so that sessions may have begun before it. */
  #isLater = false;
  #file = '';
  #day = '';
  #line = 0;

  constructor(options: LogToVerify) {
    this.#options = options;
    this.#kept = new Map();
    for (const one of options.checkpoints ?? [])
      this.#kept.set(one.last_n, [...(this.#kept.get(one.last_n) ?? []), one]);
  }

  async run(): Promise<void> {
    const { dir } = this.#options;
    this.#begin();
    const days = readdirSync(dir)
      .filter((name) => DAY_FILE.test(name))
      .sort();
    for (const name of days) {
      this.#file = join(dir, name);
      this.#day = name.slice(0, 10);
      this.#line = 0;
      this.verdict.files++;
      for await (const line of wholeLinesOf(this.#file)) {
        this.#line++;
        this.#look(line);
      }
    }
    this.#atTheEnd();
  }

  /** What is left of days that were deleted because they were old. */
  #begin(): void {
    const path = join(this.#options.dir, HEAD_FILE);
    const text = readPlainFile(path);
    if (text === undefined) return;
    [this.#file, this.#line] = [path, 1];
    const head = sealedIn(text.split('\n', 1)[0]!);
    if (head === undefined) {
      this.#wrong('it does not say where the log begins');
      return;
    }
    const { key } = this.#options;
    if (key && !isSealed('farewell', head, key)) this.#wrong('its signature is not that of the key');
    this.#end = { n: head.last_n, sum: head.last_sum };
    this.#isLater = true;
    this.#compare(this.#end);
    for (const n of this.#kept.keys()) if (n < head.last_n) this.verdict.incomparable++;
  }

  #look({ text, problem }: WholeLine): void {
    const chained = unchained(text);
    if (chained === undefined) {
      if (problem === TOO_LONG) this.#wrong(problem);
      else this.#strange();
      return;
    }
    const { verdict } = this;
    verdict.records++;
    verdict.unsigned++;
    const before = this.#end;
    if (verdict.first === 0) verdict.first = chained.n;
    const what = problem ?? chainProblem(before, chained, verdict.last === 0 && !this.#isLater);
    if (what) this.#wrong(what);
    verdict.last = Math.max(verdict.last, chained.n);
    this.#end = { n: chained.n, sum: chained.sum };
    this.#compare(this.#end);
    this.#lookInto(chained, what === undefined ? before : undefined);
  }

  /** A line without a stamp: an older version wrote none, but nothing stands behind a chain that has begun. */
  #strange(): void {
    if (this.verdict.records === 0 && !this.#isLater) this.verdict.unchained++;
    else this.#wrong('it has no place in the chain: Auth did not write it so');
  }

  #lookInto({ record, host, received }: ChainedLine, before: Link | undefined): void {
    const members = membersOf(record);
    // Who looks for what came since a day reads the files from that day on. A day's last checkpoint is written on a later one.
    if (received.slice(0, 10) > this.#day && members?.event !== 'audit.checkpoint') {
      this.#wrong(`it was received on ${received.slice(0, 10)}: it was moved to the file of an earlier day`);
    }
    if (members === undefined) this.#wrong('it is not JSON');
    else if (members.event === 'audit.checkpoint' && before) this.#lookAtCheckpoint(members, before);
    else if (members.event === 'audit.log.unsigned') this.#noteUnsigned(members);
    else if (typeof members.sid === 'string' && typeof members.prev === 'string') {
      this.#follow(`${host} ${members.sid}`, members, createHash('sha256').update(record).digest('hex'));
    }
  }

  #noteUnsigned({ first_n, last_n }: Record<string, unknown>): void {
    const spans = this.verdict.unsignedAtStart;
    if (spans.length < MOST_PROBLEMS) spans.push({ first: Number(first_n), last: Number(last_n) });
  }

  #lookAtCheckpoint(members: object, before: Link): void {
    const what = checkpointProblem(sealedOf(members), before, this.#options.key);
    if (what) this.#wrong(what);
    else {
      this.verdict.checkpoints++;
      this.verdict.unsigned = 0;
    }
  }

  /** The chain that the agent made. */
  #follow(name: string, { ei, prev, event, sid }: Record<string, unknown>, hash: string): void {
    const known = this.#sessions.get(name);
    const at = Number(ei);
    if (known === undefined) {
      this.verdict.sessions++;
      if (at > 0 && !this.#isLater) this.#wrong(`of session ${sid}, ${between(0, at - 1)}`);
    } else if (at > known.ei + 1) {
      this.#wrong(`of session ${sid}, ${between(known.ei + 1, at - 1)}`);
    } else if (at <= known.ei) {
      // The same text again: an agent that did not hear that it was recorded, long before.
      if (hash !== (this.#hashes.get(`${name} ${at}`) ?? hash)) this.#wrong(`session ${sid} has two records ${at}`);
      return;
    } else if (prev !== known.hash) this.#wrong(`it does not follow record ${known.ei} of session ${sid}`);
    this.#hashes.set(`${name} ${at}`, hash);
    if (this.#hashes.size > REMEMBERED_RECORDS) this.#hashes.delete(this.#hashes.keys().next().value!);
    this.#sessions.delete(name);
    if (event !== 'db.session.end' || this.#sessions.size < MOST_SESSIONS) this.#sessions.set(name, { ei: at, hash });
    if (this.#sessions.size > MOST_SESSIONS) {
      this.#isLater = true;
      this.#sessions.delete(this.#sessions.keys().next().value!);
    }
  }

  /** The same number elsewhere must have the same sum. */
  #compare({ n, sum }: Link): void {
    const { key } = this.#options;
    for (const one of this.#kept.get(n) ?? []) {
      if (key && !isSealed('checkpoint', one, key))
        this.#wrong('a checkpoint that is kept elsewhere is not signed with the key');
      else if (one.last_sum !== sum)
        this.#wrong('a checkpoint that is kept elsewhere says something else about this record');
      else this.verdict.unsigned = 0;
    }
    this.#kept.delete(n);
  }

  #atTheEnd(): void {
    const { last } = this.verdict;
    const farthest = Math.max(0, ...this.#kept.keys());
    if (farthest <= this.#end.n) return;
    this.#line = 0;
    if (this.#file === '') this.#file = this.#options.dir;
    this.#wrong(`the end is missing: the log ends with record ${last}, and Auth has signed record ${farthest}`);
  }

  #wrong(what: string): void {
    if (this.verdict.problems.length < MOST_PROBLEMS) {
      this.verdict.problems.push({ file: this.#file, line: this.#line, what });
    }
  }
}

/** Why the line does not stand where it should. */
export function chainProblem(before: Link, { n, sum, unsummed }: ChainedLine, isFirst: boolean): string | undefined {
  if (n > before.n + 1) {
    return `${between(before.n + 1, n - 1)}${isFirst ? ': the log does not begin here' : ''}`;
  }
  if (n <= before.n) return `record ${n} stands behind record ${before.n}`;
  return sumOf(before.sum, unsummed) === sum ? undefined : 'it was edited, or what stands before it was';
}

const between = (from: number, to: number) =>
  from === to ? `record ${to} is missing before it` : `records ${from} to ${to} are missing before it`;

export function checkpointProblem(
  sealed: Sealed | undefined,
  before: Link,
  key: KeyObject | undefined,
): string | undefined {
  if (sealed === undefined || sealed.last_n !== before.n || sealed.last_sum !== before.sum) {
    return 'this checkpoint does not say what stands before it';
  }
  if (key === undefined || isSealed('checkpoint', sealed, key)) return undefined;
  const other = sealed.public_key === publicKeyText(key) ? '' : ` (it names another: ${sealed.public_key})`;
  return `the signature of this checkpoint is not that of the key${other}`;
}

function membersOf(text: string): Record<string, unknown> | undefined {
  try {
    const members = JSON.parse(text) as unknown;
    return typeof members === 'object' && members !== null ? (members as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A checkpoint in a file of such lines. */
export function sealedIn(line: string): Sealed | undefined {
  return sealedOf(membersOf(line) ?? {});
}
