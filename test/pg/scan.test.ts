/**
 * The scanner against the decoder's view of the same bytes, and at its limits.
 * Tests: src/pg/messages.ts
 */

import fc from 'fast-check';
import { encodeBackend, encodeFrontend } from '../../src/pg/encode.js';
import { tagByte } from '../../src/pg/messages.js';
import { createScanner } from '../../src/pg/scan.js';

const LETTERS = 'BCDEFHPQSXcdfp';

test('reports the same messages as whole reading does, however the bytes are cut', () => {
  const message = fc.tuple(fc.constantFrom(...LETTERS), fc.uint8Array({ maxLength: 30 }));
  const caps = fc.array(fc.option(fc.integer({ min: 0, max: 40 }), { nil: undefined }), {
    minLength: 14,
    maxLength: 14,
  });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 20 }),
      caps,
      fc.array(fc.integer({ min: 1, max: 50 })),
      (all, cap, cuts) => {
        const capOf = (tag: number) => cap[LETTERS.indexOf(String.fromCharCode(tag))];
        const stream = Buffer.concat(all.map(([letter, body]) => packet(letter, Buffer.from(body))));
        const seen: unknown[] = [];
        const scanner = createScanner({
          side: 'frontend',
          wanted: capOf,
          onMessage: (tag, bodyBytes, body) => seen.push([tag, bodyBytes, body?.toString('hex')]),
        });
        let at = 0;
        for (const size of cuts) {
          // A chunk is overwritten once it has been seen: nothing may still look at it.
          const chunk = Buffer.from(stream.subarray(at, at + size));
          scanner.push(chunk);
          chunk.fill(0xee);
          at = Math.min(at + size, stream.length);
        }
        scanner.push(stream.subarray(at));
        const expected = all.flatMap(([letter, body]) => {
          const most = capOf(tagByte(letter));
          const kept = most ? Buffer.from(body.subarray(0, most)).toString('hex') : undefined;
          return most === undefined ? [] : [[tagByte(letter), body.length, kept]];
        });
        expect(seen).toEqual(expected);
        expect(scanner.messageCount).toBe(all.length);
        expect(scanner.bytesLeft).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});

test('a body that is longer than its cap is reported whole in length and cut in bytes', () => {
  const seen: unknown[] = [];
  const scanner = createScanner({
    side: 'frontend',
    wanted: () => 4,
    onMessage: (tag, bodyBytes, body) => seen.push([tag, bodyBytes, body?.toString()]),
  });
  const query = encodeFrontend({ type: 'Query', query: 'x'.repeat(1_000_000) });
  for (let at = 0; at < query.length; at += 65_536) scanner.push(query.subarray(at, at + 65_536));
  expect(seen).toEqual([[tagByte('Q'), 1_000_001, 'xxxx']]);
});

test('an unknown tag is refused, or passes where extensions may', () => {
  const strict = createScanner({ side: 'backend', wanted: () => undefined, onMessage: () => {} });
  expect(() => strict.push(packet('y', Buffer.alloc(7)))).toThrow("unknown PostgreSQL message 'y' (7 bytes)");
  const seen: number[] = [];
  const lax = createScanner({
    side: 'backend',
    wanted: (tag) => (tag === tagByte('Z') ? 1 : undefined),
    onMessage: (tag) => seen.push(tag),
    refuseUnknown: false,
  });
  lax.push(Buffer.concat([packet('y', Buffer.alloc(7)), encodeBackend({ type: 'ReadyForQuery', txStatus: 'I' })]));
  expect(seen).toEqual([tagByte('Z')]);
});

test.each([
  ['3', '5100000003'],
  ['0', '5100000000'],
  ['more than 1 GiB', '5140000004'],
  ['4 GiB', '51ffffffff'],
])('a length of %s is refused, in one chunk and byte by byte', (_, hex) => {
  for (const size of [5, 1]) {
    const scanner = createScanner({ side: 'frontend', wanted: () => 10, onMessage: () => {} });
    const act = () => {
      for (let at = 0; at < 5; at += size) scanner.push(Buffer.from(hex, 'hex').subarray(at, at + size));
    };
    expect(act).toThrow(expect.objectContaining({ code: 'Protocol' }));
  }
});

function packet(letter: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}
