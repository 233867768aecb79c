/**
 * The audit log of the Auth Service: JSON lines, one file a UTC day (`2026-11-21.log`, 0600 in a 0700 directory). An event
 * is acknowledged when it is durable; concurrent events share one write and one sync. A repeated event (same `uid`, as an
 * agent sends after a lost answer) is acknowledged and not written twice.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { createAlarm, type Logger, silent } from '../log.js';
import { auditFileError, createBatcher, type LineFile, openLineFile } from './line-file.js';

export interface AuditLog {
  /**
   * Resolves when every one of the events is durable.
   *
   * @throws TeleportError `LimitExceeded` when the disk is full, `BadParameter` for an event without uid
   */
  append(events: object[]): Promise<void>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export interface AuditLogOptions {
  dir: string;
  now?: () => Date;
  /** Where an alarm goes when the disk takes no more. */
  log?: Logger;
  /** How many event ids are remembered to recognise repeats. Default 100 000. */
  maxRemembered?: number;
}

export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { dir, now = () => new Date(), maxRemembered = 100_000 } = options;
  const alarm = createAlarm(options.log ?? silent, {
    failing: 'Audit events cannot be recorded, what they are about is refused.',
    working: 'Audit events are recorded again.',
  });
  try {
    await makeFolders(dir, 0o700);
  } catch (cause) {
    throw auditFileError(dir, cause);
  }
  const recent = rememberedOf(dir, maxRemembered);
  let file: LineFile | undefined;
  let day = '';
  let closed = false;

  const batcher = createBatcher(async (text) => {
    const today = now().toISOString().slice(0, 10);
    try {
      if (file === undefined || today !== day) {
        file?.close();
        file = undefined;
        file = openLineFile(join(dir, `${today}.log`));
        day = today;
      }
      await file.write(text);
      alarm.worked();
    } catch (error) {
      alarm.failed(error);
      throw error;
    }
  });

  return {
    async append(events) {
      if (closed) throw new TeleportError('ConnectionProblem', 'the audit log is closed');
      const fresh = new Map<string, string>();
      const others: Promise<void>[] = [];
      for (const event of events) {
        const { uid } = event as { uid?: unknown };
        if (typeof uid !== 'string' || uid === '') throw new TeleportError('BadParameter', 'audit event without uid');
        const known = recent.get(uid);
        if (known !== undefined) others.push(known);
        else if (!fresh.has(uid)) fresh.set(uid, `${JSON.stringify(event)}\n`);
      }
      if (fresh.size > 0) {
        const written = batcher.add([...fresh.values()].join(''));
        for (const uid of fresh.keys()) recent.set(uid, written);
        others.push(written);
        written.then(
          () => forgetOldest(recent, maxRemembered),
          () => {
            for (const uid of fresh.keys()) recent.delete(uid);
          },
        );
      }
      await Promise.all(others);
    },
    async close() {
      closed = true;
      await batcher.idle();
      file?.close();
      file = undefined;
    },
  };
}

const DAY_FILE = /^\d{4}-\d{2}-\d{2}\.log$/;

/** Event ids of the last two days' files, so that repeats are recognised across a restart. */
function rememberedOf(dir: string, max: number): Map<string, Promise<void>> {
  const durable = Promise.resolve();
  const recent = new Map<string, Promise<void>>();
  const days = readdirSync(dir)
    .filter((name) => DAY_FILE.test(name))
    .sort();
  for (const name of days.slice(-2)) {
    const file = openLineFile(join(dir, name));
    const from = Math.max(0, file.size - max * 512);
    for (const line of file
      .read(from, file.size - from)
      .toString('utf8')
      .split('\n')) {
      const uid = /"uid":"([^"\\]{1,100})"/.exec(line)?.[1];
      if (uid !== undefined) recent.set(uid, durable);
    }
    file.close();
  }
  forgetOldest(recent, max);
  return recent;
}

function forgetOldest(recent: Map<string, unknown>, max: number): void {
  for (const uid of recent.keys()) {
    if (recent.size <= max) return;
    recent.delete(uid);
  }
}
