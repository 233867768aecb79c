/**
 * The audit log a page at a time, forwards or from its end. A page says where the next one begins, so that no state is kept
 * between two of them; it reads a bounded piece of the log, found or not, and gives way to others between two blocks.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { nodeCodeOf, TeleportError } from '../errors.js';
import { Slices } from '../slices.js';
import { DAY_FILE } from './day-file.js';
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
const BLOCK_BYTES = 2 ** 18;
/** No line is longer: a record's text in its longest written form, and its stamp. */
const MOST_LINE_BYTES = 2 ** 23;
const MOST_READ_BYTES = 2 ** 23;
/** With one line more it still fits into a message of 4 MiB. */
const MOST_PAGE_BYTES = 2 ** 19;

/** @throws TeleportError `BadParameter` for a `start` that is not one of ours */
export async function searchAuditLog(dir: string, search: AuditSearch): Promise<AuditPage> {
  const { newestFirst = false, limit } = search;
  const place = placeOf(search.start ?? '');
  const days = daysOf(dir, search).filter(
    (day) => place === undefined || (newestFirst ? day <= place.day : day >= place.day),
  );
  if (newestFirst) days.reverse();
  const matches = matcherOf(search);
  const lines: string[] = [];
  const slices = new Slices();
  let read = 0;
  let bytes = 0;
  for (const day of days) {
    const at = place?.day === day ? place.offset : undefined;
    for await (const block of newestFirst
      ? blocksBack(join(dir, `${day}.log`), at)
      : blocks(join(dir, `${day}.log`), at)) {
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

/** Days in whose files there may be something; an agent's record may reach the log after midnight. */
function daysOf(dir: string, { from, to }: AuditSearch): string[] {
  const first = dayOf(from.getTime());
  const last = dayOf(to.getTime() + DAY_MS);
  return readdirSync(dir)
    .filter((name) => DAY_FILE.test(name))
    .map((name) => name.slice(0, 10))
    .filter((day) => day >= first && day <= last)
    .sort();
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

interface Block {
  /** Whole lines, each with the place behind it in the order of the search. */
  lines: { text: string; next: number }[];
  next: number;
  bytes: number;
}

/** What is between `from` and the end of the last whole line. */
async function* blocks(path: string, from = 0): AsyncGenerator<Block> {
  let size = BLOCK_BYTES;
  for (let at = from; ; ) {
    const chunk = piece(path, at, size);
    const end = chunk.lastIndexOf(0x0a) + 1;
    if (end === 0) {
      if (chunk.length < size || size >= MOST_LINE_BYTES) return;
      size *= 2;
      continue;
    }
    let begin = at;
    const lines = textsOf(chunk.subarray(0, end)).map(({ text, length }) => {
      begin += length;
      return { text, next: begin };
    });
    at += end;
    yield { lines, next: at, bytes: end };
    size = BLOCK_BYTES;
  }
}

/** The same from the end; what stands behind the last line feed is not a line yet. */
async function* blocksBack(path: string, to?: number): AsyncGenerator<Block> {
  let end = to ?? wholeSize(path);
  let size = BLOCK_BYTES;
  while (end > 0) {
    const from = Math.max(0, end - size);
    const chunk = piece(path, from, end - from);
    const begin = from === 0 ? 0 : chunk.indexOf(0x0a) + 1;
    if (begin >= chunk.length || (begin === 0 && from > 0)) {
      if (from === 0 || size >= MOST_LINE_BYTES) return;
      size *= 2;
      continue;
    }
    let next = from + begin;
    const lines = textsOf(chunk.subarray(begin)).map(({ text, length }) => {
      const line = { text, next };
      next += length;
      return line;
    });
    yield { lines: lines.reverse(), next: from + begin, bytes: chunk.length - begin };
    end = from + begin;
    size = BLOCK_BYTES;
  }
}

function textsOf(bytes: Buffer): { text: string; length: number }[] {
  const lines: { text: string; length: number }[] = [];
  for (let begin = 0; begin < bytes.length; ) {
    const end = bytes.indexOf(0x0a, begin);
    if (end < 0) break;
    lines.push({ text: bytes.toString('utf8', begin, end), length: end + 1 - begin });
    begin = end + 1;
  }
  return lines;
}

function wholeSize(path: string): number {
  const size = withFile(path, (fd) => fstatSync(fd).size, 0);
  for (let end = size; end > 0; end = Math.max(0, end - BLOCK_BYTES)) {
    const from = Math.max(0, end - BLOCK_BYTES);
    const feed = piece(path, from, end - from).lastIndexOf(0x0a);
    if (feed >= 0) return from + feed + 1;
  }
  return 0;
}

function piece(path: string, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(
    0,
    withFile(path, (fd) => readSync(fd, bytes, 0, length, from), 0),
  );
}

/** A day that is old may go while it is read. */
function withFile<T>(path: string, read: (fd: number) => T, gone: T): T {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return gone;
    throw error;
  }
  try {
    return read(fd);
  } finally {
    closeSync(fd);
  }
}
