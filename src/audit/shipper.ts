/**
 * The way of records from an agent's spool to Auth: whole lines in order, up to 512 KiB or what came in 200 ms, one call at a
 * time, as often as it takes. A restart goes on where shipping stopped, as far as that was written down: once a second and
 * where a segment ends. What is sent twice has the same `uid` and is dropped at the other end.
 *
 * A record that Auth refuses as such is set aside (`refused.ts`), and what is behind it travels on.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTeleportError, TeleportError } from '../errors.js';
import { type Alarm, createAlarm, type Logger } from '../log.js';
import { rest, settledWithin } from '../wait.js';
import type { LineFile } from './line-file.js';
import { isTooLong, TOO_LONG } from './record-text.js';
import type { RefusedRecords } from './refused.js';
import type { Segment } from './segment.js';

/** Why the other side does not take a record. */
export interface Refusal {
  /** Its place among those handed over. */
  index: number;
  reason: string;
}

/** Hand over JSON texts, one an event; resolves when the other side has them durably, but for those it names. */
export type Ship = (events: string[], signal: AbortSignal) => Promise<readonly Refusal[]>;

export interface Position {
  segment: number;
  /** How far it is shipped. */
  offset: number;
}

export interface ShipperOptions {
  dir: string;
  ship: Ship;
  log: Logger;
  batchBytes: number;
  gatherMs: number;
  retryMs: { first: number; longest: number };
  refused: RefusedRecords;
  oldest: () => { number: number; file: Segment | LineFile } | undefined;
  /** Bytes that are not shipped. */
  waiting: () => number;
  /** These are. */
  shipped: (bytes: number) => void;
}

const KEEP_EVERY_MS = 1000;

