/** Lists that a cluster gives page after page. */
import { TeleportError } from '../errors.js';

/** Pages that are followed: of a thousand items each, far more than any cluster has. Our own limit. */
const MOST_PAGES = 1000;

export interface ListPage<Item> {
  items: readonly Item[];
  /** With which the next page is asked for; empty: this is the last one. */
  next: string;
}

/**
 * The items of all pages.
 *
 * @param what  for people, as in `databases`
 * @param page  asks for one; the first begins with ''
 * @throws TeleportError `LimitExceeded` for a list that does not end
 */
export async function everyPage<Item>(what: string, page: (start: string) => Promise<ListPage<Item>>): Promise<Item[]> {
  const all: Item[] = [];
  let start = '';
  for (let count = 0; count < MOST_PAGES; count++) {
    const { items, next } = await page(start);
    all.push(...items);
    if (next === '') return all;
    start = next;
  }
  throw endless(what);
}

export function endless(what: string): TeleportError {
  return new TeleportError('LimitExceeded', `the cluster's list of ${what} does not end`);
}
