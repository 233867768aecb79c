import { expect, test } from '@jest/globals';
import { KeptWords } from '../../src/auth/kept-words.js';

let asked: string[];
let words: KeptWords<string>;
const of = (user: string, generation: string) =>
  words.of(user, generation, () => {
    asked.push(`${user}${generation}`);
    return `word of ${user}${generation}`;
  });
beforeEach(() => {
  asked = [];
  words = new KeptWords(2);
});

test('a word is asked for once, until it is forgotten', () => {
  expect([of('a', '1'), of('a', '1'), of('b', '1')]).toEqual(['word of a1', 'word of a1', 'word of b1']);
  words.forget('a');
  of('a', '1');
  of('b', '1');
  words.clear();
  of('b', '1');
  expect(asked).toEqual(['a1', 'b1', 'a1', 'b1']);
});

test('a user who is known already costs no other one her word; one too many begins anew', () => {
  of('a', '1');
  of('b', '1');
  of('b', '2');
  of('a', '1');
  expect(asked).toEqual(['a1', 'b1', 'b2']);
  of('c', '1');
  of('a', '1');
  expect(asked.slice(3)).toEqual(['c1', 'a1']);
});

test('of one user the words about four certificates are kept', () => {
  for (const generation of '1234') of('a', generation);
  for (const generation of '1234') of('a', generation);
  expect(asked).toHaveLength(4);
  for (const generation of '51') of('a', generation);
  expect(asked.slice(4)).toEqual(['a5', 'a1']);
});
