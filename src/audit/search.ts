/**
 * The audit log a page at a time, forwards or from its end. A page says where the next one begins, so that no state is kept
 * between two of them; it reads a bounded piece of the log, found or not, and gives way to others between two blocks.
 */
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { Slices } from '../slices.js';
import { blocks, blocksBack } from './blocks.js';
import { daysOf } from './day-file.js';
import type { AuditEvent } from './events.js';
import { isWithin } from './read.js';
import { recordText } from './record-text.js';

export interface AuditSearch {
  /** First moment that counts, and first that does not any more. */
  from: Date;
  to: Date;
  user?: string;
  /** `db_service`. */
  database?: string;
  /** Names of events, or beginnings of names that end in a dot; all of them without one. */
  kinds?: readonly string[];
  newestFirst?: boolean;
  /** Most records of a page. */
  limit: number;
  /** `next` of the page before. */
  start?: string;
}

export interface AuditPage {
  /** As they stand in the log, in the order of the search. */
  lines: string[];
  /** Empty when there is nothing more. A page without lines may have one. */
  next: string;
}

const DAY_MS = 86_400_000;
const MOST_READ_BYTES = 2 ** 23;
/** With one line more it still fits into a message of 4 MiB. */
const MOST_PAGE_BYTES = 2 ** 19;

/** @throws TeleportError `BadParameter` for a `start` that is not one of ours */
export async function searchAuditLog(dir: string, search: AuditSearch): Promise<AuditPage> {
  const { newestFirst = false, limit } = search;
  const place = placeOf(search.start ?? '');
  const first = dayOf(search.from.getTime());
  const last = dayOf(search.to.getTime() + DAY_MS);
  const days = daysOf(dir).filter(
    (day) =>
      day >= first && day <= last && (place === undefined || (newestFirst ? day <= place.day : day >= place.day)),
  );
  if (newestFirst) days.reverse();
  const matches = matcherOf(search);
  const lines: string[] = [];
  const slices = new Slices();
  let read = 0;
  let bytes = 0;
  for (const day of days) {
    const at = place?.day === day ? place.offset : undefined;
    for (const block of newestFirst ? blocksBack(join(dir, `${day}.log`), at) : blocks(join(dir, `${day}.log`), at)) {
      read += block.bytes;
      for (const { text, next } of block.lines) {
        await slices.next();
        if (!matches(text)) continue;
        lines.push(text);
        bytes += Buffer.byteLength(text);
        if (lines.length >= limit || bytes >= MOST_PAGE_BYTES) return { lines, next: `${day}:${next}` };
      }
      if (read >= MOST_READ_BYTES) return { lines, next: `${day}:${block.next}` };
    }
  }
  return { lines, next: '' };
}

const dayOf = (ms: number) => new Date(Math.min(ms, 253_402_300_799_000)).toISOString().slice(0, 10);

function placeOf(text: string): { day: string; offset: number } | undefined {
  if (text === '') return undefined;
  const [, day, offset] = /^(\d{4}-\d{2}-\d{2}):(\d{1,15})$/.exec(text) ?? [];
  if (day === undefined) throw new TeleportError('BadParameter', 'this is not the start of a page of the audit log');
  return { day, offset: Number(offset) };
}

function matcherOf({ from, to, user, database, kinds = [] }: AuditSearch): (line: string) => boolean {
  // The form of a record is fixed, so what is not in the line as a text is not in it as a member. It saves the parser.
  const needed = [user && member('user', user), database && member('db_service', database)].filter((one) => !!one);
  const isKind = (event: unknown) =>
    kinds.length === 0 || kinds.some((kind) => (kind.endsWith('.') ? String(event).startsWith(kind) : event === kind));
  return (line) => {
    if (!needed.every((text) => line.includes(text as string))) return false;
    const event = eventOf(line);
    if (event === undefined || !isKind(event.event) || !isWithin(event, from, to)) return false;
    return (user === undefined || event.user === user) && (database === undefined || event.db_service === database);
  };
}

const member = (name: string, value: string) => recordText({ [name]: value }).slice(1, -1);

function eventOf(line: string): AuditEvent | undefined {
  try {
    const event = JSON.parse(line) as unknown;
    return typeof event === 'object' && event !== null ? (event as AuditEvent) : undefined;
  } catch {
    // Not ours to say: "tctl audit verify" finds it.
    return undefined;
  }
}
