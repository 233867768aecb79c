/** The lines of a file that have their end, one after the other, in bounded memory. */
import { createReadStream } from 'node:fs';

/** A line feed alone ends a line: Node's own reader of lines also ends them at U+2028. */
export async function* wholeLinesOf(path: string): AsyncGenerator<string> {
  let begun: string[] = [];
  for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      yield begun.join('') + chunk.slice(from, end);
      begun = [];
      from = end + 1;
    }
    begun.push(chunk.slice(from));
  }
}
