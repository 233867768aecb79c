/**
 * The Auth Service's state behind one small interface: ordered keys, JSON text values, compare-and-swap, expiry, watch.
 * `store/embedded.ts` keeps it in one file that survives `kill -9`. One test suite holds every implementation to this page.
 */

/** `/users/alice/params`: parts joined by `/`, each part without `/` (encode with `keyOf`). */
export type Key = string;

export interface Item {
  key: Key;
  /** JSON text. */
  value: string;
  /** Changes at every write; a UUID. */
  revision: string;
  expires?: Date;
}

export interface WriteOptions {
  expires?: Date | undefined;
}

export interface Change {
  type: 'put' | 'delete';
  key: Key;
  /** Absent on delete. */
  item?: Item;
}

export interface Store {
  /** @throws AlreadyExists when the key holds an unexpired item */
  create(key: Key, value: string, options?: WriteOptions): Promise<Item>;
  /** Create or replace; with `expectedRevision` only over exactly that item. @throws CompareFailed */
  put(key: Key, value: string, options?: WriteOptions & { expectedRevision?: string }): Promise<Item>;
  /** Undefined when absent or expired. */
  get(key: Key): Promise<Item | undefined>;
  /** Items whose key starts with `prefix`, in key order; `after` excludes keys up to and including it. */
  range(prefix: Key, options?: { limit?: number; after?: Key }): Promise<Item[]>;
  /** @returns whether something was deleted. @throws CompareFailed */
  delete(key: Key, options?: { expectedRevision?: string }): Promise<boolean>;
  /** Changes under `prefix` from now on, expiry included, until the signal aborts. */
  watch(prefix: Key, signal: AbortSignal): AsyncIterable<Change>;
  /** Every acknowledged write is durable before this returns. */
  close(): Promise<void>;
}

/** Join parts to a key; `/` and `%` inside a part are percent-encoded. */
export function keyOf(...parts: string[]): Key {
  return parts.map((part) => `/${part.replace(/[%/]/g, (c) => (c === '%' ? '%25' : '%2F'))}`).join('');
}
