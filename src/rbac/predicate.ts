/**
 * `--query`: a predicate over listed databases, and the filters beside it (labels, search words). Pure. The error of a
 * predicate that cannot be read goes to clients as status 2 with this very text (auth-grpc-and-routing.md 3.4).
 */
import { messageOf, TeleportError } from '../errors.js';
import { databaseType } from '../resources/database-type.js';
import type { Database, HealthStatus } from '../resources/types.js';
import { arity, evaluate, listOf, textOf, truth, type Value, type Vocabulary } from './evaluate.js';
import { type Expression, parseExpression } from './expression-parser.js';
import { allLabels } from './match.js';

export interface Listed {
  database: Database;
  health?: HealthStatus | undefined;
}

export interface ListFilter {
  /** Each must be there with exactly this value. */
  labels?: Record<string, string> | undefined;
  /** Each must be found. */
  search?: readonly string[] | undefined;
  query?: string | undefined;
}

/** The filter as one question. @throws TeleportError `BadParameter` `parsing expression` + position */
export function compileFilter(filter: ListFilter): (listed: Listed) => boolean {
  const predicate = filter.query ? compilePredicate(filter.query) : () => true;
  const wanted = Object.entries(filter.labels ?? {});
  return (listed) => {
    const labels = allLabels(listed.database);
    return (
      wanted.every(([key, value]) => labels[key] === value) &&
      matchesSearch(listed.database, filter.search ?? []) &&
      predicate(listed)
    );
  };
}

/** @throws TeleportError `BadParameter`, here for what cannot be read and from the result for unknown names */
export function compilePredicate(text: string): (listed: Listed) => boolean {
  const failed = (error: unknown): TeleportError =>
    new TeleportError('BadParameter', `parsing expression\n\t${messageOf(error)}`, { cause: error });
  let tree: Expression;
  try {
    tree = parseExpression(text);
  } catch (error) {
    throw failed(error);
  }
  return (listed) => {
    try {
      return truth(evaluate(tree, vocabulary(listed)), 'a query');
    } catch (error) {
      throw failed(error);
    }
  };
}

/** Every word is somewhere in the labels, name, description, protocol or type; case does not matter. */
export function matchesSearch(database: Database, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const places = placesOf(database);
  return words.every((word) => isIn(places, word));
}

function isIn(places: readonly string[], word: string): boolean {
  const lower = word.toLowerCase();
  return places.some((place) => place.includes(lower));
}

/** What is searched, in small letters. */
function placesOf(database: Database): string[] {
  const { metadata, spec } = database;
  const type = databaseType(database);
  const places = [metadata.name, metadata.description ?? '', spec.protocol, type];
  for (const [key, value] of Object.entries(allLabels(database))) places.push(key, value);
  if (type === 'gcp') places.push('cloud', 'cloud sql');
  return places.map((place) => place.toLowerCase());
}

function vocabulary({ database, health }: Listed): Vocabulary {
  // Once for each database, however often a long predicate asks.
  let labels: Record<string, string> | undefined;
  let places: string[] | undefined;
  const label = (path: string[]): { value: Value } => {
    labels ??= allLabels(database);
    if (path.length === 0) return { value: labels };
    const key = path.join('.');
    // A label that is not there reads as an empty text.
    return { value: Object.hasOwn(labels, key) ? labels[key] : '' };
  };
  return {
    name(path) {
      const [first, second, ...rest] = path;
      if (first === 'name' && path.length === 1) return { value: database.metadata.name };
      if (first === 'health')
        return second === 'status' && rest.length === 0 ? { value: health ?? 'unknown' } : undefined;
      if (first === 'labels') return label(path.slice(1));
      if (first !== 'resource') return undefined;
      if (second === 'metadata' && rest[0] === 'labels') return label(rest.slice(1));
      return member(database, path.slice(1));
    },
    functions: {
      ...FUNCTIONS,
      search: (...args) => {
        places ??= placesOf(database);
        return args.map(textOf).every((word) => isIn(places!, word));
      },
    },
  };
}

function member(database: Database, path: string[]): { value: Value } | undefined {
  let value: unknown = database;
  for (const [depth, key] of path.entries()) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    // The blocks are known, what is in them may be unset.
    if (!isThere) return depth > 0 ? { value: '' } : undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return { value: value as Value };
}

const FUNCTIONS: Record<string, (...args: Value[]) => Value> = {
  equals: (...args) => {
    arity('equals', args, 2);
    return textOf(args[0]) === textOf(args[1]);
  },
  hasPrefix: (...args) => {
    arity('hasPrefix', args, 2);
    return textOf(args[0]).startsWith(textOf(args[1]));
  },
  exists: (...args) => {
    arity('exists', args, 1);
    const [value] = args;
    if (typeof value === 'object') return Object.keys(value).length > 0;
    return value !== undefined && value !== '';
  },
  split: (...args) => {
    arity('split', args, 2);
    return textOf(args[0]).split(textOf(args[1]));
  },
  contains: (...args) => {
    arity('contains', args, 2);
    return listOf(args[0]).includes(textOf(args[1]));
  },
};
