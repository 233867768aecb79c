/**
 * Reading the audit log back: the events between two moments, day file by day file, in the order in which they were
 * written. Reads while the writer writes; a line that is not complete yet is left for the next reading.
 */
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { daysSince } from './day-file.js';
import type { AuditEvent } from './events.js';
import { wholeLinesOf } from './whole-lines.js';

export interface AuditSpan {
  dir: string;
  /** First moment that counts. */
  from: Date;
  /** First moment that does not count any more. */
  to: Date;
  /** Only events of these names. */
  names?: string[];
}

/**
 * Events that happened in [from, to), by their `time`, or that Auth received in it: an agent may lie about the time, and
 * nothing it says must fall out of every span.
 *
 * @throws TeleportError `Protocol` when a complete line is not a JSON object: the file was changed by hand
 */
export async function* readAuditEvents({ dir, from, to, names }: AuditSpan): AsyncGenerator<AuditEvent> {
  for (const day of daysSince(dir, from)) {
    const path = join(dir, `${day}.log`);
    let number = 0;
    for await (const { text, problem } of wholeLinesOf(path)) {
      number++;
      const event = parse(problem ? '' : text, path, number);
      if (!isWithin(event, from, to)) continue;
      if (names === undefined || names.includes(event.event)) yield event;
    }
  }
}

/** By the time that it states, or that at which Auth had it. */
export function isWithin({ time, auth }: Pick<AuditEvent, 'time' | 'auth'>, from: Date, to: Date): boolean {
  return [time, auth?.received].some((moment) => {
    const at = Date.parse(String(moment));
    return at >= from.getTime() && at < to.getTime();
  });
}

function parse(line: string, path: string, number: number): AuditEvent {
  try {
    const event = JSON.parse(line) as unknown;
    if (typeof event === 'object' && event !== null && !Array.isArray(event)) return event as AuditEvent;
  } catch {
    // Falls through to the one error below.
  }
  throw new TeleportError('Protocol', `line ${number} of ${path} is not an audit event`);
}
