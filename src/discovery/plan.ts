/**
 * What has to change among the `db` resources of the cluster, so that they are what was found in AWS. Only resources of one's
 * own discovery group are changed, and only an answer of AWS's takes one away. Pure.
 *
 * Source: database-service.md 7.3.
 */
import { isDeepStrictEqual } from 'node:util';
import { fromMessage, toMessage } from '../api/convert.js';
import type { Trouble } from '../cloud/distinct-names.js';
import { distinctNames, holdersOf } from '../cloud/distinct-names.js';
import { areaOf, areaOfDatabase, type Found, placeOf } from '../cloud/found.js';
import type { Search } from '../cloud/search.js';
import { DISCOVERY_GROUP_LABEL, ORIGIN_LABEL } from '../resources/labels.js';
import type { Database } from '../resources/types.js';

export interface ResourcePlan {
  remove: Database[];
  create: Database[];
  update: Database[];
  troubles: Trouble[];
}

export interface Situation {
  searches: readonly Pick<Search, 'type' | 'region' | 'found' | 'failures'>[];
  /** Resources of the cluster, as far as they are seen. */
  registered: readonly Database[];
  /** Whose databases are ours; empty: the group of services without one. */
  group: string;
}

export function planOf({ searches, registered, group }: Situation): ResourcePlan {
  const own = registered.filter(
    (database) => labelOf(database, ORIGIN_LABEL) === 'cloud' && groupOf(database) === group,
  );
  const { found, troubles } = distinctNames(knownNow(searches, own), holdersOf(own));
  const byName = new Map(registered.map((database) => [database.metadata.name, database]));
  const plan: ResourcePlan = { remove: [], create: [], update: [], troubles: [...troubles] };
  for (const { database } of found) {
    const wanted = ofGroup(database, group);
    const there = byName.get(wanted.metadata.name);
    if (!there) plan.create.push(wanted);
    else if (isForeign(there, group)) plan.troubles.push({ database: wanted, text: foreignText(there) });
    else if (!isSame(there, wanted)) plan.update.push(wanted);
  }
  const names = new Set(found.map(({ database }) => database.metadata.name));
  plan.remove = own.filter(({ metadata }) => !names.has(metadata.name));
  return plan;
}

/** What was found, and where AWS has not said everything, what is registered as it is: it keeps its name as well. */
function knownNow(searches: Situation['searches'], own: readonly Database[]): Found[] {
  const registered = new Set(own.map(placeOf));
  const found = searches
    .flatMap((search) => search.found)
    // What is registered was made when its tags were known.
    .filter(({ database, isUntagged }) => !(isUntagged && registered.has(placeOf(database))));
  const seen = new Set(found.map(({ database }) => placeOf(database)));
  const unsure = new Set(searches.filter(({ failures }) => failures.length > 0).map(areaOf));
  const kept = own.filter((database) => unsure.has(areaOfDatabase(database)) && !seen.has(placeOf(database)));
  return [
    ...found,
    ...kept.map((database) => {
      const { name, labels = {} } = database.metadata;
      return { database, spare: { name, labels }, isUntagged: false };
    }),
  ];
}

const labelOf = ({ metadata }: Database, name: string): string => metadata.labels?.[name] ?? '';
const groupOf = (database: Database): string => labelOf(database, DISCOVERY_GROUP_LABEL);

/** One of another group, and one that a discovery did not make; a database without a group belongs to the service that finds it. */
function isForeign(database: Database, group: string): boolean {
  if (labelOf(database, ORIGIN_LABEL) !== 'cloud') return true;
  return groupOf(database) !== group && groupOf(database) !== '';
}

function foreignText(there: Database): string {
  const isOfCloud = labelOf(there, ORIGIN_LABEL) === 'cloud';
  const whose = isOfCloud ? `the discovery group "${groupOf(there)}"` : 'another origin';
  return `the cluster has a database "${there.metadata.name}" already, of ${whose}`;
}

/** A tag of AWS's cannot put a database into a group. */
function ofGroup(database: Database, group: string): Database {
  const { [DISCOVERY_GROUP_LABEL]: _, ...labels } = database.metadata.labels ?? {};
  const own = group ? { ...labels, [DISCOVERY_GROUP_LABEL]: group } : labels;
  return { ...database, metadata: { ...database.metadata, labels: own } };
}

/** @param there  as Auth has said it */
function isSame(there: Database, wanted: Database): boolean {
  // Over the wire, which does not tell what is empty from what is not there.
  const said = fromMessage('db', toMessage('db', wanted));
  const facts = ({ metadata: { description, labels }, spec }: Database) => ({ description, labels, spec });
  return isDeepStrictEqual(facts(there), facts(said));
}
