/** JSON objects, one a line, out of chunks. Pure. */
import { TeleportError } from '../errors.js';

/**
 * A function that takes chunks and reports the object of each whole line.
 *
 * @param maxBytes  longest line
 * @throws (the function) TeleportError `Protocol` for a line that is not a JSON object, `LimitExceeded` for an endless one
 */
export function createLineReader(
  maxBytes: number,
  onLine: (object: Record<string, unknown>) => void,
): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]);
      parts = [];
      size = 0;
      rest = rest.subarray(end + 1);
      if (line.length > 0) onLine(objectOf(line));
    }
    size += rest.length;
    if (size > maxBytes) throw new TeleportError('LimitExceeded', `a line of more than ${maxBytes} bytes`);
    if (rest.length > 0) parts.push(rest);
  };
}

function objectOf(line: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // told below
  }
  throw new TeleportError('Protocol', 'a line that is not a JSON object');
}
