/**
 * Two databases of AWS can want one name: two matchers find the same one, or two clusters have the same tag. Whoever has a
 * name keeps it, so that nobody is led to another database by the name that they know; the others get the name that they
 * would have without a tag. Pure.
 */
import type { Database } from '../resources/types.js';
import { type Found, placeOf } from './found.js';

export interface Trouble {
  /** As it was found. */
  database: Database;
  /** For people. */
  text: string;
}

/** Name → place, of databases that have their names already. */
export function holdersOf(databases: readonly Database[]): Map<string, string> {
  return new Map(databases.map((database) => [database.metadata.name, placeOf(database)]));
}

/** Each place once, each name once. */
export function distinctNames(
  found: readonly Found[],
  holders: ReadonlyMap<string, string>,
): { found: Found[]; troubles: Trouble[] } {
  const places = new Map<string, Found>();
  for (const one of found) {
    const place = placeOf(one.database);
    if (!places.has(place)) places.set(place, one);
  }
  const holds = (place: string, { database }: Found) => Number(holders.get(database.metadata.name) === place);
  // By place, not by which search was answered first: the next start must come to the same names.
  const inOrder = [...places].sort(([a, x], [b, y]) => holds(b, y) - holds(a, x) || (a < b ? -1 : 1));
  const taken = new Map<string, Found>();
  const late: Found[] = [];
  for (const [, one] of inOrder) {
    const { name } = one.database.metadata;
    if (taken.has(name)) late.push(one);
    else taken.set(name, one);
  }
  const troubles = late.map((one): Trouble => {
    const { database, spare } = one;
    const isFree = !taken.has(spare.name);
    if (isFree) {
      const metadata = { ...database.metadata, ...spare };
      taken.set(spare.name, { ...one, database: { ...database, metadata } });
    }
    const what = isFree ? `is registered as "${spare.name}"` : 'is left out';
    return {
      database,
      text: `${database.spec.uri} ${what}: another database has its name "${database.metadata.name}"`,
    };
  });
  return { found: [...taken.values()], troubles };
}
