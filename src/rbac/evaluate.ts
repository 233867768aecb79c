/** Values of an expression tree. Names and functions are given; the operators are the same for everybody. Pure. */
import { TeleportError } from '../errors.js';
import type { Expression } from './expression-parser.js';

export type Value = string | number | boolean | string[] | Record<string, unknown> | undefined;

export interface Vocabulary {
  /** @returns undefined for a name that does not exist */
  name(path: string[]): { value: Value } | undefined;
  functions: Record<string, (...args: Value[]) => Value>;
}

/** @throws TeleportError `BadParameter` for unknown names, wrong types and wrong numbers of arguments */
export function evaluate(tree: Expression, words: Vocabulary): Value {
  switch (tree.type) {
    case 'literal':
      return tree.value;
    case 'name': {
      if (tree.path.length === 1 && (tree.path[0] === 'true' || tree.path[0] === 'false'))
        return tree.path[0] === 'true';
      const found = words.name(tree.path);
      if (found === undefined) throw bad(`unknown identifier: ${JSON.stringify(tree.path.join('.'))}`);
      return found.value;
    }
    case 'call': {
      const call = Object.hasOwn(words.functions, tree.name) ? words.functions[tree.name] : undefined;
      if (call === undefined) throw bad(`unsupported function: ${tree.name}`);
      return call(...tree.args.map((arg) => evaluate(arg, words)));
    }
    case 'not':
      return !truth(evaluate(tree.operand, words), '!');
    case 'and':
      return truth(evaluate(tree.left, words), '&&') && truth(evaluate(tree.right, words), '&&');
    case 'or':
      return truth(evaluate(tree.left, words), '||') || truth(evaluate(tree.right, words), '||');
    default: {
      const equal = same(evaluate(tree.left, words), evaluate(tree.right, words));
      return tree.type === 'equal' ? equal : !equal;
    }
  }
}

export function truth(value: Value, operator: string): boolean {
  if (typeof value === 'boolean') return value;
  throw bad(`${operator} needs true or false on both sides`);
}

export function textOf(value: Value): string {
  if (typeof value === 'string') return value;
  if (value === undefined) return '';
  throw bad('a text was expected');
}

/** A text counts as a list of one. */
export function listOf(value: Value): string[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return [value];
  if (value === undefined) return [];
  throw bad('a list was expected');
}

/** @throws TeleportError `BadParameter` unless a call has this many arguments */
export function arity(name: string, args: readonly unknown[], count: number): void {
  if (args.length !== count) throw bad(`function ${name} takes ${count} arguments, got ${args.length}`);
}

function same(left: Value, right: Value): boolean {
  const comparable = (value: Value) => typeof value !== 'object';
  if (!comparable(left) || !comparable(right)) throw bad('only texts can be compared with == and !=');
  return (left ?? '') === (right ?? '');
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
