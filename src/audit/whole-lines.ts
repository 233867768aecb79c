/** The lines of a file that have their end, one after the other, in bounded memory. */
import { constants, createReadStream } from 'node:fs';
import { openPlainFile } from './plain-file.js';

/** A line feed alone ends a line: Node's own reader of lines also ends them at U+2028. */
export async function* wholeLinesOf(path: string): AsyncGenerator<string> {
  let begun: string[] = [];
  const fd = openPlainFile(path, constants.O_RDONLY);
  for await (const chunk of createReadStream(path, { fd, encoding: 'utf8' }) as AsyncIterable<string>) {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      yield begun.join('') + chunk.slice(from, end);
      begun = [];
      from = end + 1;
    }
    begun.push(chunk.slice(from));
  }
}