export class Shipper {
  /** How far the oldest segment is shipped. */
  offset: number;
  /** As it was kept. */
  readonly position: Position;
  readonly #options: ShipperOptions;
  readonly #alarm: Alarm;
  readonly #refusedAlarm: Alarm;
  readonly #fullAlarm: Alarm;
  readonly #stop = new AbortController();
  /** Set while it waits for more, and for company. */
  #wake: (() => void) | undefined;
  #hurry: (() => void) | undefined;
  #onDrained: (() => void)[] = [];
  #running: Promise<void> | undefined;
  #keeping: NodeJS.Timeout | undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#alarm = createAlarm(options.log, {
      failing: 'The position of the audit spool cannot be kept, a restart would send events again.',
      working: 'The position of the audit spool is kept again.',
    });
    this.#refusedAlarm = createAlarm(options.log, {
      failing: `Auth refuses audit records, they are set aside in ${options.refused.dir}.`,
      working: '',
    });
    this.#fullAlarm = createAlarm(options.log, {
      failing: 'Audit records that Auth refused are lost: there is no room for them.',
      working: '',
    });
    this.position = readPosition(options.dir);
    this.offset = this.position.offset;
  }

  begin(): void {
    this.#running = this.#shipAll();
  }

  /** There is more. */
  wake(): void {
    this.#wake?.();
    if (this.#hurry && this.#options.waiting() >= this.#options.batchBytes) this.#hurry();
  }

  /** A segment is done with. */
  moveTo({ segment, offset }: Position): void {
    this.offset = offset;
    this.#keep({ segment, offset });
  }

  /** Resolves when nothing is left. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
      this.#wake?.();
      this.#hurry?.();
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    this.#hurry?.();
    await this.#running;
    if (this.#keeping) this.#keepNow();
    this.#onDrained = [];
  }

  async #shipAll(): Promise<void> {
    const { log, retryMs } = this.#options;
    const { signal } = this.#stop;
    let pauseMs = retryMs.first;
    while (!signal.aborted) {
      const oldest = this.#options.oldest();
      if (oldest === undefined || this.offset >= oldest.file.size) {
        if (oldest) this.#options.shipped(0);
        // The oldest segment may have to stay until it is durable, with more behind it.
        if (this.#options.waiting() === 0) for (const resolve of this.#onDrained.splice(0)) resolve();
        if (this.#options.oldest()?.number === oldest?.number || this.#options.waiting() === 0) await this.#woken();
        continue;
      }
      // Statements come in crowds: one call for all of a moment, so that shipping does not slow them down.
      await this.#gathered();
      if (signal.aborted) return;
      try {
        await this.#shipSome(oldest.file);
        pauseMs = retryMs.first;
      } catch (error) {
        if (signal.aborted) return;
        const unshippedBytes = this.#options.waiting();
        log.warn('audit events could not be handed over, trying again', { error, unshippedBytes, pauseMs });
        await rest(pauseMs, signal, { isIdle: true });
        pauseMs = Math.min(pauseMs * 2, retryMs.longest);
      }
    }
  }

  async #shipSome(file: Segment | LineFile): Promise<void> {
    const { lines, bytes } = takeLines(file, this.offset, this.#options.batchBytes);
    // Zeros are what a power cut left of records that nobody saw an answer to.
    const whole = lines.filter((line) => !line.includes('\0'));
    if (whole.length < lines.length) this.#options.log.warn('Audit records were lost when the power was.', { bytes });
    // Of another version: a message with one could be longer than Auth reads, and no part of it would arrive.
    for (const line of whole.filter(isTooLong)) await this.#setAside(line, new Error(TOO_LONG));
    const sendable = whole.filter((line) => !isTooLong(line));
    if (sendable.length > 0) await this.#deliver(sendable);
    this.offset += bytes;
    this.#options.shipped(bytes);
    this.#keeping ??= setTimeout(() => this.#keepNow(), KEEP_EVERY_MS).unref();
  }

  async #deliver(lines: string[]): Promise<void> {
    let refused: readonly Refusal[];
    try {
      refused = await this.#options.ship(lines, this.#stop.signal);
    } catch (error) {
      if (!isTeleportError(error, 'BadParameter')) throw error;
      if (lines.length === 1) return await this.#setAside(lines[0]!, error);
      // One of them, or several: what was taken already is known by its uid.
      const half = lines.length >> 1;
      await this.#deliver(lines.slice(0, half));
      await this.#deliver(lines.slice(half));
      return;
    }
    for (const { index, reason } of refused) {
      const line = lines[index];
      if (line !== undefined) await this.#setAside(line, new Error(reason));
    }
  }

  /** Before the position moves on: from then on the spool does not keep it. */
  async #setAside(line: string, why: unknown): Promise<void> {
    const whyNotKept = await this.#options.refused.add(line, why);
    this.#refusedAlarm.failed(why);
    if (whyNotKept) this.#fullAlarm.failed(whyNotKept);
  }

  async #woken(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  async #gathered(): Promise<void> {
    const { waiting, batchBytes, gatherMs } = this.#options;
    if (this.#stop.signal.aborted || this.#onDrained.length > 0 || waiting() >= batchBytes) return;
    const hurried = new Promise<void>((resolve) => {
      this.#hurry = resolve;
    });
    await settledWithin(hurried, gatherMs);
    this.#hurry = undefined;
  }

  #keepNow(): void {
    const oldest = this.#options.oldest();
    if (oldest) this.#keep({ segment: oldest.number, offset: this.offset });
  }

  /**
   * Not synced: a position that is too old only means that some events are sent again, so a full disk does not stop the
   * shipping.
   */
  #keep(position: Position): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    const { dir } = this.#options;
    try {
      writeFileSync(join(dir, 'shipped.new'), JSON.stringify(position), { mode: 0o600 });
      renameSync(join(dir, 'shipped.new'), join(dir, 'shipped'));
      this.#alarm.worked();
    } catch (error) {
      this.#alarm.failed(error);
    }
  }
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

/** Whole lines from `offset`: up to `length` bytes of them, or one that is longer. */
function takeLines(file: Segment | LineFile, offset: number, length: number): { lines: string[]; bytes: number } {
  for (let want = length; ; want *= 2) {
    const chunk = file.read(offset, want);
    const bytes = (want > length ? chunk.indexOf(0x0a) : chunk.lastIndexOf(0x0a)) + 1;
    if (bytes > 0) return { lines: chunk.toString('utf8', 0, bytes - 1).split('\n'), bytes };
    if (chunk.length < want) throw new TeleportError('Protocol', 'the audit spool ends within an event');
  }
}
