import { expect, test } from '@jest/globals';
import { asAscii, escaped } from '../src/escaped.js';

test('X12 what JSON leaves raw is escaped, and means the same', () => {
  const value = { text: '\u007f\u0085\u009b\u2028\u2029\u202e\u2066\u061c\u200f', kept: 'é 漢 👩 \u00a0' };
  const text = escaped(JSON.stringify(value));
  expect(text).toContain('\\u007f\\u0085\\u009b\\u2028\\u2029\\u202e\\u2066\\u061c\\u200f');
  expect(text).toContain(value.kept);
  expect(JSON.parse(text)).toEqual(value);
});

test('one spelling for texts that differ in what they escape', () => {
  const text = JSON.stringify('é\u200b漢 a');
  expect(asAscii(text)).toBe('"\\u00e9\\u200b\\u6f22 a"');
  expect(asAscii(escaped(text))).toBe(asAscii(text));
});
