/**
 * The whole lines of a file of the log, in blocks, forwards or from its end, in bounded memory. A block is read at one go;
 * who reads many gives way between them.
 */
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import { nodeCodeOf } from '../errors.js';
import { openPlainFile } from './plain-file.js';
import { MOST_LINE_BYTES } from './whole-lines.js';

const BLOCK_BYTES = 2 ** 18;

export interface Block {
  /** Whole lines, each with the place behind it in the order of the search. */
  lines: { text: string; next: number }[];
  next: number;
  bytes: number;
}

/** What is between `from` and the end of the last whole line. */
export function* blocks(path: string, from = 0): Generator<Block> {
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
export function* blocksBack(path: string, to?: number): Generator<Block> {
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
    fd = openPlainFile(path, constants.O_RDONLY);
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
