/**
 * A conversation as text that a person can read and a test can compare, and back. Pure.
 *
 * Lines that start with `#` are notes. Every other line is `CONNECTION F|B NAME HEX`: the number of the connection from
 * 1, who speaks (frontend or backend), the message's name, its bytes. `(closed) -` = that side ended the stream;
 * `SSLAnswer` = the single byte that answers SSLRequest and GSSENCRequest.
 */

import { TeleportError } from '../../src/errors.js';
import { BACKEND_TAGS, FRONTEND_TAGS } from '../../src/pg/messages.js';
import { decodeFirst } from '../../src/pg/startup.js';

export interface TraceEntry {
  connection: number;
  side: 'F' | 'B';
  name: string;
  /** Null where the side ended the stream. */
  bytes: Buffer | null;
}

export interface Trace {
  notes: string[];
  entries: TraceEntry[];
}

const CLOSED = '(closed)';

/** @throws TeleportError 'BadParameter' with the number of a line that is none */
export function parseTrace(text: string): Trace {
  const trace: Trace = { notes: [], entries: [] };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('#')) trace.notes.push(line.replace(/^# ?/, ''));
    else if (line !== '') trace.entries.push(parseLine(line, index + 1));
  }
  return trace;
}

export function formatTrace(trace: Trace): string {
  const notes = trace.notes.map((note) => (note === '' ? '#' : `# ${note}`));
  const lines = trace.entries.map(
    ({ connection, side, name, bytes }) =>
      `${connection} ${side} ${name} ${bytes === null ? '-' : bytes.toString('hex')}`,
  );
  return [...notes, ...lines].map((line) => `${line}\n`).join('');
}

/**
 * The name under which a packet is written down: the message's own, `Authentication` for the whole family of `R`,
 * `PasswordMessage` for the family of `p`.
 *
 * @param bytes  one whole packet; of a frontend without a tag when it is the first
 */
export function traceName(side: 'F' | 'B', bytes: Buffer, options: { isFirst?: boolean } = {}): string {
  if (options.isFirst) return side === 'F' ? decodeFirst(bytes).type : 'SSLAnswer';
  const letter = String.fromCharCode(bytes[0] ?? 0);
  if (letter === 'R' && side === 'B') return 'Authentication';
  if (letter === 'p' && side === 'F') return 'PasswordMessage';
  const found = Object.entries(side === 'F' ? FRONTEND_TAGS : BACKEND_TAGS).find(([, tag]) => tag === letter);
  return found?.[0] ?? 'Unknown';
}

function parseLine(line: string, number: number): TraceEntry {
  const match = /^([1-9][0-9]*) ([FB]) (\S+) (-|(?:[0-9a-f]{2})+)$/.exec(line);
  if (!match || (match[3] === CLOSED) !== (match[4] === '-')) {
    throw new TeleportError('BadParameter', `line ${number} of the trace is not CONNECTION F|B NAME HEX`);
  }
  return {
    connection: Number(match[1]),
    side: match[2] as 'F' | 'B',
    name: match[3]!,
    bytes: match[4] === '-' ? null : Buffer.from(match[4]!, 'hex'),
  };
}
