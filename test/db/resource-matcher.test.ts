import { expect, test } from '@jest/globals';
import { type ResourceMatcher, selectedBy } from '../../src/db/resource-matcher.js';
import { awsOf } from '../../src/resources/database-type.js';
import { databaseWithDefaults } from '../../src/resources/defaults.js';
import type { Database } from '../../src/resources/types.js';

const own = { assume_role_arn: 'arn:aws:iam::111111111111:role/own', external_id: 'own', account_id: '111111111111' };
const a = { assume_role_arn: 'arn:aws:iam::111111111111:role/a' };
const b = { assume_role_arn: 'arn:aws:iam::111111111111:role/b', external_id: 'xb' };

function database(aws: object = {}, status?: object): Database {
  return databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name: 'sales', labels: { env: 'prod' } },
    spec: { protocol: 'postgres', uri: 'sales.abc.us-east-1.redshift.amazonaws.com:5439', aws },
    ...(status ? { status: { aws: status } } : {}),
  } as Database);
}

const prod = { env: 'prod' };
test.each<[string, ResourceMatcher[], object | undefined, object | undefined, object | 'not served']>([
  ['nothing fits', [{ labels: { env: 'dev' } }, { labels: {} }], undefined, undefined, 'not served'],
  ['no role is named', [{ labels: prod }], own, undefined, own],
  ['the matcher names one', [{ labels: prod, aws: a }], undefined, undefined, a],
  ['it replaces the one of the database, its external id as well', [{ labels: prod, aws: a }], own, undefined, a],
  ['also one in the status', [{ labels: prod, aws: b }], own, own, b],
  [
    'the last one that fits wins',
    [
      { labels: prod, aws: a },
      { labels: { '*': '*' }, aws: b },
    ],
    own,
    undefined,
    b,
  ],
  ['one that names none changes nothing', [{ labels: prod, aws: a }, { labels: prod }], own, undefined, a],
  [
    'one that does not fit changes nothing',
    [
      { labels: prod, aws: a },
      { labels: { x: 'y' }, aws: b },
    ],
    own,
    undefined,
    a,
  ],
])('%s', (_, matchers, aws, status, expected) => {
  const selected = selectedBy(database(aws, status), matchers);
  const { assume_role_arn, external_id, redshift } = selected ? awsOf(selected) : {};
  if (expected === 'not served') return expect(selected).toBeUndefined();
  const { assume_role_arn: role, external_id: external } = expected as typeof b;
  expect([assume_role_arn, external_id]).toEqual([role, external]);
  expect(redshift).toEqual({ cluster_id: 'sales' });
});

test('a database outside AWS gets no role', () => {
  const plain = { ...database(), spec: { protocol: 'postgres', uri: 'db.example.com:5432' } } as Database;
  expect(selectedBy(plain, [{ labels: prod, aws: a }])).toBe(plain);
});
