import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { wholeBody } from '../../src/net/whole-body.js';

const body = (...parts: string[]) => Readable.from(parts.map((part) => Buffer.from(part)));

test('a body is one text, also where a character is cut in two', async () => {
  const bytes = Buffer.from('größe');
  const cut = Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]);
  expect(await wholeBody(cut, 7, 'the answer')).toBe('größe');
  expect(await wholeBody(body(), 0, 'the answer')).toBe('');
});

test('one that is too long is an error, and no more of it is read', async () => {
  const long = body('abc', 'def', 'ghi');
  const refusal = { code: 'Protocol', message: 'the answer is longer than 5 bytes' };
  await expect(wholeBody(long, 5, 'the answer')).rejects.toMatchObject(refusal);
  expect(long.destroyed).toBe(true);
});
