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
import { createAlarm, type Logger } from '../log.js';
import { auditFileError, createBatcher, type LineFile, openLineFile } from './line-file.js';

export interface AuditSpool {
  /**
   * Resolves when the events are durable here.
   *
   * @throws TeleportError `LimitExceeded` when the spool or the disk is full, `ConnectionProblem` when the disk fails
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
  const alarm = createAlarm(log, {
    failing: 'Audit events cannot be recorded, their sessions are refused.',
    working: 'Audit events are recorded again.',
  });
  const positionAlarm = createAlarm(log, {
    failing: 'The position of the audit spool cannot be kept, a restart would send events again.',
    working: 'The position of the audit spool is kept again.',
  });
  await makeFolder(dir);
  const stop = new AbortController();
  const start = readPosition(dir);
  const old = listSegments(dir).filter((number) => number >= start.segment || remove(dir, number));
  /** By number, oldest first. */
  const files = new Map<number, LineFile>(old.map((number) => [number, openLineFile(pathOf(dir, number))]));
  /** The segment that takes new events; none until one can be made. */
  let writing: number | undefined;
  let isBusy = false;
  let newest = old.at(-1) ?? start.segment;
  const oldest = () => files.keys().next().value as number | undefined;
  let offset = oldest() === start.segment ? Math.min(start.offset, files.get(start.segment)!.size) : 0;
  let unshipped = [...files.values()].reduce((sum, { size }) => sum + size, -offset);
  let wake = () => {};
  let hurry = () => {};
  let onDrained: (() => void)[] = [];

  function openNext(): LineFile {
    const file = openLineFile(pathOf(dir, newest + 1), { reservedBytes: segmentBytes });
    newest += 1;
    writing = newest;
    files.set(newest, file);
    return file;
  }

  const batcher = createBatcher(async (text) => {
    for (let isLastTry = false; ; isLastTry = true) {
      try {
        const current = writing === undefined ? undefined : files.get(writing);
        const file = current === undefined || current.size >= segmentBytes ? openNext() : current;
        const before = file.size;
        isBusy = true;
        await file.write(text).finally(() => (isBusy = false));
        unshipped += file.size - before;
        alarm.worked();
        return wake();
      } catch (error) {
        // A segment is deleted once it is shipped and not the one that is written: only that gives room back.
        if (writing !== undefined && files.get(writing)!.size > 0) writing = undefined;
        if (dropShipped() && !isLastTry) continue;
        alarm.failed(error);
        wake();
        throw error;
      }
    }
  });

  async function shipAll(): Promise<void> {
    let pauseMs = retry.first;
    while (!stop.signal.aborted) {
      dropShipped();
      const segment = oldest();
      const file = segment === undefined ? undefined : files.get(segment)!;
      if (file === undefined || offset >= file.size) {
        for (const resolve of onDrained.splice(0)) resolve();
        await woken();
        // Statements come in crowds: one call for all of the next moment, so that shipping does not slow them down.
        if (onDrained.length === 0) await gathered();
        continue;
      }
      try {
        const { lines, bytes } = takeLines(file, offset, batchBytes);
        await ship(lines, stop.signal);
        pauseMs = retry.first;
        offset += bytes;
        unshipped -= bytes;
        keepPosition();
      } catch (error) {
        if (stop.signal.aborted) return;
        log.warn('audit events could not be handed over, trying again', { error, unshippedBytes: unshipped, pauseMs });
        await pause(pauseMs, stop.signal);
        pauseMs = Math.min(pauseMs * 2, retry.longest);
      }
    }
  }

  /** Deletes segments that are done with. @returns whether there were any */
  function dropShipped(): boolean {
    let dropped = false;
    for (let number = oldest(); number !== undefined; number = oldest()) {
      const file = files.get(number)!;
      if (offset < file.size) break;
      if (number === writing) {
        // On a disk with little room a segment does not wait until it is large.
        if (isBusy || file.isReserved || file.size === 0) break;
        writing = undefined;
      }
      file.close();
      files.delete(number);
      offset = 0;
      // Before the position is written: it may need the room. One that names a deleted segment does no harm.
      remove(dir, number);
      dropped = true;
    }
    if (dropped) keepPosition();
    return dropped;
  }

  /** A position that is too old only means that some events are sent again, so a full disk does not stop the shipping. */
  function keepPosition(): void {
    try {
      writePosition(dir, { segment: oldest() ?? newest + 1, offset });
      positionAlarm.worked();
    } catch (error) {
      positionAlarm.failed(error);
    }
  }

  try {
    openNext();
  } catch (error) {
    // What is there can be shipped, which gives room; until then `append` refuses.
    alarm.failed(error);
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
