import { longFunctions, longFunctionsIn, MOST_LINES } from './functions.js';

const body = (lines: number) => 'x();\n'.repeat(lines);

test(`H4 no function is longer than ${MOST_LINES} lines, with all that is in it`, () => {
  expect(longFunctions()).toEqual([]);
});

test.each([
  ['a function', 'function f() {', '}'],
  ['an arrow', 'const f = async () => {', '};'],
  ['a function in an object', 'const o = { f() {', '} };'],
  ['a function in braces', 'call(function () {', '});'],
  ['a method', 'class A { static f(): void {', '} }'],
  ['a private method', 'class A { #f(): void {', '} }'],
  ['a constructor', 'class A { constructor() {', '} }'],
  ['a getter', 'class A { get f() {', '} }'],
  ['a getter of an object', 'const o = { get f() {', '} };'],
])('%s is measured from its first line to its last', (_what, head, end) => {
  const source = `/** Ünïcode before it. */\nconst before = 'é';\n${head}\n${body(8)}${end}\n`;
  expect(longFunctionsIn(source, 10)).toEqual([]);
  expect(longFunctionsIn(source, 9)).toEqual([{ line: 3, lines: 10 }]);
});

test('what is within a function counts for the outer one', () => {
  const source = `function outer() {\n  return () => {\n${body(6)}  };\n}\n`;
  expect(longFunctionsIn(source, 8)).toEqual([{ line: 1, lines: 10 }]);
  expect(longFunctionsIn(source, 7)).toEqual([
    { line: 1, lines: 10 },
    { line: 2, lines: 8 },
  ]);
});

test('a class is as long as it needs to be', () => {
  expect(longFunctionsIn(`class A {\n${'  f() {}\n'.repeat(100)}}\n`, 3)).toEqual([]);
});
