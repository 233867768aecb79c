/**
 * `tctl get all`: everything that people write, out and in again, is the same text; in YAML and in JSON.
 * Tests: src/tctl/get.ts, src/tctl/create.ts
 */
import { parse, parseAllDocuments } from 'yaml';
import { isSettings } from '../../src/resources/cluster-settings.js';
import { EDITABLE } from '../../src/resources/ref.js';
import { TestAuth } from '../auth/test-auth.js';
import { documents, type Outcome } from '../support/cluster.js';

let cluster: TestAuth;

/** With a member of every sort of block, and not in alphabetical order. */
const RESOURCES = [
  {
    kind: 'role',
    version: 'v8',
    metadata: { name: 'dba', description: 'all of it', labels: { z: '1', a: '2' }, expires: '2099-01-02T03:04:05.5Z' },
    spec: {
      options: { max_session_ttl: '8h', create_db_user_mode: 'keep', lock: 'strict', client_idle_timeout: '90m' },
      allow: {
        db_users: ['{{internal.db_users}}', '^app_.*$'],
        db_names: ['*'],
        db_labels: { team: ['b', 'a'], env: 'dev' },
        db_roles: ['reader'],
        node_labels: { '*': '*' },
        rules: [{ resources: ['db'], verbs: ['list', 'read'], where: 'contains(user.spec.traits["x"], "y")' }],
      },
      deny: { db_names: ['payroll'], db_labels_expression: 'labels["env"] == "prod"' },
    },
  },
  {
    kind: 'user',
    version: 'v2',
    metadata: { name: 'carol', labels: { team: 'x' } },
    spec: { roles: ['dba', 'access'], traits: { db_users: ['reader', 'carol'], empty: [], logins: ['c'] } },
  },
  {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'warehouse', description: '"quoted": yes', labels: { env: 'dev' } },
    spec: {
      protocol: 'postgres',
      uri: 'redshift-cluster-1.abcdefghijkl.us-east-1.redshift.amazonaws.com:5439',
      admin_user: { name: 'admin' },
      aws: { account_id: '123456789012', assume_role_arn: 'arn:aws:iam::123456789012:role/r', external_id: 'e' },
      tls: { mode: 'verify-ca', server_name: 'a.example.com' },
    },
  },
  { kind: 'db', version: 'v3', metadata: { name: 'plain' }, spec: { protocol: 'postgres', uri: 'localhost:5432' } },
  {
    kind: 'token',
    version: 'v2',
    metadata: { name: 'join-me', expires: '2099-01-01T00:00:00Z' },
    spec: { roles: ['db', 'proxy'], join_method: 'token', databases: ['sales'], db_labels: { env: ['dev', 'test'] } },
  },
  {
    kind: 'token',
    version: 'v2',
    metadata: { name: 'from-aws' },
    spec: { roles: ['Db'], join_method: 'iam', allow: [{ aws_account: '123456789012' }] },
  },
  {
    kind: 'cluster_auth_preference',
    version: 'v2',
    metadata: { name: 'cluster-auth-preference', description: 'ours' },
    spec: {
      second_factor: 'optional',
      locking_mode: 'strict',
      message_of_the_day: 'be: kind',
      okta: { sync_period: '1h' },
    },
  },
  {
    kind: 'cluster_networking_config',
    version: 'v2',
    metadata: { name: 'cluster-networking-config' },
    spec: { client_idle_timeout: '1h', idle_timeout_message: 'gone', keep_alive_count_max: 7 },
  },
  {
    kind: 'session_recording_config',
    version: 'v2',
    metadata: { name: 'session-recording-config' },
    spec: { mode: 'proxy', proxy_checks_host_keys: false },
  },
  {
    kind: 'lock',
    version: 'v2',
    metadata: { name: 'left' },
    spec: { target: { user: 'mallory' }, message: 'left: the company', expires: '2099-05-06T07:08:09Z' },
  },
];

/** Of a Discovery Service. */
const FOUND = {
  kind: 'db',
  version: 'v3',
  metadata: { name: 'found', labels: { 'teleport.dev/origin': 'cloud' } },
  spec: { protocol: 'postgres', uri: 'localhost:5432' },
};

