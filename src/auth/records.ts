/**
 * Resources in the store: one JSON text an item under `/<kind>/<name>`, revision and expiry kept by the store. Knows
 * neither who asks nor what is allowed.
 */
import { isTeleportError, TeleportError } from '../errors.js';
import type { Kind, ResourceOfKind } from '../resources/types.js';
import { Slices } from '../slices.js';
import { type Item, keyOf, type Store } from '../store/store.js';

export interface Page<T> {
  items: T[];
  /** Key to continue after; empty on the last page. */
  next: string;
}

export interface Records<T> {
  get(...name: string[]): Promise<T | undefined>;
  /** All, or those below a first part of the name, in name order. */
  list(...folder: string[]): Promise<T[]>;
  /** At most `limit` (default 1000) from `start` on, which is a `next` of an earlier page. */
  page(limit: number, start: string): Promise<Page<T>>;
  /** @throws AlreadyExists */
  create(resource: T): Promise<T>;
  /** Create or replace. */
  put(resource: T): Promise<T>;
  /** Replace exactly the revision in `metadata.revision`, or whatever there is when that is empty. @throws CompareFailed, NotFound */
  update(resource: T): Promise<T>;
  /** Replace whatever there is, as long as there is something. @throws NotFound */
  replace(resource: T): Promise<T>;
  delete(...name: string[]): Promise<boolean>;
}

/**
 * The records of one kind.
 *
 * @param nameOf  parts of the key; default: the resource's name
 * @param expiresOf  RFC 3339; default: `metadata.expires`
 */
export function recordsOf<K extends Kind>(
  store: Store,
  kind: K,
  nameOf: (resource: ResourceOfKind[K]) => string[] = ({ metadata }) => [metadata.name],
  expiresOf: (resource: ResourceOfKind[K]) => string | undefined = ({ metadata }) => metadata.expires,
): Records<ResourceOfKind[K]> {
  type T = ResourceOfKind[K];
  const folderKey = (...parts: string[]) => `${keyOf(kind, ...parts)}/`;
  const write = (resource: T) => {
    const { revision: _, ...metadata } = resource.metadata;
    const expires = expiresOf(resource);
    return {
      key: keyOf(kind, ...nameOf(resource)),
      text: JSON.stringify({ ...resource, metadata }),
      options: expires ? { expires: new Date(expires) } : {},
    };
  };
  const read = (item: Item): T => {
    const resource = storedValue<T>(item);
    return { ...resource, metadata: { ...resource.metadata, revision: item.revision } };
  };
  const absent = ({ metadata }: T) => new TeleportError('NotFound', `"${kind}" "${metadata.name}" does not exist`);
  /** Two who replace at once both succeed, one after the other. */
  const replace = async (resource: T): Promise<T> => {
    const { key, text, options } = write(resource);
    for (let round = 1; ; round++) {
      const current = await store.get(key);
      if (current === undefined) throw absent(resource);
      try {
        return read(await store.put(key, text, { ...options, expectedRevision: current.revision }));
      } catch (error) {
        if (!isTeleportError(error, 'CompareFailed') || round >= MAX_ROUNDS) throw error;
      }
    }
  };
  return {
    async get(...name) {
      const item = await store.get(keyOf(kind, ...name));
      return item && read(item);
    },
    async list(...folder) {
      const slices = new Slices();
      const found: T[] = [];
      for (let items: Item[] = []; ; await slices.next()) {
        const after = items.at(-1)?.key;
        items = await store.range(folderKey(...folder), { limit: SLICE_ITEMS, ...(after ? { after } : {}) });
        for (const item of items) found.push(read(item));
        if (items.length < SLICE_ITEMS) return found;
      }
    },
    async page(limit, start) {
      const size = limit > 0 ? Math.min(limit, MAX_PAGE) : MAX_PAGE;
      const items = await store.range(folderKey(), { limit: size + 1, ...(start ? { after: start } : {}) });
      const shown = items.slice(0, size);
      return { items: shown.map(read), next: items.length > size ? shown.at(-1)!.key : '' };
    },
    async create(resource) {
      const { key, text, options } = write(resource);
      return read(await store.create(key, text, options));
    },
    async put(resource) {
      const { key, text, options } = write(resource);
      return read(await store.put(key, text, options));
    },
    async update(resource) {
      const { revision } = resource.metadata;
      if (!revision) return await replace(resource);
      const { key, text, options } = write(resource);
      if ((await store.get(key)) === undefined) throw absent(resource);
      return read(await store.put(key, text, { ...options, expectedRevision: revision }));
    },
    replace,
    delete: (...name) => store.delete(keyOf(kind, ...name)),
  };
}

/** @throws TeleportError `ConnectionProblem` for an item that a damaged disk has changed */
export function storedValue<T>({ key, value }: Item): T {
  try {
    return JSON.parse(value) as T;
  } catch (cause) {
    throw new TeleportError('ConnectionProblem', `the item ${key} of the store is damaged`, {
      cause,
      hint: 'Put back a backup of backend/auth.db in the data_dir of the Auth Service.',
    });
  }
}

/** Items of a long list that are read at once. */
const SLICE_ITEMS = 250;
/** Largest page, as Teleport's. */
const MAX_PAGE = 1000;

/**
 * Read a JSON value, change it, write it back; repeated when somebody else was quicker.
 *
 * @param change  the new value, or undefined to leave it
 */
export async function changeJson<T>(
  store: Store,
  key: string,
  empty: T,
  change: (value: T) => T | undefined,
): Promise<T> {
  for (let round = 0; ; round++) {
    const item = await store.get(key);
    const value = item ? storedValue<T>(item) : empty;
    const next = change(value);
    if (next === undefined) return value;
    try {
      if (item) await store.put(key, JSON.stringify(next), { expectedRevision: item.revision });
      else await store.create(key, JSON.stringify(next));
      return next;
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== 'CompareFailed' && code !== 'AlreadyExists') || round >= MAX_ROUNDS) throw error;
    }
  }
}

const MAX_ROUNDS = 50;
