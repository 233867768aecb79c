/** Tests: src/cloud/found.ts */
import { expect, test } from '@jest/globals';
import type { FoundDatabase } from '../../src/aws/discover.js';
import { distinctNames, holdersOf } from '../../src/cloud/distinct-names.js';
import { foundFrom, placeOf } from '../../src/cloud/found.js';

const matcher = { types: [], regions: [] };

/** A cluster of this id, and the name that a tag gives it. */
function cluster(id: string, region: string, tag?: string) {
  const labels = { 'teleport.dev/discovery-type': 'redshift', ...(tag ? { TeleportDatabaseName: tag } : {}) };
  const found = {
    name: tag ?? id,
    description: '',
    protocol: 'postgres',
    uri: `${id}.abc123.${region}.redshift.amazonaws.com:5439`,
    aws: { region, account_id: '123456789012', redshift: { cluster_id: id } },
    labels,
    status: 'available',
    isAvailable: true,
  };
  return foundFrom(found as FoundDatabase, matcher);
}
const names = (found: readonly { database: { metadata: { name: string } } }[]) =>
  found.map(({ database }) => database.metadata.name).sort();

test('of two that want one name, the one that has it keeps it, whichever was found first', () => {
  const [east, west] = [cluster('a', 'us-east-1', 'sales'), cluster('b', 'eu-west-1', 'sales')];
  const spareOf = (id: string, region: string) => `${id}-redshift-${region}-123456789012`;
  for (const found of [
    [east, west],
    [west, east],
  ]) {
    for (const holder of [east, west]) {
      const given = distinctNames(found, holdersOf([holder.database]));
      const loser = holder === east ? west : east;
      const spare = holder === east ? spareOf('b', 'eu-west-1') : spareOf('a', 'us-east-1');
      expect(names(given.found)).toEqual([spare, 'sales'].sort());
      const kept = given.found.find(({ database }) => database.metadata.name === 'sales')!;
      expect(placeOf(kept.database)).toBe(placeOf(holder.database));
      expect(given.troubles).toEqual([
        {
          database: loser.database,
          text: `${loser.database.spec.uri} is registered as "${spare}": another database has its name "sales"`,
        },
      ]);
    }
    // Nobody has it: the same one at every start.
    const first = distinctNames(found, new Map()).found.find(({ database }) => database.metadata.name === 'sales')!;
    expect(first).toBe(west);
  }
});

test('what two matchers find is one database', () => {
  const given = distinctNames([cluster('a', 'us-east-1'), cluster('a', 'us-east-1')], new Map());
  expect(names(given.found)).toEqual(['a-redshift-us-east-1-123456789012']);
  expect(given.troubles).toEqual([]);
});

test('what has neither its name nor the other one is left out, and said', () => {
  const spare = 'b-redshift-eu-west-1-123456789012';
  const found = [
    cluster('a', 'eu-west-1', 'sales'),
    cluster('b', 'eu-west-1', 'sales'),
    cluster('c', 'eu-west-1', spare),
  ];
  const given = distinctNames(found, new Map());
  expect(names(given.found)).toEqual([spare, 'sales']);
  expect(given.troubles.map(({ text }) => text)).toEqual([
    'b.abc123.eu-west-1.redshift.amazonaws.com:5439 is left out: another database has its name "sales"',
  ]);
});
