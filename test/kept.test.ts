import { Kept } from '../src/kept.js';

function counting(options: ConstructorParameters<typeof Kept>[0]) {
  const made: string[] = [];
  const kept = new Kept<string>(options);
  const get = (text: string) =>
    kept.get(text, () => {
      made.push(text);
      return text.toUpperCase();
    });
  return { made, get };
}

test('what was made once is made once', () => {
  const { made, get } = counting({ most: 2, mostChars: 100 });
  expect([get('a'), get('b'), get('a')]).toEqual(['A', 'B', 'A']);
  expect(made).toEqual(['a', 'b']);
});

test('the oldest makes room, by number and by length', () => {
  const few = counting({ most: 2, mostChars: 100 });
  for (const text of ['a', 'b', 'c', 'b', 'a']) few.get(text);
  expect(few.made).toEqual(['a', 'b', 'c', 'a']);
  const short = counting({ most: 100, mostChars: 3 });
  for (const text of ['aa', 'b', 'c', 'b', 'aa', 'tolong', 'tolong']) short.get(text);
  expect(short.made).toEqual(['aa', 'b', 'c', 'aa', 'tolong', 'tolong']);
});

test('R-D-8 what was made counts too, where that is said', () => {
  const kept = new Kept<string>({ most: 100, mostChars: 20, charsOf: (made) => made.length });
  const made: string[] = [];
  const get = (text: string, length: number) =>
    kept.get(text, () => {
      made.push(text);
      return 'x'.repeat(length);
    });
  for (const text of ['a', 'b', 'a']) get(text, 9);
  expect(made).toEqual(['a', 'b']);
  get('c', 1);
  get('b', 9);
  get('a', 9);
  expect(made).toEqual(['a', 'b', 'c', 'a']);
});

test('what cannot be made is not kept', () => {
  const kept = new Kept<string>({ most: 2, mostChars: 100 });
  expect(() =>
    kept.get('a', () => {
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(kept.get('a', () => 'A')).toBe('A');
});
