/** Endpoints as people paste them. */
import { describe, expect, test } from '@jest/globals';
import { databaseNameOf, isEndpoint, parseEndpoint } from '../../src/access/endpoint.js';

const CLUSTER = { region: 'us-east-1', redshift: { cluster_id: 'sales' } };

describe('what is pasted', () => {
  const cases: [string, object][] = [
    ['sales.abc123.us-east-1.redshift.amazonaws.com:5439', { port: 5439, aws: CLUSTER }],
    ['sales.abc123.us-east-1.redshift.amazonaws.com', { port: 5439, aws: CLUSTER }],
    ['sales.abc123.us-east-1.redshift.amazonaws.com:5439/dev', { dbName: 'dev', aws: CLUSTER }],
    ['SALES.abc123.us-east-1.redshift.amazonaws.com:8192', { port: 8192, aws: CLUSTER }],
    [
      'sales.abc123.us-gov-west-1.redshift.amazonaws.com:5439',
      { aws: { region: 'us-gov-west-1', redshift: { cluster_id: 'sales' } } },
    ],
    [
      'sales.abc123.redshift.cn-north-1.amazonaws.com.cn:5439',
      { aws: { region: 'cn-north-1', redshift: { cluster_id: 'sales' } } },
    ],
    [
      'reports.123456789012.eu-west-1.redshift-serverless.amazonaws.com:5439/dev',
      {
        aws: { region: 'eu-west-1', account_id: '123456789012', redshift_serverless: { workgroup_name: 'reports' } },
        dbName: 'dev',
      },
    ],
    [
      'vpc1-endpoint-xyz.123456789012.eu-west-1.redshift-serverless.amazonaws.com:5439',
      { aws: { region: 'eu-west-1', account_id: '123456789012', redshift_serverless: { endpoint_name: 'vpc1' } } },
    ],
    ['analytics.example.com:5439', { host: 'analytics.example.com', port: 5439 }],
    [
      'jdbc:redshift://sales.abc123.us-east-1.redshift.amazonaws.com:5439/dev?DbUser=analyst&AutoCreate=true&DbGroups=a,b',
      { dbUser: 'analyst', dbName: 'dev', autoCreate: true, dbGroups: ['a', 'b'], aws: CLUSTER },
    ],
    [
      'jdbc:redshift:iam://sales.abc123.us-east-1.redshift.amazonaws.com:5439/dev;Profile=work;ssl=true',
      { profile: 'work', dbName: 'dev', aws: CLUSTER },
    ],
    ['jdbc:redshift:iam://sales:us-east-1/dev', { dbName: 'dev', port: 5439, aws: CLUSTER }],
    [
      'postgresql://ana%40lyst@sales.abc123.us-east-1.redshift.amazonaws.com/dev?sslmode=require',
      { dbUser: 'ana@lyst', dbName: 'dev', port: 5439 },
    ],
  ];
  test.each(cases)('%s', (text, expected) => {
    expect(isEndpoint(text)).toBe(true);
    expect(parseEndpoint(text)).toMatchObject({ ...expected, hasPassword: false, typed: text });
  });
});

test('a password is noticed, and in no text that is shown', () => {
  for (const text of [
    'postgresql://u:geheim@sales.abc123.us-east-1.redshift.amazonaws.com/dev',
    'jdbc:redshift://sales.abc123.us-east-1.redshift.amazonaws.com/dev?user=u&password=geheim',
    'jdbc:redshift://sales.abc123.us-east-1.redshift.amazonaws.com/dev;UID=u;PWD=geheim;ssl=true',
  ]) {
    const endpoint = parseEndpoint(text);
    expect(endpoint).toMatchObject({ hasPassword: true, dbUser: 'u' });
    expect(endpoint.text).not.toContain('geheim');
  }
  expect(() => parseEndpoint('postgresql://u:geheim@bad host:1/x')).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('geheim') }),
  );
});

test('nothing of a password that was not escaped is shown', () => {
  const host = 'sales.abc123.us-east-1.redshift.amazonaws.com';
  for (const user of ['u:ge/heim', 'u:ge?heim', 'u:ge;heim', 'u:12/heim', 'u:ge/heim?x', 'u:ge@heim']) {
    let text = '';
    try {
      text = JSON.stringify(parseEndpoint(`postgresql://${user}@${host}/dev`).text);
    } catch (error) {
      text = (error as Error).message;
    }
    expect(text).not.toMatch(/ge|heim|12\//);
    expect(text).toContain('postgresql://');
  }
});

test('of the options only what is read is shown: keys are no name', () => {
  const host = 'sales.abc123.us-east-1.redshift.amazonaws.com';
  const pasted = parseEndpoint(
    `jdbc:redshift:iam://${host}/dev?DbUser=analyst&AccessKeyID=AKIA1&SecretAccessKey=geheim&ssl=true`,
  );
  expect(pasted).toMatchObject({ text: `jdbc:redshift:iam://${host}/dev?DbUser=analyst`, hasKeys: true });
  expect(databaseNameOf(pasted.typed)).toBe(pasted.text);
  expect(databaseNameOf('sales')).toBe('sales');
});

describe('what cannot be read says which part', () => {
  const cases: [string, RegExp][] = [
    ['mysql://a.example.com/x', /scheme "mysql" is not one of redshift, redshift:iam, postgresql, postgres/],
    ['jdbc:redshift://', /the host is missing/],
    [':5439', /the host is missing/],
    ['analytics.example.com:port', /port "port" is not a number from 1 to 65535/],
    ['analytics.example.com:0', /port "0"/],
    ['analytics.example.com:70000', /port "70000"/],
    ['a b.example.com:5439', /host "a b.example.com" is not a host name/],
    ['sales.redshift.amazonaws.com:5439', /host "sales.redshift.amazonaws.com" is not CLUSTER\.HASH\.REGION/],
    ['db.abc.us-east-1.rds.amazonaws.com:5432', /is AWS's, but not of a Redshift cluster or workgroup/],
    ['jdbc:redshift:iam://sales/dev', /the region is missing/],
    ['jdbc:redshift:iam://sales:virginia/dev', /the region is not one of AWS: it looks like us-east-1/],
    ['analytics.example.com:5439/dev\n[other]', /there is a line break or another control character in it/],
    ['postgresql://a%0Ab@analytics.example.com/dev', /the user has a control character/],
    ['postgresql://a%ZZ@analytics.example.com/dev', /the user has a broken %-escape/],
  ];
  test.each(cases)('%s', (text, message) => {
    expect(() => parseEndpoint(text)).toThrow(message);
  });
});

test('names of databases are no endpoints', () => {
  for (const name of ['sales', 'leaf.local-db', 'sales-redshift-us-east-1-123456789012', undefined]) {
    expect(isEndpoint(name)).toBe(false);
  }
});
