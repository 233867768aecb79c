/** Words of commands, for a shell and for a person. */
import { expect, test } from '@jest/globals';
import { redactText } from '../src/redact.js';
import { quotedWord, shellWord } from '../src/shell-word.js';

test('a word is quoted where a shell would change it', () => {
  expect(['orders', 'a@b', 'x y', "it's", '', '$(x)'].map(quotedWord)).toEqual([
    'orders',
    'a@b',
    "'x y'",
    "'it'\\''s'",
    "''",
    "'$(x)'",
  ]);
});

test('R-B1 in a text for people a word in which something would be hidden is hidden whole', () => {
  expect(shellWord('/home/password/x')).toBe('/home/password/x');
  for (const value of ['$(x) password=z!', 'password=', 'password": ', 'pwd=x', "postgres://u:p'q@h", 'x"://u:p@']) {
    const text = `--db-user=${shellWord(value)} --db-name=${shellWord(`${value}b`)} 'end'`;
    expect([value, redactText(text)]).toEqual([value, text]);
  }
});
