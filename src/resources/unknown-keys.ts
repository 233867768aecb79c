/**
 * Keys of a resource that no field of its kind has: a misspelt `deny` would deny nothing. Which keys there are is given
 * as a shape (`api/fields.ts` makes it from the messages). Pure.
 */
import { closest } from '../errors.js';

export type Shape =
  /** A scalar or whatever is not looked into. */
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

/** In the order in which they stand. */
export function unknownKeys(resource: unknown, shape: Shape): UnknownKey[] {
  return walk(resource, shape, []).map(({ path, near }) => ({ path, meant: meantBy(path, near, shape) }));
}

/** `spec.allow.rules[0].verb` */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at > 0 ? `.${part}` : part)).join('');
}

interface Found {
  path: (string | number)[];
  near: ReadonlyMap<string, Shape>;
}

function walk(value: unknown, shape: Shape, path: (string | number)[]): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  if (shape.type === 'list') {
    return Array.isArray(value) ? value.flatMap((item, index) => walk(item, shape.of, [...path, index])) : [];
  }
  if (shape.type === 'any' || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const below = shape.type === 'map' ? shape.of : shape.members.get(key);
    if (below !== undefined) return walk(member, below, [...path, key]);
    return [{ path: [...path, key], near: (shape as Shape & { type: 'members' }).members }];
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
