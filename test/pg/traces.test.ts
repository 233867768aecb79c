/**
 * The recorded conversations in `test/wire`: four questions for each of them, and one for the scanner.
 * Tests: src/pg/decode.ts, src/pg/encode.ts
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTeleportError } from '../../src/errors.js';
import { decodeBackend, decodeFrontend } from '../../src/pg/decode.js';
import { encodeBackend, encodeFrontend } from '../../src/pg/encode.js';
import { tagByte } from '../../src/pg/messages.js';
import { createScanner } from '../../src/pg/scan.js';
import { decodeFirst, encodeFirst } from '../../src/pg/startup.js';
import { formatTrace, parseTrace, type TraceEntry, traceName } from '../support/pg-trace.js';

const DIR = join(process.cwd(), 'test/wire');
const names = readdirSync(DIR).filter((name) => name.endsWith('.trace'));
const FIRST = ['StartupMessage', 'SSLRequest', 'GSSENCRequest', 'CancelRequest'];

type Message = TraceEntry & { bytes: Buffer };
const messagesOf = (name: string): Message[] =>
  parseTrace(readFileSync(join(DIR, name), 'utf8')).entries.filter(
    (entry): entry is Message => entry.bytes !== null && entry.name !== 'SSLAnswer',
  );

const decode = (side: 'F' | 'B', name: string, bytes: Buffer) => {
  if (FIRST.includes(name)) return encodeFirst(decodeFirst(bytes));
  const body = bytes.subarray(5);
  return side === 'F' ? encodeFrontend(decodeFrontend(bytes[0]!, body)) : encodeBackend(decodeBackend(bytes[0]!, body));
};

describe.each(names)('%s', (name) => {
  const text = readFileSync(join(DIR, name), 'utf8');

  test('is written back as the same text', () => {
    expect(formatTrace(parseTrace(text))).toBe(text);
  });

  test('decodes to messages of the recorded names that encode to the same bytes', () => {
    for (const { side, name: message, bytes } of messagesOf(name)) {
      expect(traceName(side, bytes, { isFirst: FIRST.includes(message) })).toBe(message);
      expect(decode(side, message, bytes).toString('hex')).toBe(bytes.toString('hex'));
    }
  });

  test('ends in Protocol for every message that is a piece short or a byte long', () => {
    for (const { side, name: message, bytes } of messagesOf(name)) {
      const header = FIRST.includes(message) ? 4 : 5;
      const cuts = Array.from({ length: bytes.length - header }, (_, i) => bytes.subarray(0, header + i));
      // The cancel key is all that is left of its message, so one more byte is a longer key (protocol 3.2).
      const long = message === 'BackendKeyData' ? [] : [Buffer.concat([bytes, Buffer.from([0])])];
      for (const broken of [...cuts, ...long]) {
        expect(codeOf(() => decode(side, message, broken))).toBe('Protocol');
      }
    }
  });

  test('gives the scanner the same messages wherever it is cut', () => {
    for (const side of ['F', 'B'] as const) {
      const messages = messagesOf(name).filter((entry) => entry.side === side && !FIRST.includes(entry.name));
      const bytes = Buffer.concat(messages.map((entry) => entry.bytes));
      for (let cut = 0; cut <= bytes.length; cut++) {
        const seen: string[] = [];
        const scanner = createScanner({
          side: side === 'F' ? 'frontend' : 'backend',
          wanted: () => 1000,
          onMessage: (tag, _, body) => seen.push(String.fromCharCode(tag) + body!.toString('hex')),
        });
        scanner.push(bytes.subarray(0, cut));
        scanner.push(bytes.subarray(cut));
        expect(scanner.bytesLeft).toBe(0);
        expect(scanner.messageCount).toBe(messages.length);
        expect(seen).toEqual(messages.map(({ bytes: one }) => String.fromCharCode(one[0]!) + one.toString('hex', 5)));
      }
    }
  });
});

test('a line that is none is refused with its number', () => {
  expect(() => parseTrace('# note\n1 F Query 51zz\n')).toThrow('line 2');
});

test('a message that breaks off names its tag and length and nothing of its content', () => {
  expect(() => decodeFrontend(tagByte('Q'), Buffer.from('secret'))).toThrow(
    "PostgreSQL message 'Q' (6 bytes): a string without its end",
  );
  expect(() => decodeBackend(0, Buffer.alloc(3))).toThrow('unknown PostgreSQL message 0x00 (3 bytes)');
});

function codeOf(act: () => unknown): string {
  try {
    act();
    return 'success';
  } catch (error) {
    return isTeleportError(error) ? error.code : String(error);
  }
}
