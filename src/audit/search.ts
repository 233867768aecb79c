/**
 * The audit log a page at a time, forwards or from its end. A page says where the next one begins, so that no state is kept
 * between two of them; it reads a bounded piece of the log, found or not, and gives way to others between two blocks.
 */
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { Slices } from '../slices.js';
import { blocks, blocksBack } from './blocks.js';
import { daysSince } from './day-file.js';
import type { AuditEvent } from './events.js';
import { isWithin } from './read.js';
import { recordText } from './record-text.js';

export interface AuditSearch {
  /** First moment that counts, and first that does not any more. */
  from: Date;
  to: Date;
  /** What happened before, by the time that it states, does not count, whenever it was received. */
  happenedSince?: Date;
  user?: string;
  /** `user_cluster_name`; of a record without one `cluster_name`. */
  userCluster?: string;
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
  /** As they stand in the log, in the order of the search; one above 3 MiB without its long members and with `shortened_bytes`. */
  lines: string[];
  /** Empty when there is nothing more. A page without lines may have one. */
  next: string;
}

const MOST_READ_BYTES = 2 ** 23;
/** With one line more it still fits into a message of 4 MiB. */
const MOST_PAGE_BYTES = 2 ** 19;
/** A longer line would make its page one that nobody can read, and with it all that stands behind. */
const MOST_SHOWN_BYTES = 3 * 2 ** 20;
/** Of a member of such a line. */
const MOST_MEMBER_CHARACTERS = 1000;
const MOST_MEMBERS = 100;

/** @throws TeleportError `BadParameter` for a `start` that is not one of ours */
export async function searchAuditLog(dir: string, search: AuditSearch): Promise<AuditPage> {
  const { newestFirst = false, limit } = search;
  const place = placeOf(search.start ?? '');
  const days = daysSince(dir, search.from).filter(
    (day) => place === undefined || (newestFirst ? day <= place.day : day >= place.day),
  );
  if (newestFirst) days.reverse();
  const matches = matcherOf(search);
  const lines: string[] = [];
  const slices = new Slices();
  let read = 0;
  let bytes = 0;
  await slices.next();
  for (const day of days) {
    const at = place?.day === day ? place.offset : undefined;
    for (const block of newestFirst ? blocksBack(join(dir, `${day}.log`), at) : blocks(join(dir, `${day}.log`), at)) {
      read += block.bytes;
      for (const { text, next } of block.lines) {
        await slices.next();
        if (!matches(text)) continue;
        const shown = shownOf(text);
        lines.push(shown);
        bytes += Buffer.byteLength(shown);
        if (lines.length >= limit || bytes >= MOST_PAGE_BYTES) return { lines, next: `${day}:${next}` };
      }
      if (read >= MOST_READ_BYTES) return { lines, next: `${day}:${block.next}` };
    }
  }
  return { lines, next: '' };
}

function placeOf(text: string): { day: string; offset: number } | undefined {
  if (text === '') return undefined;
  const [, day, offset] = /^(\d{4}-\d{2}-\d{2}):(\d{1,15})$/.exec(text) ?? [];
  if (day === undefined) throw new TeleportError('BadParameter', 'this is not the start of a page of the audit log');
  return { day, offset: Number(offset) };
}

function matcherOf({
  from,
  to,
  happenedSince,
  user,
  userCluster,
  database,
  kinds = [],
}: AuditSearch): (line: string) => boolean {
  // The form of a record is fixed, so what is not in the line as a text is not in it as a member. It saves the parser.
  const needed = [user && member('user', user), database && member('db_service', database)].filter(
    // An agent of another version may have escaped more than we do.
    (text) => text && IS_ASCII.test(text),
  );
  const isKind = (event: unknown) =>
    kinds.length === 0 || kinds.some((kind) => (kind.endsWith('.') ? String(event).startsWith(kind) : event === kind));
  return (line) => {
    if (!needed.every((text) => line.includes(text as string))) return false;
    const event = eventOf(line);
    if (event === undefined || !isKind(event.event) || !isWithin(event, from, to)) return false;
    if (happenedSince && !(Date.parse(event.time) >= happenedSince.getTime())) return false;
    if (userCluster && (event.user_cluster_name ?? event.cluster_name) !== userCluster) return false;
    return (user === undefined || event.user === user) && (database === undefined || event.db_service === database);
  };
}

const IS_ASCII = /^[\u0020-\u007e]*$/;

const member = (name: string, value: string) => recordText({ [name]: value }).slice(1, -1);

/** A record of a bounded length that says what it is of. */
function shownOf(line: string): string {
  const bytes = Buffer.byteLength(line);
  if (bytes <= MOST_SHOWN_BYTES) return line;
  const members = Object.entries(JSON.parse(line) as object)
    .slice(0, MOST_MEMBERS)
    .filter(([name, value]) => recordText({ [name]: value }).length <= MOST_MEMBER_CHARACTERS);
  return recordText({ ...Object.fromEntries(members), shortened_bytes: bytes });
}

function eventOf(line: string): AuditEvent | undefined {
  try {
    const event = JSON.parse(line) as unknown;
    return typeof event === 'object' && event !== null ? (event as AuditEvent) : undefined;
  } catch {
    // Not ours to say: "tctl audit verify" finds it.
    return undefined;
  }
}
