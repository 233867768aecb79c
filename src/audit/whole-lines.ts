/** The lines of a file that have their end, one after the other, in bounded memory. */
import { isUtf8 } from 'node:buffer';
import { constants, createReadStream } from 'node:fs';
import { openPlainFile } from './plain-file.js';

export interface WholeLine {
  text: string;
  /** Else `text` has U+FFFD where the file has other bytes, and another line could have the same text. */
  isUtf8: boolean;
}

/** A line feed alone ends a line: Node's own reader of lines also ends them at U+2028. */
export async function* wholeLinesOf(path: string): AsyncGenerator<WholeLine> {
  let begun: Buffer[] = [];
  const fd = openPlainFile(path, constants.O_RDONLY);
  for await (const chunk of createReadStream(path, { fd }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      begun.push(chunk.subarray(from, end));
      const line = begun.length === 1 ? begun[0]! : Buffer.concat(begun);
      yield { text: line.toString('utf8'), isUtf8: isUtf8(line) };
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
}
