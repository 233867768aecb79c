/** The lines of a file that have their end, one after the other, in bounded memory. */
import { isUtf8 } from 'node:buffer';
import { constants, createReadStream } from 'node:fs';
import { openPlainFile } from './plain-file.js';

export interface WholeLine {
  /** Empty for one that is too long. */
  text: string;
  /** Why Auth cannot have written it. One that is not UTF-8 has U+FFFD in `text`, which another line could have as well. */
  problem?: typeof NOT_UTF8 | typeof TOO_LONG;
}

/** No line of the log is longer: a record's text in its longest written form, and its stamp. */
export const MOST_LINE_BYTES = 2 ** 23;

/** Said of a line with other bytes: its sum may be right although they are not those that were written. */
export const NOT_UTF8 = 'it is not UTF-8: Auth did not write it so';
export const TOO_LONG = `it is longer than ${MOST_LINE_BYTES} bytes: Auth did not write it so`;

/**
 * A line feed alone ends a line: Node's own reader of lines also ends them at U+2028. What is behind the last one is not a
 * line yet, unless it is too long for one.
 */
export async function* wholeLinesOf(path: string): AsyncGenerator<WholeLine> {
  let begun: Buffer[] = [];
  let bytes = 0;
  const add = (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MOST_LINE_BYTES) begun = [];
    else begun.push(piece);
  };
  const fd = openPlainFile(path, constants.O_RDONLY);
  for await (const chunk of createReadStream(path, { fd }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      add(chunk.subarray(from, end));
      yield bytes > MOST_LINE_BYTES ? { text: '', problem: TOO_LONG } : lineOf(begun);
      [begun, bytes] = [[], 0];
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  if (bytes > MOST_LINE_BYTES) yield { text: '', problem: TOO_LONG };
}

function lineOf(pieces: readonly Buffer[]): WholeLine {
  const line = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  const text = line.toString('utf8');
  return isUtf8(line) ? { text } : { text, problem: NOT_UTF8 };
}
