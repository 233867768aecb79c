/**
 * The audit spool of a Database Service. An event counts as recorded when it is durable on the agent's own disk: one write
 * and one fdatasync for all statements that wait, without asking anybody. From there a background loop ships it to the
 * Auth Service in order, as the same text, as often as it takes. A restart goes on where shipping stopped; what is sent
 * twice has the same uid and is dropped at the other end.
 *
 *     append ──> NNNNNNNN.spool (active) ──> … ──> NNNNNNNN.spool (oldest) ── ship ──> deleted
 *                                                  `shipped` says: segment, offset
 *
 * The spool is bounded: with Auth away for long enough, `append` refuses, and the caller refuses the statement. On a full
 * disk `append` refuses as well; shipping goes on, and each segment that is shipped gives its room back.
 */

import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { type Alarm, createAlarm, type Logger } from '../log.js';
import { rest, settledWithin } from '../wait.js';
import { auditFileError, type Batcher, createBatcher, type LineFile, openLineFile } from './line-file.js';

export interface AuditSpoolOptions {
  dir: string;
  /** Hand over JSON texts, one an event; resolves when the other side has them durably. */
  ship: (events: string[], signal: AbortSignal) => Promise<void>;
  log: Logger;
  /** Bound of what is kept unshipped, in bytes. Default 1 GiB. */
  maxBytes?: number;
  /** A segment that has grown beyond this is closed. Default 4 MiB. */
  segmentBytes?: number;
  /** Largest hand-over, in bytes of JSON; one longer event goes alone. Default 512 KiB. */
  batchBytes?: number;
  /** How long a first event waits for company before it is handed over. Default 200. */
  gatherMs?: number;
  /** First and longest pause between tries. Default 100 and 10 000. */
  retryMs?: { first: number; longest: number };
}

const DEFAULTS = {
  maxBytes: 2 ** 30,
  segmentBytes: 4 * 2 ** 20,
  batchBytes: 512 * 1024,
  gatherMs: 200,
  retryMs: { first: 100, longest: 10_000 },
};

/** @throws TeleportError when the folder or what is in it cannot be used */
export async function openAuditSpool(options: AuditSpoolOptions): Promise<AuditSpool> {
  await makeFolder(options.dir);
  return new AuditSpool(options);
}

export class AuditSpool {
  readonly #options: Required<AuditSpoolOptions>;
  readonly #dir: string;
  readonly #alarm: Alarm;
  readonly #positionAlarm: Alarm;
  readonly #batcher: Batcher;
  readonly #stop = new AbortController();
  /** By number, oldest first. */
  readonly #files: Map<number, LineFile>;
  /** The segment that takes new events; none until one can be made. */
  #writing: number | undefined;
  #isBusy = false;
  #newest: number;
  /** How far the oldest segment is shipped. */
  #offset: number;
  #unshipped: number;
  #wake = () => {};
  #hurry = () => {};
  #onDrained: (() => void)[] = [];
  readonly #shipping: Promise<void>;

