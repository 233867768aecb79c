/**
 * Keys of a resource that no field of its kind has, and values that are not a map or list where one belongs: a misspelt
 * `deny` would deny nothing, and neither would `deny: [name]`. Which keys there are is given as a shape (`api/fields.ts`
 * makes it from the messages). Pure.
 */
import { closest } from '../errors.js';

export type Shape =
  /** A scalar, or what is not looked into. */
  | { type: 'any' }
  /** Keys are names that people choose. */
  | { type: 'map'; of: Shape }
  | { type: 'list'; of: Shape }
  | { type: 'members'; members: ReadonlyMap<string, Shape> };

export interface UnknownKey {
  /** From the top of the resource; numbers are places in lists. */
  path: (string | number)[];
  /** What was meant, as a path: a neighbour that looks like it, or where the key belongs. */
  meant: string | undefined;
}

export interface WrongShape {
  /** As in `UnknownKey`. */
  path: (string | number)[];
  expected: 'a map' | 'a list';
}

/** In the order in which they stand. */
export function unknownKeys(resource: unknown, shape: Shape): UnknownKey[] {
  return walk(resource, shape, [])
    .filter((found) => 'near' in found)
    .map(({ path, near }) => ({ path, meant: meantBy(path, near, shape) }));
}

/** In the order in which they stand. */
export function wrongShapes(resource: unknown, shape: Shape): WrongShape[] {
  return walk(resource, shape, []).filter((found) => 'expected' in found);
}

/** `spec.allow.rules[0].verb` */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at > 0 ? `.${part}` : part)).join('');
}

type Found = WrongShape | { path: (string | number)[]; near: ReadonlyMap<string, Shape> };

function walk(value: unknown, shape: Shape, path: (string | number)[]): Found[] {
  // A key without a value stands for nothing.
  if (shape.type === 'any' || value === undefined || value === null) return [];
  if (shape.type === 'list') {
    if (!Array.isArray(value)) return [{ path, expected: 'a list' }];
    return value.flatMap((item, index) => walk(item, shape.of, [...path, index]));
  }
  if (typeof value !== 'object' || Array.isArray(value)) return [{ path, expected: 'a map' }];
  return Object.entries(value).flatMap(([key, member]): Found[] => {
    if (shape.type === 'map') return walk(member, shape.of, [...path, key]);
    const below = shape.members.get(key);
    if (below === undefined) return [{ path: [...path, key], near: shape.members }];
    return walk(member, below, [...path, key]);
  });
}

function meantBy(path: (string | number)[], near: ReadonlyMap<string, Shape>, whole: Shape): string | undefined {
  const key = String(path.at(-1));
  const neighbour = closest(key, near.keys());
  if (neighbour !== undefined) return pathText([...path.slice(0, -1), neighbour]);
  // Right in itself, at the wrong place: `db_users` under `spec`.
  return placesOf(key, whole, '')[0];
}

function placesOf(key: string, shape: Shape, path: string): string[] {
  if (shape.type === 'list') return placesOf(key, shape.of, path);
  if (shape.type !== 'members') return [];
  const here = shape.members.has(key) ? [path === '' ? key : `${path}.${key}`] : [];
  const below = [...shape.members].flatMap(([name, member]) =>
    placesOf(key, member, path === '' ? name : `${path}.${name}`),
  );
  return [...here, ...below];
}
