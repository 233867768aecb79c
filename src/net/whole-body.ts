/** What somebody else wrote, such as the body of an HTTP message, as one text with a bound. */
import { TeleportError } from '../errors.js';

/**
 * @param what  named in the error: `the answer`
 * @returns it as UTF-8
 * @throws TeleportError `Protocol` for one that is longer than `mostBytes`; what the stream throws
 */
export async function wholeBody(body: AsyncIterable<unknown>, mostBytes: number, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new TeleportError('Protocol', `${what} is longer than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
