/** SQL as tokens. Source: PostgreSQL manual, "Lexical Structure". */
import { statementsOf, tokensOf } from './sql.js';

test.each([
  [
    "select 'it''s', E'a\\'b', e'\\\\', U&'d\\0061t', x'1F'",
    ['select', "'it''s'", ',', "E'a\\'b'", ',', "e'\\\\'", ',', "U&'d\\0061t'", ',', "x'1F'"],
  ],
  ['"a ""b""" U&"c".d', ['"a ""b"""', 'U&"c"', '.', 'd']],
  ["a'b'", ['a', "'b'"]],
  ['$$ a $b$ $$ $t$ $$ $t$ $1', ['$$ a $b$ $$', '$t$ $$ $t$', '$1']],
  ['a -- b\nc /* d /* e */ f */ g', ['a', 'c', 'g']],
  ['1.5e-3 .5 2::int a$1', ['1.5e-3', '.5', '2', ':', ':', 'int', 'a$1']],
  ['größe é', ['größe', 'é']],
  ["'open", ["'open"]],
  ['"open', ['"open']],
  ['$$ open', ['$$ open']],
  ['/* open', []],
])('%s', (sql, texts) => {
  expect(tokensOf(sql).map(({ text }) => text)).toEqual(texts);
  for (const { text, start } of tokensOf(sql)) expect(sql.slice(start, start + text.length)).toBe(text);
});

test('statements end at semicolons that are not quoted', () => {
  const texts = statementsOf("select ';' ; ; $$;$$ -- ;\n").map((one) => one.map(({ text }) => text).join(' '));
  expect(texts).toEqual(["select ';'", '$$;$$']);
});

test('keywords are compared in capitals, and what is quoted as it is', () => {
  expect(tokensOf('Do "Do" \'Do\'').map(({ key }) => key)).toEqual(['DO', '"Do"', "'Do'"]);
});

test.each(["'", '"', "e'"])('a long text in %s is one token', (quote) => {
  const end = quote.at(-1)!;
  const text = `${quote}${'x'.repeat(2_000_000)}${(end + end).repeat(2_000_000)}${end}`;
  expect(tokensOf(text).map((one) => one.text.length)).toEqual([text.length]);
});