  constructor(options: AuditSpoolOptions) {
    this.#options = { ...DEFAULTS, ...options };
    const { dir, log } = options;
    this.#dir = dir;
    this.#alarm = createAlarm(log, {
      failing: 'Audit events cannot be recorded, their sessions are refused.',
      working: 'Audit events are recorded again.',
    });
    this.#positionAlarm = createAlarm(log, {
      failing: 'The position of the audit spool cannot be kept, a restart would send events again.',
      working: 'The position of the audit spool is kept again.',
    });
    const start = readPosition(dir);
    const old = listSegments(dir).filter((number) => number >= start.segment || remove(dir, number));
    this.#files = new Map(old.map((number) => [number, openLineFile(pathOf(dir, number))]));
    this.#newest = old.at(-1) ?? start.segment;
    const isKept = this.#oldest() === start.segment;
    this.#offset = isKept ? Math.min(start.offset, this.#files.get(start.segment)!.size) : 0;
    this.#unshipped = [...this.#files.values()].reduce((sum, { size }) => sum + size, -this.#offset);
    this.#batcher = createBatcher((text) => this.#write(text));
    try {
      this.#openNext();
    } catch (error) {
      // What is there can be shipped, which gives room; until then `append` refuses.
      this.#alarm.failed(error);
    }
    this.#shipping = this.#shipAll();
  }

  /**
   * Resolves when the events are durable here.
   *
   * @throws TeleportError `LimitExceeded` when the spool or the disk is full, `ConnectionProblem` when the disk fails
   */
  async append(events: object[]): Promise<void> {
    if (this.#stop.signal.aborted) throw new TeleportError('ConnectionProblem', 'the audit spool is closed');
    const { maxBytes } = this.#options;
    if (this.#unshipped >= maxBytes) {
      throw new TeleportError(
        'LimitExceeded',
        `the audit spool ${this.#dir} is full (${maxBytes} bytes), the event cannot be recorded`,
        {
          hint: 'Restore the connection to the Auth Service, so that recorded events can be handed over.',
        },
      );
    }
    if (events.length > 0) await this.#batcher.add(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  }

  /** Resolves when nothing is left to ship. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
      this.#wake();
      this.#hurry();
    });
  }

  /** Stops shipping after the call in flight; what is left is shipped at the next opening. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    this.#hurry();
    await this.#batcher.idle();
    await this.#shipping;
    for (const file of this.#files.values()) file.close();
    this.#onDrained = [];
  }

  #oldest(): number | undefined {
    return this.#files.keys().next().value;
  }

  #openNext(): LineFile {
    const next = this.#newest + 1;
    const file = openLineFile(pathOf(this.#dir, next), { reservedBytes: this.#options.segmentBytes });
    this.#newest = next;
    this.#writing = next;
    this.#files.set(next, file);
    return file;
  }

  async #write(text: string): Promise<void> {
    for (let isLastTry = false; ; isLastTry = true) {
      try {
        const current = this.#writing === undefined ? undefined : this.#files.get(this.#writing);
        const isFull = current === undefined || current.size >= this.#options.segmentBytes;
        const file = isFull ? this.#openNext() : current;
        const before = file.size;
        this.#isBusy = true;
        await file.write(text).finally(() => (this.#isBusy = false));
        this.#unshipped += file.size - before;
        this.#alarm.worked();
        return this.#wake();
      } catch (error) {
        // A segment is deleted once it is shipped and not the one that is written: only that gives room back.
        if (this.#writing !== undefined && this.#files.get(this.#writing)!.size > 0) this.#writing = undefined;
        if (this.#dropShipped() && !isLastTry) continue;
        this.#alarm.failed(error);
        this.#wake();
        throw error;
      }
    }
  }

  async #shipAll(): Promise<void> {
    const { ship, log, batchBytes, retryMs } = this.#options;
    const { signal } = this.#stop;
    let pauseMs = retryMs.first;
    while (!signal.aborted) {
      this.#dropShipped();
      const segment = this.#oldest();
      const file = segment === undefined ? undefined : this.#files.get(segment)!;
      if (file === undefined || this.#offset >= file.size) {
        await this.#idle();
        continue;
      }
      try {
        const { lines, bytes } = takeLines(file, this.#offset, batchBytes);
        await ship(lines, signal);
        pauseMs = retryMs.first;
        this.#offset += bytes;
        this.#unshipped -= bytes;
        this.#keepPosition();
      } catch (error) {
        if (signal.aborted) return;
        const unshippedBytes = this.#unshipped;
        log.warn('audit events could not be handed over, trying again', { error, unshippedBytes, pauseMs });
        await rest(pauseMs, signal, { isIdle: true });
        pauseMs = Math.min(pauseMs * 2, retryMs.longest);
      }
    }
  }

  /** Nothing is left to ship: wait for more. */
  async #idle(): Promise<void> {
    for (const resolve of this.#onDrained.splice(0)) resolve();
    await this.#woken();
    // Statements come in crowds: one call for all of the next moment, so that shipping does not slow them down.
    if (this.#onDrained.length === 0) await this.#gathered();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stop.signal.aborted) resolve();
      else this.#wake = resolve;
    });
  }

  async #gathered(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve;
    });
    await settledWithin(hurried, this.#options.gatherMs);
  }

  /** Deletes segments that are done with. @returns whether there were any */
  #dropShipped(): boolean {
    let dropped = false;
    for (let number = this.#oldest(); number !== undefined; number = this.#oldest()) {
      const file = this.#files.get(number)!;
      if (this.#offset < file.size) break;
      if (number === this.#writing) {
        // On a disk with little room a segment does not wait until it is large.
        if (this.#isBusy || file.isReserved || file.size === 0) break;
        this.#writing = undefined;
      }
      file.close();
      this.#files.delete(number);
      this.#offset = 0;
      // Before the position is written: it may need the room. One that names a deleted segment does no harm.
      remove(this.#dir, number);
      dropped = true;
    }
    if (dropped) this.#keepPosition();
    return dropped;
  }

  /** A position that is too old only means that some events are sent again, so a full disk does not stop the shipping. */
  #keepPosition(): void {
    try {
      writePosition(this.#dir, { segment: this.#oldest() ?? this.#newest + 1, offset: this.#offset });
      this.#positionAlarm.worked();
    } catch (error) {
      this.#positionAlarm.failed(error);
    }
  }
}

interface Position {
  segment: number;
  offset: number;
}

const pathOf = (dir: string, segment: number) => join(dir, `${String(segment).padStart(8, '0')}.spool`);

function listSegments(dir: string): number[] {
  return readdirSync(dir)
    .filter((name) => /^\d{8}\.spool$/.test(name))
    .map((name) => Number(name.slice(0, 8)))
    .sort((a, b) => a - b)
    .filter((number) => statSync(pathOf(dir, number)).size > 0 || remove(dir, number));
}

/** Deletes a segment; one that a failing disk keeps is met again at the next opening. @returns false, for filters */
function remove(dir: string, segment: number): false {
  try {
    rmSync(pathOf(dir, segment), { force: true });
  } catch {
    // Sent twice is recorded once.
  }
  return false;
}

async function makeFolder(dir: string): Promise<void> {
  try {
    await makeFolders(dir, 0o700);
  } catch (cause) {
    throw auditFileError(dir, cause);
  }
}

/** Not synced: a position that is too old only means that some events are sent again. */
function writePosition(dir: string, position: Position): void {
  writeFileSync(join(dir, 'shipped.new'), JSON.stringify(position), { mode: 0o600 });
  renameSync(join(dir, 'shipped.new'), join(dir, 'shipped'));
}

function readPosition(dir: string): Position {
  try {
    const { segment, offset } = JSON.parse(readFileSync(join(dir, 'shipped'), 'utf8')) as Position;
    if (Number.isSafeInteger(segment) && Number.isSafeInteger(offset)) return { segment, offset };
  } catch {
    // None yet, or torn by a power loss: start with the oldest segment.
  }
  return { segment: 0, offset: 0 };
}

/** Whole lines from `offset`, about `length` bytes of them, at least one. */
function takeLines(file: LineFile, offset: number, length: number): { lines: string[]; bytes: number } {
  for (let want = length; ; want *= 2) {
    const chunk = file.read(offset, want);
    const bytes = chunk.lastIndexOf(0x0a) + 1;
    if (bytes > 0) return { lines: chunk.toString('utf8', 0, bytes - 1).split('\n'), bytes };
    if (chunk.length < want) throw new TeleportError('Protocol', 'the audit spool ends within an event');
  }
}
