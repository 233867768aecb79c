/** Functions that are too long to be read at once. A function within another counts for both. */
import { readFileSync } from 'node:fs';
import { parseSync } from '@swc/core';
import { files, named } from './graph.js';

/** A longer one holds a class or a room that nobody has found yet. */
export const MOST_LINES = 80;

const KINDS = new Set([
  'ArrowFunctionExpression',
  'ClassMethod',
  'Constructor',
  'FunctionDeclaration',
  'FunctionExpression',
  'GetterProperty',
  'MethodProperty',
  'PrivateMethod',
  'SetterProperty',
]);

interface Node {
  type: string;
  span: { start: number; end: number };
}

export interface LongFunction {
  line: number;
  lines: number;
}

/** In the order of the text; of nested ones the outer first. */
export function longFunctionsIn(source: string, mostLines = MOST_LINES): LongFunction[] {
  // The parser counts bytes, from a start that it does not tell: the first statement is at it.
  const text = `;${source}`;
  const bytes = Buffer.from(text);
  const { body, span } = parseSync(text, { syntax: 'typescript', target: 'es2022' });
  const lineAt = (offset: number) =>
    bytes
      .subarray(0, offset - span.start)
      .toString()
      .split('\n').length;
  return functionsIn(body).flatMap(({ span: { start, end } }) => {
    const line = lineAt(start);
    const lines = lineAt(end) - line + 1;
    return lines > mostLines ? [{ line, lines }] : [];
  });
}

export function longFunctions(): string[] {
  return files
    .filter((file) => !named(file).startsWith('api/gen/'))
    .flatMap((file) =>
      longFunctionsIn(readFileSync(file, 'utf8')).map(({ line, lines }) => `${named(file)}:${line} has ${lines} lines`),
    );
}

function functionsIn(part: unknown): Node[] {
  if (typeof part !== 'object' || part === null) return [];
  const inner = Object.values(part).flatMap(functionsIn);
  return isFunction(part) ? [part, ...inner] : inner;
}

function isFunction(part: object): part is Node {
  return 'type' in part && KINDS.has(part.type as string) && 'span' in part;
}
