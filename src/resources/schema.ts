/**
 * A grammar of a YAML file from which the type of its values is inferred: `Read<typeof text>` is `string`. Reading is strict,
 * and each mistake has its line, its path and what is allowed there. A key with nothing after it, or `''`, is not given.
 */
import { didYouMean, messageOf } from '../errors.js';
import { redactValue, yamlReason } from '../redact.js';
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument } from '../yaml.js';
import { yesOrNo } from '../yes-no.js';

/** One file while it is read. */
export class Reading {
  readonly mistakes: string[];
  readonly document: Document.Parsed;
  readonly #lines = new LineCounter();

  constructor(source: string) {
    try {
      this.document = parseDocument(source, { lineCounter: this.#lines, schema: 'core', uniqueKeys: true });
      this.mistakes = this.document.errors.map(
        (error) => `line ${this.#lines.linePos(error.pos[0]).line}: ${yamlReason(error.message)}`,
      );
    } catch (error) {
      this.document = parseDocument('');
      this.mistakes = [messageOf(error)];
    }
  }

  /** Note a mistake; the value then counts as not given. */
  refuse(node: unknown, message: string): undefined {
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    this.mistakes.push(`line ${this.#lines.linePos(offset).line}: ${message}`);
  }

  plain(node: unknown): unknown {
    try {
      return isNode(node) ? node.toJS(this.document) : node;
    } catch (error) {
      return this.refuse(node, yamlReason(messageOf(error)));
    }
  }
}

/** `T` is read; `W` is how a program that writes a file may spell it. */
export interface Schema<T, W = unknown> {
  /** @param path  dotted, `db_service.databases[0].uri`; empty at the root. @returns undefined when not given or refused */
  read(node: unknown, path: string, reading: Reading): T | undefined;
  /** Paths of what is given in a value that was read and has no effect in this program. */
  withoutEffect(value: T | undefined, path: string): string[];
  /** Set by `unused` and `formality`: nothing in this program follows from the value. */
  readonly hasNoEffect?: true;
  /** Never set: it carries the type. */
  readonly written?: W;
}

/** The type of what a schema reads. */
export type Read<S> = S extends Schema<infer T> ? T : never;

/** The type of what may be written where a schema reads. */
export type Written<S> = S extends { readonly written?: infer W } ? W : never;

type Keys = Record<string, Schema<unknown>>;
type ValuesOf<K extends Keys> = { [Key in keyof K]?: Read<K[Key]> };
type WrittenOf<K extends Keys> = { [Key in keyof K]?: Written<K[Key]> };

/** A map with these keys and no others. */
export interface MapSchema<T, W = unknown, K extends Keys = Keys> extends Schema<T, W> {
  readonly keys: K;
}
export interface ListSchema<T, W = unknown> extends Schema<T[], W[]> {
  readonly of: Schema<T>;
}

const nothing = () => [];
const isNothing = (node: unknown) => node === null || node === undefined || (isScalar(node) && node.value === null);
const join = (path: string, key: string) => (path === '' ? key : `${path}.${key}`);

/** Any scalar, as text. */
export const text: Schema<string, string> = {
  read(node, path, reading) {
    if (isNothing(node)) return undefined;
    return isScalar(node) ? String(node.value) : reading.refuse(node, `${path}: expected a text`);
  },
  withoutEffect: nothing,
};

/** One of these words. */
export function oneOf<const V extends readonly string[]>(...values: V): Schema<V[number], V[number]> {
  return {
    read(node, path, reading) {
      const word = text.read(node, path, reading);
      if (word === undefined) return undefined;
      const found = values.find((value) => value === word);
      const wanted = `${path}: expected one of ${values.join(', ')}, got "${redactValue(word)}"`;
      return found ?? reading.refuse(node, wanted);
    },
    withoutEffect: nothing,
  };
}

export const wholeNumber: Schema<number, number> = {
  read(node, path, reading) {
    if (isNothing(node)) return undefined;
    const value = isScalar(node) ? Number(node.value) : Number.NaN;
    return Number.isInteger(value) ? value : reading.refuse(node, `${path}: expected a whole number`);
  },
  withoutEffect: nothing,
};

export const flag: Schema<boolean, boolean | 'yes' | 'no'> = {
  read(node, path, reading) {
    if (isNothing(node)) return undefined;
    const value = isScalar(node) ? yesOrNo(String(node.value)) : undefined;
    return value ?? reading.refuse(node, `${path}: expected yes or no`);
  },
  withoutEffect: nothing,
};

export function list<T, W>(of: Schema<T, W>): ListSchema<T, W> {
  return {
    of,
    read(node, path, reading) {
      if (isNothing(node)) return undefined;
      if (!isSeq(node)) return reading.refuse(node, `${path}: expected a list`);
      return node.items
        .map((item, index) => of.read(item, `${path}[${index}]`, reading))
        .filter((item) => item !== undefined);
    },
    withoutEffect: (value, path) => (value ?? []).flatMap((item, index) => of.withoutEffect(item, `${path}[${index}]`)),
  };
}

/** One text or a list of texts, read as a list. */
export const texts: Schema<string[], string | string[]> = {
  read(node, path, reading) {
    if (isNothing(node)) return undefined;
    if (isScalar(node)) return String(node.value) === '' ? [] : [String(node.value)];
    if (!isSeq(node)) return reading.refuse(node, `${path}: expected a text or a list of texts`);
    return node.items.map((item) => text.read(item, path, reading)).filter((item) => item !== undefined);
  },
  withoutEffect: nothing,
};

const keyOf = ({ key }: Pair) => String(isScalar(key) ? (key.value ?? key) : key);

function labelsOf<T>(
  readValue: (node: unknown, path: string, reading: Reading) => T,
): Schema<Record<string, T>, Record<string, T>> {
  return {
    read(node, path, reading) {
      if (isNothing(node)) return undefined;
      if (!isMap(node)) return reading.refuse(node, `${path}: expected a map of labels`);
      return Object.fromEntries(
        node.items.map((pair) => [keyOf(pair), readValue(pair.value, join(path, keyOf(pair)), reading)]),
      );
    },
    withoutEffect: nothing,
  };
}

/** Any key to a text. */
export const labels = labelsOf((node, path, reading) => text.read(node, path, reading) ?? '');
/** Any key to a text or a list of texts. */
export const labelSelector = labelsOf(
  (node, path, reading): string | string[] =>
    (isSeq(node) ? list(text).read(node, path, reading) : text.read(node, path, reading)) ?? '',
);

/** A map with these keys; others are refused, with the one that was meant. */
export function map<const K extends Keys>(keys: K): MapSchema<ValuesOf<K>, WrittenOf<K>, K>;
// TypeScript cannot follow a key to its value through a loop; that they belong together holds by `read` below.
export function map(keys: Keys): MapSchema<Record<string, unknown>> {
  return {
    keys,
    read(node, path, reading) {
      if (isNothing(node)) return undefined;
      if (!isMap(node)) return reading.refuse(node, `${path}: expected a map of keys and values`);
      return readKeys(keys, node.items, path, reading, (key, at) => {
        const where = path === '' ? 'the file' : path;
        const known = Object.keys(keys);
        const meant = didYouMean(key, known);
        reading.refuse(at, `field ${key} not found in ${where}, allowed: ${known.join(', ')}${meant}`);
      });
    },
    withoutEffect: (values, path) => keysWithoutEffect(keys, values, path),
  };
}

/** A section that is not read in full: these keys where they stand, the others as they are. */
export function open<const K extends Keys>(keys: K): Schema<ValuesOf<K>, WrittenOf<K> & { [other: string]: unknown }>;
export function open(keys: Keys): Schema<Record<string, unknown>> {
  return {
    read(node, path, reading) {
      if (!isMap(node)) return undefined;
      const others: Record<string, unknown> = {};
      const known = readKeys(keys, node.items, path, reading, (key, _, value) => {
        others[key] = reading.plain(value);
      });
      return { ...others, ...known };
    },
    withoutEffect: (values, path) => keysWithoutEffect(keys, values, path),
  };
}

function readKeys(
  keys: Keys,
  pairs: readonly Pair[],
  path: string,
  reading: Reading,
  other: (key: string, at: unknown, value: unknown) => void,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const pair of pairs) {
    const key = keyOf(pair);
    const below = Object.hasOwn(keys, key) ? keys[key] : undefined;
    const value = below?.read(pair.value, join(path, key), reading);
    if (!below) other(key, pair.key, pair.value);
    else if (value !== undefined && value !== '') values[key] = value;
  }
  return values;
}

function keysWithoutEffect(keys: Keys, values: Record<string, unknown> = {}, path: string): string[] {
  return Object.entries(keys).flatMap(([key, schema]) => schema.withoutEffect(values[key], join(path, key)));
}

/** The same schema for each of these keys. */
export function each<const N extends readonly string[], S>(names: N, schema: S): Record<N[number], S>;
export function each<S>(names: readonly string[], schema: S): Record<string, S> {
  return Object.fromEntries(names.map((name) => [name, schema]));
}

/** Whatever stands there, unread. */
export const any: Schema<unknown> = {
  read: (node, _, reading) => (isNothing(node) ? undefined : reading.plain(node)),
  withoutEffect: nothing,
};

/** Accepted and without effect in this program: the log reports it where `isGiven`, by default where it says something. */
export function unused<T, S extends Schema<T>>(
  schema: S & Schema<T>,
  isGiven: (value: T) => boolean = saysSomething,
): S {
  return {
    ...schema,
    hasNoEffect: true,
    withoutEffect: (value: T | undefined, path: string) => (value !== undefined && isGiven(value) ? [path] : []),
  };
}

/** Accepted, without effect, and not worth a line in the log: each value allowed means what this program does anyway. */
export function formality<S extends Schema<unknown>>(schema: S): S {
  return { ...schema, hasNoEffect: true, withoutEffect: nothing };
}

/** A list of which only the first entry has an effect. */
export function firstOf<T, W>(of: Schema<T, W>): ListSchema<T, W> {
  return {
    ...list(of),
    withoutEffect: (value, path) => (value && value.length > 1 ? [`${path}[1] and later`] : []),
  };
}

function saysSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}
