/**
 * The audit spool of a Database Service. An event counts as recorded when it is durable on the agent's own disk: one write
 * and one fdatasync for all statements that wait, without asking anybody. From there a background loop ships it to the
 * Auth Service in order, as the same text, as often as it takes. A restart goes on where shipping stopped; what is sent
 * twice has the same uid and is dropped at the other end.
 *
 *     append ──> NNNNNNNN.spool (active) ──> … ──> NNNNNNNN.spool (oldest) ── ship ──> deleted
 *                                                  `shipped` says: segment, offset
 *
 * The spool is bounded: with Auth away for long enough, `append` refuses, and the caller refuses the statement.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { createBatcher, type LineFile, openLineFile } from './line-file.js';

export interface AuditSpool {
  /**
   * Resolves when the events are durable here.
   *
   * @throws TeleportError `LimitExceeded` when the spool or the disk is full
   */
  append(events: object[]): Promise<void>;
  /** Resolves when nothing is left to ship. */
  drained(): Promise<void>;
  /** Stops shipping after the call in flight; what is left is shipped at the next opening. */
  close(): Promise<void>;
}

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

export async function openAuditSpool(options: AuditSpoolOptions): Promise<AuditSpool> {
  const {
    dir,
    ship,
    log,
    maxBytes = 2 ** 30,
    segmentBytes = 4 * 2 ** 20,
    batchBytes = 512 * 1024,
    gatherMs = 200,
  } = options;
  const retry = options.retryMs ?? { first: 100, longest: 10_000 };
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stop = new AbortController();
  const start = readPosition(dir);
  const segments = listSegments(dir).filter((number) => remove(dir, number, number < start.segment));
  const openSegment = (number: number) => openLineFile(pathOf(dir, number), { reservedBytes: segmentBytes });
  /** Segment numbers, oldest first; the last one is being written. */
  const active = (segments.at(-1) ?? start.segment) + 1;
  const files = new Map<number, LineFile>([...segments, active].map((n) => [n, openSegment(n)]));
  let writing = active;
  let segment = files.keys().next().value as number;
  let offset = segment === start.segment ? Math.min(start.offset, files.get(segment)!.size) : 0;
  let unshipped = [...files.values()].reduce((sum, { size }) => sum + size, -offset);
  let wake = () => {};
  let hurry = () => {};
  let onDrained: (() => void)[] = [];

  const batcher = createBatcher(async (text) => {
    let file = files.get(writing)!;
    if (file.size >= segmentBytes) {
      file = openSegment(writing + 1);
      files.set(++writing, file);
    }
    const before = file.size;
    await file.write(text);
    unshipped += file.size - before;
    wake();
  });

  async function shipAll(): Promise<void> {
    let pauseMs = retry.first;
    while (!stop.signal.aborted) {
      const file = files.get(segment)!;
      if (offset >= file.size) {
        if (segment !== writing) nextSegment();
        else {
          for (const resolve of onDrained.splice(0)) resolve();
          await woken();
          // Statements come in crowds: one call for all of the next moment, so that shipping does not slow them down.
          if (onDrained.length === 0) await gathered();
        }
        continue;
      }
      const { lines, bytes } = takeLines(file, offset, batchBytes);
      try {
        await ship(lines, stop.signal);
        pauseMs = retry.first;
        offset += bytes;
        unshipped -= bytes;
        writePosition(dir, { segment, offset });
      } catch (error) {
        if (stop.signal.aborted) return;
        log.warn('audit events could not be handed over, trying again', { error, unshippedBytes: unshipped, pauseMs });
        await pause(pauseMs, stop.signal);
        pauseMs = Math.min(pauseMs * 2, retry.longest);
      }
    }
  }

  function nextSegment(): void {
    files.get(segment)?.close();
    files.delete(segment);
    const shipped = segment;
    segment = files.keys().next().value as number;
    offset = 0;
    writePosition(dir, { segment, offset });
    remove(dir, shipped, true);
  }

  const woken = () =>
    new Promise<void>((resolve) => {
      if (stop.signal.aborted) resolve();
      else wake = resolve;
    });

  const gathered = () =>
    new Promise<void>((resolve) => {
      if (stop.signal.aborted) return resolve();
      const timer = setTimeout(resolve, gatherMs);
      hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const shipping = shipAll();

  return {
    async append(events) {
      if (stop.signal.aborted) throw new TeleportError('ConnectionProblem', 'the audit spool is closed');
      if (unshipped >= maxBytes) {
        throw new TeleportError(
          'LimitExceeded',
          `the audit spool ${dir} is full (${maxBytes} bytes), the event cannot be recorded`,
          {
            hint: 'Restore the connection to the Auth Service, so that recorded events can be handed over.',
          },
        );
      }
      if (events.length > 0) await batcher.add(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    },
    drained: () =>
      new Promise((resolve) => {
        onDrained.push(resolve);
        wake();
        hurry();
      }),
    async close() {
      stop.abort();
      wake();
      hurry();
      await batcher.idle();
      await shipping;
      for (const file of files.values()) file.close();
      onDrained = [];
    },
  };
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
    .filter((number) => remove(dir, number, statSync(pathOf(dir, number)).size === 0));
}

/** Deletes a segment when asked to. @returns whether it stays */
function remove(dir: string, segment: number, gone: boolean): boolean {
  if (gone) rmSync(pathOf(dir, segment), { force: true });
  return !gone;
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

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    signal.addEventListener('abort', end, { once: true });
  });
}
