import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { sha256 } from '../src/sha256.js';

test.each(['', 'abc', 'ü\u{1f600}', Buffer.from([0, 255, 128]), Buffer.alloc(100_000, 'x').subarray(3)])(
  'the sum of %j is that of the algorithm',
  (data) => {
    expect(sha256(data)).toBe(createHash('sha256').update(data).digest('hex'));
  },
);
