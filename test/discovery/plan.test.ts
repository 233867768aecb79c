import { expect, test } from '@jest/globals';
import { fromMessage, toMessage } from '../../src/api/convert.js';
import type { FoundDatabase } from '../../src/aws/discover.js';
import { type Found, foundFrom } from '../../src/cloud/found.js';
import { planOf, type Situation } from '../../src/discovery/plan.js';
import type { Database } from '../../src/resources/types.js';

const region = 'us-east-1';
const GROUP = 'teleport.internal/discovery-group-name';

function cluster(id: string, more: Partial<FoundDatabase> = {}): Found {
  const { labels, ...rest } = more;
  const found = {
    name: id,
    description: 'd',
    protocol: 'postgres',
    uri: `${id}.abc123.${region}.redshift.amazonaws.com:5439`,
    aws: { region, account_id: '123456789012', redshift: { cluster_id: id } },
    labels: {
      region,
      'teleport.dev/origin': 'cloud',
      'teleport.dev/discovery-type': 'redshift',
      TeleportDatabaseName: id,
      ...labels,
    },
    status: 'available',
    isAvailable: true,
    ...rest,
  };
  return foundFrom(found as FoundDatabase, { types: [], regions: [] });
}

const registered = (id: string, labels: Record<string, string> = {}): Database =>
  cluster(id, { labels: { [GROUP]: 'g', ...labels } }).database;

function plan(found: Found[], there: Database[], more: Partial<Situation> & { failures?: string[] } = {}) {
  const search = { type: 'redshift' as const, region, found, failures: more.failures ?? [] };
  const said = there.map((database) => fromMessage('db', toMessage('db', database)));
  const made = planOf({ searches: [search], registered: said, group: 'g', ...more });
  const names = (databases: readonly Database[]) => databases.map(({ metadata }) => metadata.name);
  return {
    remove: names(made.remove),
    create: names(made.create),
    update: names(made.update),
    troubles: made.troubles.map(({ text }) => text),
  };
}
const nothing = { remove: [], create: [], update: [], troubles: [] };

test('what is new is created, what has changed is updated, what is gone is removed, and the rest is left alone', () => {
  const found = [cluster('new'), cluster('same'), cluster('changed', { labels: { env: 'prod' } })];
  const there = [registered('same'), registered('changed', { env: 'dev' }), registered('gone')];
  expect(plan(found, there)).toEqual({ ...nothing, create: ['new'], update: ['changed'], remove: ['gone'] });
});

test('where AWS has not said everything, nothing is removed', () => {
  expect(plan([cluster('new')], [registered('gone')], { failures: ['access denied'] })).toEqual({
    ...nothing,
    create: ['new'],
  });
  const elsewhere = { type: 'redshift' as const, region: 'eu-west-1', found: [], failures: ['down'] };
  const here = { type: 'redshift' as const, region, found: [], failures: [] };
  const { remove } = planOf({ searches: [elsewhere, here], registered: [registered('gone')], group: 'g' });
  expect(remove.map(({ metadata }) => metadata.name)).toEqual(['gone']);
});

test('while AWS has not said everything, a database that is not seen keeps its name', () => {
  const west = 'eu-west-1';
  const uri = `b.abc123.${west}.redshift.amazonaws.com:5439`;
  const aws = { region: west, account_id: '123456789012', redshift: { cluster_id: 'b' } };
  const other = cluster('b', { uri, aws, labels: { TeleportDatabaseName: 'sales' }, name: 'sales' });
  const there = [registered('sales')];
  const spare = 'b-redshift-eu-west-1-123456789012';
  const searchesOf = (failures: string[], found: Found[] = []) => [
    { type: 'redshift' as const, region, found, failures },
    { type: 'redshift' as const, region: west, found: [other], failures: [] },
  ];
  const down = plan([], there, { searches: searchesOf(['down']) });
  expect(down).toMatchObject({ ...nothing, create: [spare], troubles: [expect.stringContaining(spare)] });
  const untagged = cluster('sales', { labels: { TeleportDatabaseName: '' }, isUntagged: true });
  const denied = plan([], there, { searches: searchesOf(['tags: denied'], [untagged]) });
  expect(denied).toMatchObject({ ...nothing, create: [spare], troubles: [expect.stringContaining(spare)] });
  // Once AWS has said that it is gone, its name is free.
  expect(plan([], there, { searches: searchesOf([]) })).toEqual({ ...nothing, update: ['sales'] });
});

test('what no matcher asks for any more is removed', () => {
  expect(planOf({ searches: [], registered: [registered('old')], group: 'g' }).remove).toHaveLength(1);
});

test('databases of another group and of another origin are never touched; one without a group is taken over', () => {
  const foreign = registered('a', { [GROUP]: 'other' });
  const manual = registered('b', { 'teleport.dev/origin': 'dynamic' });
  const free = cluster('c').database;
  expect(plan([], [foreign, manual, free])).toEqual(nothing);
  expect(plan([cluster('a'), cluster('b'), cluster('c')], [foreign, manual, free])).toEqual({
    ...nothing,
    update: ['c'],
    troubles: [
      'the cluster has a database "a" already, of the discovery group "other"',
      'the cluster has a database "b" already, of another origin',
    ],
  });
});

test('without a group, it keeps those without a group', () => {
  const free = cluster('c').database;
  expect(plan([], [free, registered('a')], { group: '' })).toEqual({ ...nothing, remove: ['c'] });
});

test('a tag cannot put a database into a group', () => {
  const tagged = cluster('c', { labels: { [GROUP]: 'other' } });
  const made = (group: string) =>
    planOf({ searches: [{ type: 'redshift', region, found: [tagged], failures: [] }], registered: [], group });
  expect(made('g').create[0]!.metadata.labels).toMatchObject({ [GROUP]: 'g' });
  expect(made('').create[0]!.metadata.labels).not.toHaveProperty([GROUP]);
});

test('a database whose tags cannot be read now stays as it is registered', () => {
  const untagged = cluster('c', { name: 'other', labels: { TeleportDatabaseName: 'other' }, isUntagged: true });
  expect(plan([untagged], [registered('c', { env: 'prod' })], { failures: ['tags of c: denied'] })).toEqual(nothing);
  expect(plan([untagged], [], { failures: ['tags of c: denied'] })).toEqual({ ...nothing, create: ['other'] });
});