/** To make one for the first time, there must be a root. */
const ROOT = {
  kind: 'trusted_cluster',
  version: 'v2',
  metadata: { name: 'head.example.com' },
  spec: {
    enabled: true,
    token: 'secret',
    web_proxy_addr: 'localhost:1',
    tunnel_addr: 'localhost:1',
    role_map: [{ remote: '^(.*)-admin$', local: ['dba'] }],
  },
};

beforeAll(async () => {
  cluster = await TestAuth.start({ staticTokens: ['db:static'] });
  await cluster.auth.store.put('/trusted_cluster/head.example.com', JSON.stringify(ROOT));
  await cluster.auth.store.put('/db/found', JSON.stringify(FOUND));
  fine(await cluster.tctl(documents(RESOURCES), 'create'));
});
afterAll(() => cluster?.remove());

function fine(outcome: Outcome): string {
  expect({ ...outcome, stdout: '' }).toEqual({ status: 0, stdout: '', stderr: expect.not.stringContaining('ERROR') });
  return outcome.stdout;
}
const all = async (...args: string[]) => fine(await cluster.tctl('', 'get', 'all', ...args));
/** Each writing makes a revision. */
const withoutRevisions = (text: string) => text.replace(/^ *"?revision"?:.*\n/gm, '');
const kindsIn = (resources: { kind: string }[]) => [...new Set(resources.map(({ kind }) => kind))];

test('everything that people write is in it, in an order in which it can be made', async () => {
  const yaml = parseAllDocuments(await all()).map((document) => document.toJS() as { kind: string });
  expect(kindsIn(yaml)).toEqual([...EDITABLE]);
  expect(JSON.parse(await all('--format=json'))).toEqual(yaml);
});

test('a token of the configuration file is not: made again, it would outlive its line there', async () => {
  expect(await all()).toContain('name: join-me');
  expect(await all()).not.toContain('static');
});

test('a database that was discovered is not: written by hand, it would not be kept up to date any more', async () => {
  expect(await all()).not.toContain('found');
  expect(fine(await cluster.tctl('', 'get', 'db'))).toContain('name: found');
});

test.each(['yaml', 'json'])('out and in again as %s, it is the same text', async (format) => {
  const before = await all(`--format=${format}`);
  const said = fine(await cluster.tctl(before, 'create', '-f'))
    .trim()
    .split('\n');
  const resources = format === 'json' ? (JSON.parse(before) as unknown[]) : parseAllDocuments(before);
  expect(said).toHaveLength(resources.length);
  expect(withoutRevisions(await all(`--format=${format}`))).toBe(withoutRevisions(before));
});

test('what was deleted is there again', async () => {
  const before = await all();
  for (const ref of ['lock/left', 'user/carol', 'db/warehouse', 'token/join-me'])
    fine(await cluster.tctl('', 'rm', ref));
  fine(await cluster.tctl(before, 'create', '-f'));
  // A user and a lock have a new beginning.
  const timeless = (text: string) => withoutRevisions(text).replace(/^ *(time|created_at):.*\n/gm, '');
  expect(timeless(await all())).toBe(timeless(before));
});

test('every single one can be taken back as JSON too', async () => {
  for (const { kind, metadata } of [...RESOURCES, ROOT]) {
    const ref = isSettings(kind) ? kind : `${kind}/${metadata.name}`;
    const show = async () => fine(await cluster.tctl('', 'get', ref, '--format=json'));
    const before = await show();
    expect(parse(before)).toHaveLength(1);
    fine(await cluster.tctl(before, 'create', '-f'));
    expect(withoutRevisions(await show())).toBe(withoutRevisions(before));
  }
});

test('what the cluster makes itself is passed to tctl get by its own name, and refused by tctl create', async () => {
  const servers = fine(await cluster.tctl('', 'get', 'cert_authority'));
  const { status, stderr } = await cluster.tctl(servers, 'create', '-f');
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('creating resources of type "cert_authority" is not supported'),
  ]);
});

test('a table of several kinds is refused', async () => {
  const { status, stderr } = await cluster.tctl('', 'get', 'all', '--format=text');
  expect([status, stderr]).toEqual([1, 'ERROR: mixed resource types only support YAML and JSON formatting\n\n']);
});
