/**
 * `tctl` and resources on a whole cluster: what is kept, what is refused, who wins; and a deny that holds in Redshift.
 * Tests: src/tctl/lock-target.ts, src/tctl/lock.ts, src/tctl/rm.ts
 */
import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { runProgram } from '../../src/cli/program.js';
import { program as tctlProgram } from '../../src/tctl/commands.js';
import { documents, type Outcome, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster({
    redshift: true,
    roles: [
      roleResource('everybody', { db_users: ['*'], db_names: ['*'] }),
      { ...roleResource('no-reporting', {}), spec: { deny: { db_users: ['reporting'], db_names: ['payroll'] } } },
    ],
    users: [{ name: 'alice', roles: ['everybody', 'no-reporting'] }],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['sales', 'reports']);
});
afterAll(() => cluster?.stop());

type Members = Record<string, unknown>;
type Spec = Members & { options: Members; allow: Members; deny: Members };

const create = (resource: object | string, ...args: string[]): Promise<Outcome> =>
  cluster.tctlWith(typeof resource === 'string' ? resource : documents([resource]), 'create', ...args);
const get = async (ref: string) => parse((await cluster.tctl('get', ref)).stdout) as { spec: Spec };
const made = (outcome: Outcome) => {
  expect(outcome.stderr).toBe('');
  expect(outcome.status).toBe(0);
  return outcome.stdout;
};
const refused = ({ status, stderr, stdout }: Outcome) => {
  expect(status).toBe(1);
  expect(stdout).toBe('');
  return stderr;
};
const warnings = ({ status, stderr }: Outcome) => {
  expect(status).toBe(0);
  return stderr.split('\n').filter((line) => line !== '');
};

describe('X4 a denied IAM role does not enter Redshift Serverless', () => {
  test.each(['reporting', 'role/reporting', 'arn:aws:iam::123456789012:role/reporting', 'REPORTING'])(
    'as %s',
    async (dbUser) => {
      const { status, stderr } = await cluster.tsh(
        'alice',
        'db',
        'exec',
        'select 1',
        '--dbs=reports',
        `--db-user=${dbUser}`,
        '--db-name=dev',
      );
      expect(stderr).toContain('access to db denied. User does not have permissions.');
      expect(status).not.toBe(0);
    },
  );
});

const role = (spec: object, name = 'r') => ({ kind: 'role', version: 'v7', metadata: { name }, spec });
const database = (spec: object, name = 'd') => ({
  kind: 'db',
  version: 'v3',
  metadata: { name },
  spec: { protocol: 'postgres', uri: 'localhost:5432', ...spec },
});
const user = (spec: object, name = 'u') => ({
  kind: 'user',
  version: 'v2',
  metadata: { name },
  spec: { roles: ['everybody'], ...spec },
});
const token = (spec: object, name = 't') => ({
  kind: 'token',
  version: 'v2',
  metadata: { name },
  spec: { roles: ['Db'], ...spec },
});
const lock = (target: object, name = 'l') => ({ kind: 'lock', version: 'v2', metadata: { name }, spec: { target } });

describe('U3 a key that is not a field is refused', () => {
  test.each<[string, object, string]>([
    [
      'a role',
      role({ allow: { db_usres: ['x'] } }),
      'unknown field spec.allow.db_usres, did you mean spec.allow.db_users?',
    ],
    ['a deny', role({ dney: { db_users: ['x'] } }), 'unknown field spec.dney, did you mean spec.deny?'],
    ['the wrong place', role({ db_names: ['x'] }), 'unknown field spec.db_names, did you mean spec.allow.db_names?'],
    [
      'an option',
      role({ options: { max_sesion_ttl: '1h' } }),
      'unknown field spec.options.max_sesion_ttl, did you mean spec.options.max_session_ttl?',
    ],
    [
      'a rule',
      role({ allow: { rules: [{ resources: ['db'], verb: ['list'] }] } }),
      'unknown field spec.allow.rules[0].verb, did you mean spec.allow.rules[0].verbs?',
    ],
    ['a user', user({ rolse: ['x'] }), 'unknown field spec.rolse, did you mean spec.roles?'],
    ['a database', database({ tsl: { mode: 'verify-ca' } }), 'unknown field spec.tsl, did you mean spec.tls?'],
    ['AWS', database({ aws: { regoin: 'x' } }), 'unknown field spec.aws.regoin, did you mean spec.aws.region?'],
    ['a token', token({ join_metod: 'token' }), 'unknown field spec.join_metod, did you mean spec.join_method?'],
    ['a lock', lock({ usr: 'x' }), 'unknown field spec.target.usr, did you mean spec.target.user?'],
    [
      'metadata',
      { ...role({}), metadata: { name: 'r', lables: {} } },
      'unknown field metadata.lables, did you mean metadata.labels?',
    ],
    ['the top', { ...role({}), sepc: {} }, 'unknown field sepc, did you mean spec?'],
    ['nothing like it', role({ allow: { quux_zork: 1 } }), 'unknown field spec.allow.quux_zork\n'],
  ])('in %s', async (_what, resource, message) => {
    expect(`${refused(await create(resource))}\n`).toContain(message);
  });

  test('with its line, all of them at once, and nothing is made', async () => {
    const text =
      'kind: role\nmetadata: {name: first}\n---\nkind: role\nmetadata:\n  name: second\nspec:\n  alow: {}\n  deny:\n    db_user: [x]\n';
    const said = refused(await create(text));
    expect(said).toContain('role "second", line 8: unknown field spec.alow, did you mean spec.allow?');
    expect(said).toContain('role "second", line 10: unknown field spec.deny.db_user, did you mean spec.deny.db_users?');
    expect((await cluster.tctl('get', 'role/first')).status).toBe(1);
  });
});

/** Every option of a role in Teleport 18 and a value that is not its default; what this cluster keeps without an effect is marked. */
const KEPT_OPTIONS: [name: string, value: unknown, hasNoEffect: boolean][] = [
  ['forward_agent', true, false],
  ['max_session_ttl', '8h0m0s', false],
  ['port_forwarding', false, false],
  ['cert_format', 'oldssh', false],
  ['client_idle_timeout', '30m0s', false],
  ['disconnect_expired_cert', true, false],
  ['enhanced_recording', ['command'], true],
  ['permit_x11_forwarding', true, false],
  ['max_connections', 3, true],
  ['max_sessions', 4, true],
  ['request_access', 'reason', true],
  ['request_prompt', 'Why?', true],
  ['lock', 'strict', false],
  ['record_session', { default: 'strict', desktop: false, ssh: 'strict' }, true],
  ['desktop_clipboard', false, true],
  ['cert_extensions', [{ type: 'ssh', mode: 'extension', name: 'login@github.com', value: 'alice' }], true],
  ['max_kubernetes_connections', 5, true],
  ['desktop_directory_sharing', false, true],
  ['create_host_user', true, true],
  ['pin_source_ip', true, false],
  ['ssh_file_copy', false, true],
  ['require_session_mfa', true, false],
  ['device_trust_mode', 'optional', false],
  ['idp', { saml: { enabled: false } }, true],
  ['create_desktop_user', true, true],
  ['create_db_user', false, false],
  ['create_host_user_mode', 'keep', true],
  ['create_db_user_mode', 'off', false],
  ['create_host_user_default_shell', '/bin/bash', true],
  ['ssh_port_forwarding', { local: { enabled: false }, remote: { enabled: true } }, true],
];

const KEPT_CONDITIONS: [name: string, value: unknown][] = [
  ['node_labels', { env: 'dev' }],
  ['kubernetes_groups', ['g']],
  [
    'request',
    { roles: ['x'], reason: { mode: 'required' }, thresholds: [{ approve: 2, deny: 1 }], annotations: { a: ['b'] } },
  ],
  ['kubernetes_users', ['k']],
  ['app_labels', { app: ['a', 'b'] }],
  ['cluster_labels', { c: 'd' }],
  ['kubernetes_labels', { k: 'v' }],
  ['impersonate', { users: ['bot'], roles: ['r'] }],
  ['review_requests', { roles: ['x'], claims_to_roles: [{ claim: 'c', value: 'v', roles: ['r'] }] }],
  ['aws_role_arns', ['arn:aws:iam::123456789012:role/x']],
  ['windows_desktop_logins', ['Administrator']],
  ['windows_desktop_labels', { w: 'x' }],
  [
    'require_session_join',
    [{ name: 'n', filter: 'f', kinds: ['ssh'], count: 1, modes: ['peer'], on_leave: 'terminate' }],
  ],
  ['join_sessions', [{ name: 'n', roles: ['r'], kinds: ['ssh'], modes: ['peer'] }]],
  ['host_groups', ['wheel']],
  ['host_sudoers', ['ALL']],
  ['azure_identities', ['/x']],
  ['kubernetes_resources', [{ kind: 'pods', namespace: 'n', name: '*', verbs: ['*'], api_group: '' }]],
  ['gcp_service_accounts', ['a@b']],
  ['db_service_labels', { s: 't' }],
  ['group_labels', { g: 'h' }],
  ['desktop_groups', ['d']],
  ['node_labels_expression', 'labels["a"] == "b"'],
  ['app_labels_expression', 'labels["a"] == "b"'],
  ['cluster_labels_expression', 'labels["a"] == "b"'],
  ['kubernetes_labels_expression', 'labels["a"] == "b"'],
  ['db_service_labels_expression', 'labels["a"] == "b"'],
  ['windows_desktop_labels_expression', 'labels["a"] == "b"'],
  ['group_labels_expression', 'labels["a"] == "b"'],
  ['spiffe', [{ path: '/x', dns_sans: ['d'], ip_sans: ['10.0.0.0/8'] }]],
  ['account_assignments', [{ permission_set: 'p', account: 'a' }]],
  ['github_permissions', [{ orgs: ['o'] }]],
  ['workload_identity_labels', { w: 'y' }],
  ['workload_identity_labels_expression', 'labels["a"] == "b"'],
  ['mcp', { tools: ['*'] }],
];

describe('U3 a field of Teleport 18 that is not served is given back as it was written', () => {
  const cleaned = (value: unknown) =>
    JSON.parse(JSON.stringify(value, (_key, member) => (member === '' ? undefined : member)));

  test.each(KEPT_OPTIONS)('option %s: %j', async (name, value, hasNoEffect) => {
    const said = warnings(await create(role({ options: { [name]: value } }, 'opt'), '-f'));
    expect((await get('role/opt')).spec.options[name]).toEqual(value);
    expect(said).toHaveLength(hasNoEffect ? 1 : 0);
    if (hasNoEffect) expect(said[0]).toContain(`spec.options.${name}`);
  });

  test.each(KEPT_CONDITIONS)('condition %s: %j', async (name, value) => {
    const said = warnings(await create(role({ allow: { [name]: value }, deny: { [name]: value } }, 'cond'), '-f'));
    const { spec } = await get('role/cond');
    expect(spec.allow[name]).toEqual(cleaned(value));
    expect(spec.deny[name]).toEqual(cleaned(value));
    expect(said).toEqual([
      `WARNING: role "cond": spec.allow.${name}, spec.deny.${name} are kept but have no effect on this cluster`,
    ]);
  });

  test('in users, databases, tokens and locks too; the defaults that tctl get prints are not spoken of', async () => {
    const identities = [{ connector_id: 'c', username: 'x' }];
    expect(warnings(await create(user({ github_identities: identities }, 'kept'), '-f'))).toEqual([
      'WARNING: user "kept": spec.github_identities is kept but has no effect on this cluster',
    ]);
    expect((await get('user/kept')).spec.github_identities).toEqual(identities);
    const others = { admin_user: { name: 'adm', default_database: 'x' }, gcp: { project_id: 'p', instance_id: 'i' } };
    expect(warnings(await create(database({ ...others, aws: { rds: { instance_id: 'i' } } }, 'kept'), '-f'))).toEqual([
      'WARNING: db "kept": spec.aws.rds, spec.gcp are kept but have no effect on this cluster',
    ]);
    expect((await get('db/kept')).spec).toMatchObject(others);
    expect(warnings(await create(token({ suggested_labels: { a: 'b' } }, 'kept'), '-f'))).toEqual([
      'WARNING: token "kept": spec.suggested_labels is kept but has no effect on this cluster',
    ]);
    for (const ref of ['user/kept', 'db/sales', 'role/everybody', 'role/access', 'role/editor']) {
      const { stdout } = await cluster.tctl('get', ref);
      const again = warnings(await create(stdout, '-f'));
      const mine =
        ref === 'user/kept' ? /github_identities/ : ref === 'role/access' ? /spec.allow.db_service_labels/ : undefined;
      if (mine) expect(again.join()).toMatch(mine);
      else expect(again).toEqual([]);
    }
  });
});

describe('U3 a field that would restrict access and is not held to is refused', () => {
  test.each<[string, object, string]>([
    ['', role({ options: { device_trust_mode: 'required' } }), 'spec.options.device_trust_mode is not supported here'],
    [
      '',
      role({ options: { device_trust_mode: 'required-for-humans' } }),
      'spec.options.device_trust_mode is not supported here',
    ],
    [
      '',
      role({ options: { mfa_verification_interval: '1h' } }),
      'spec.options.mfa_verification_interval is not supported here',
    ],
    [
      '',
      role({ options: { require_session_mfa: 'hardware_key_touch' } }),
      'spec.options.require_session_mfa is not supported here',
    ],
    [
      '',
      role({ allow: { db_permissions: [{ permissions: ['SELECT'], match: { a: 'b' } }] } }),
      'spec.allow.db_permissions is not supported here',
    ],
    [
      '',
      role({ deny: { db_permissions: [{ permissions: ['SELECT'], match: { a: 'b' } }] } }),
      'spec.deny.db_permissions is not supported here',
    ],
    [
      '',
      role({ deny: { db_users: ['^(root$'] } }),
      'spec.deny.db_users[0] is not supported here: "^(root$" is not a regular expression',
    ],
    [
      '',
      role({ deny: { db_names: ['{{internal.db_name}}'] } }),
      '"{{internal.db_name}}" is not a template and would deny nothing',
    ],
    [
      '',
      role({ deny: { rules: [{ resources: ['db'], verbs: ['raed'] }] } }),
      'spec.deny.rules[0].verbs "raed" is not supported here: it is not a verb, and would deny nothing',
    ],
    [
      '',
      role({ deny: { rules: [{ resources: ['users'], verbs: ['*'] }] } }),
      'spec.deny.rules[0].resources "users" is not supported here: rules call it otherwise',
    ],
    ['', role({ deny: { db_users: ['x'], namespaces: ['other'] } }), 'spec.deny.namespaces is not supported here'],
    ['', user({ local_auth: { password_hash: 'eA==' } }), 'user "u": spec.local_auth cannot be written'],
    [
      '',
      user({ status: { is_locked: true } }),
      'spec.status.is_locked is not supported here: a user is not locked by it',
    ],
    ['', database({ protocol: 'mysql' }), 'spec.protocol "mysql" is not supported here'],
    [
      '',
      database({ dynamic_labels: { up: { period: '1m', command: ['uptime'] } } }),
      'spec.dynamic_labels is not supported here',
    ],
    ['', token({ allow: [{ aws_account: '123456789012' }] }), 'spec.allow is not supported here'],
    [
      '',
      token({ github: { allow: [{ repository: 'a/b' }] } }),
      'spec.github belongs to another join method, which is not supported',
    ],
  ])('%s %j', async (_finding, resource, message) => {
    expect(refused(await create(resource, '-f'))).toContain(message);
  });

  test('a user who is locked out for a while may be written back as tctl get showed it, and ends when spec.expires says', async () => {
    // Shown as Go writes a time: no zeros at the end of the fraction.
    const expires = `${new Date(Date.now() + 3_600_000).toISOString().slice(0, -5)}.39`;
    made(await create(user({ expires: `${expires}0Z` }, 'ends')));
    expect((await get('user/ends')).spec.expires).toBe(`${expires}Z`);
    const past = { is_locked: true, locked_time: '2020-01-01T00:00:00Z', lock_expires: '2020-01-01T01:00:00Z' };
    made(await create(user({ status: past }, 'ends'), '-f'));
  });
});

test('W10 a role that wants automatic users is taken, and rights on single objects are refused, with what to write instead', async () => {
  made(await create(role({ allow: { db_roles: ['reader'] }, options: { create_db_user_mode: 'keep' } }, 'auto')));
  expect((await get('role/auto')).spec).toMatchObject({
    allow: { db_roles: ['reader'] },
    options: { create_db_user_mode: 'keep' },
  });
  const permissions = [{ permissions: ['SELECT'], match: { a: 'b' } }];
  const said = refused(await create(role({ allow: { db_permissions: permissions } }, 'auto'), '-f'));
  expect(said).toContain('Give them to a role of the database, and name that in db_roles.');
});

describe('U3 a name that nothing could be called by later is refused', () => {
  test.each(['a/b', ' ', 'a b', 'a\nb', 'a\u202eb', '..', 'jürgen'])('%j', async (name) => {
    for (const resource of [role({}, name), user({}, name), lock({ user: 'alice' }, name), token({}, name)]) {
      expect(refused(await create(resource, '-f'))).toContain('special characters are not allowed in resource names');
    }
  });
  test.each(['alice@example.com', 'a.b+c', 'team:dba', 'A_b-1'])('%s is taken', async (name) => {
    made(await create(role({}, name), '-f'));
  });
});

test('U3 a folder in place of a file is named', async () => {
  expect(refused(await cluster.tctl('create', cluster.dir))).toContain(`cannot read ${cluster.dir}: `);
});

describe('S6 tctl create -f overwrites, whichever revision the file has', () => {
  const kinds: [string, (mark: string) => { kind: string; metadata: object }, string, string][] = [
    ['role', (mark) => role({ allow: { logins: [mark] } }, 's6'), 'role/s6', 'role "s6" has been created\n'],
    ['user', (mark) => user({ traits: { logins: [mark] } }, 's6'), 'user/s6', 'user "s6" has been updated\n'],
    ['db', (mark) => database({ uri: `${mark}:5432` }, 's6'), 'db/s6', 'database "s6" has been updated\n'],
    [
      'token',
      (mark) => token({ roles: ['Db', mark === 'one' ? 'Node' : 'App'] }, 's6'),
      'token/s6',
      'provision_token "**" has been created\n',
    ],
    [
      'lock',
      (mark) => ({ ...lock({ user: 'alice' }, 's6'), spec: { target: { user: 'nobody-here' }, message: mark } }),
      'lock/s6',
      'lock "s6" has been created\n',
    ],
  ];
  const text = async (ref: string) => (await cluster.tctl('get', ref)).stdout;

  test.each(kinds)('%s: twice, from two shells at once, with an old revision', async (kind, resource, ref, updated) => {
    const quietly = ({ status, stdout }: Outcome) => [status, stdout];
    expect((await create(resource('one'), '-f')).status).toBe(0);
    const old = parse(await text(ref)) as { metadata: { revision: string } };
    expect(old.metadata.revision).toBeTruthy();
    expect(quietly(await create(resource('one'), '-f'))).toEqual([0, updated]);
    expect(quietly(await create(old, '-f'))).toEqual([0, updated]);
    const withOld = { ...resource('two'), metadata: { ...resource('two').metadata, revision: old.metadata.revision } };
    const both = await Promise.all(Array.from({ length: 6 }, () => create(withOld, '-f')));
    expect(both.map(quietly)).toEqual(both.map(() => [0, updated]));
    expect(await text(ref)).toMatch(kind === 'token' ? /App/ : /two/);
  });

  test('two shells that make the same user and database at once both succeed', async () => {
    for (const resource of [user({}, 'race'), database({}, 'race')]) {
      const both = await Promise.all([create(resource, '-f'), create(resource, '-f'), create(resource, '-f')]);
      expect(both.map(({ status }) => status)).toEqual([0, 0, 0]);
    }
  });

  test('without -f it says that it is there, with the way out', async () => {
    for (const resource of [user({}, 's6'), database({}, 's6'), role({}, 's6'), lock({ user: 'alice' }, 's6')]) {
      expect(refused(await create(resource))).toMatch(/use -f or --force flag to overwrite\n\t\w+ "s6" already exists/);
    }
  });

  test.each(['role/s6', 'user/s6', 'db/s6', 'token/s6', 'lock/s6'])(
    'tctl edit %s notices a change in between and keeps what was typed',
    async (ref) => {
      const before = parse(await text(ref)) as { kind: string; metadata: { name: string; description?: string } };
      const described = (description: string) => ({ ...before, metadata: { ...before.metadata, description } });
      // The editor waits on a connection until somebody else has written.
      const meanwhile = createServer((socket) => {
        create(described('theirs'), '-f').then(() => socket.end());
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => meanwhile.once('listening', resolve));
      const { port } = meanwhile.address() as { port: number };
      const script = join(cluster.dir, `editor-${before.kind}.mjs`);
      await writeFile(
        script,
        `import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
const file = process.argv.at(-1);
connect(${port}, '127.0.0.1').on('end', () => {
  writeFileSync(file, readFileSync(file, 'utf8').replace('metadata:', 'metadata:\\n  description: mine'));
}).resume();
`,
      );
      const env = memoryEnv({
        cwd: cluster.dir,
        home: cluster.dir,
        vars: { TELEPORT_EDITOR: `${process.execPath} ${script}` },
      });
      const status = await runProgram(tctlProgram, ['-c', cluster.configFile, 'edit', ref], env);
      meanwhile.close();
      expect(env.err()).toContain(`${ref} has changed in the meantime`);
      expect(status).toBe(1);
      const kept = /your text is kept in (\S+)/.exec(env.err())?.[1];
      expect(await readFile(kept!, 'utf8')).toContain('description: mine');
      await rm(dirname(kept!), { recursive: true });
      expect(await text(ref)).toContain('description: theirs');
    },
  );
});

describe('U11 tctl lock does not lock what is not there', () => {
  beforeAll(async () => {
    made(await create(role({ allow: { logins: ['deploy'] } }, 'logins')));
    made(await create(token({}, 'join-secret')));
  });

  test.each<[string, string]>([
    ['--user=alcie', 'user "alcie" does not exist, did you mean "alice"?'],
    ['--user=nobody', 'user "nobody" does not exist'],
    ['--role=everbody', 'role "everbody" does not exist, did you mean "everybody"?'],
    ['--login=deplyo', 'login "deplyo" does not exist, did you mean "deploy"?'],
    ['--mfa-device=phone', 'MFA device "phone" does not exist'],
    ['--access-request=7a1ad0f5-2a8f-4a4b-9d42-0f6f2ad3f5c1', 'this cluster has no access requests'],
    ['--device=7a1ad0f5-2a8f-4a4b-9d42-0f6f2ad3f5c1', 'this cluster has no trusted devices'],
    [
      '--server-id=7a1ad0f5-2a8f-4a4b-9d42-0f6f2ad3f5c1',
      'server "7a1ad0f5-2a8f-4a4b-9d42-0f6f2ad3f5c1" does not exist',
    ],
    ['--windows-desktop=pc', 'Windows desktop "pc" does not exist'],
    ['--bot-instance-id=7a1ad0f5-2a8f-4a4b-9d42-0f6f2ad3f5c1', 'this cluster has no bot instances'],
    ['--join-token=nope', 'join token "nope" does not exist'],
  ])('%s', async (flag, message) => {
    const before = (await cluster.tctl('get', 'locks')).stdout;
    const said = refused(await cluster.tctl('lock', flag));
    expect(said).toContain(`nothing was locked: ${message}`);
    expect(said).toContain('--force');
    expect((await cluster.tctl('get', 'locks')).stdout).toBe(before);

    const forced = await cluster.tctl('lock', flag, '--force', '--ttl=1m');
    expect(forced.stdout).toMatch(/^Created a lock with name "[0-9a-f-]{36}"\.\n$/);
    expect(warnings(forced)[0]).toBe(`WARNING: ${message}`);
  });

  test.each<[string, string]>([
    ['--ttl=0s', '--ttl must be longer than 0'],
    ['--ttl=-5m', '--ttl must be longer than 0'],
    ['--expires=2020-01-01T00:00:00Z', '--expires: 2020-01-01T00:00:00Z has passed'],
  ])('nor with an end that has passed: %s', async (flag, message) => {
    const before = (await cluster.tctl('get', 'locks')).stdout;
    expect(refused(await cluster.tctl('lock', '--user=alice', flag))).toContain(`nothing was locked: ${message}`);
    expect((await cluster.tctl('get', 'locks')).stdout).toBe(before);
  });

  test.each(['0s', '-5m'])('nor is a token made that nobody can join with: --ttl=%s', async (ttl) => {
    const before = (await cluster.tctl('get', 'tokens')).stdout;
    expect(refused(await cluster.tctl('tokens', 'add', '--type=db', `--ttl=${ttl}`))).toContain(
      '--ttl must be longer than 0',
    );
    expect((await cluster.tctl('get', 'tokens')).stdout).toBe(before);
  });

  test('a resource whose end has passed is taken with a word', async () => {
    const expires = '2020-01-01T00:00:00Z';
    const ended = { ...lock({ user: 'alice' }, 'ended'), spec: { target: { user: 'alice' }, expires } };
    expect(warnings(await create(ended))).toEqual([
      `WARNING: lock "ended": spec.expires ${expires} has passed, so it has no effect`,
    ]);
    const gone = { ...user({}, 'gone'), metadata: { name: 'gone', expires } };
    expect(warnings(await create(gone))).toEqual([
      `WARNING: user "gone": metadata.expires ${expires} has passed, so it has no effect`,
    ]);
  });

  test('a target that is no text is an error of its own', async () => {
    expect(refused(await create(lock({ user: 123 }, 'typed')))).toBe('ERROR: lock.spec.target.user must be a text\n\n');
  });

  test('what is there is locked without a word', async () => {
    const [server] = JSON.parse((await cluster.tctl('get', 'db_servers', '--format=json')).stdout) as {
      spec: { host_id: string };
    }[];
    const flags = [
      '--user=alice',
      '--role=everybody',
      `--server-id=${server!.spec.host_id}`,
      `--mfa-device=${randomUUID()}`,
    ];
    for (const flag of flags) {
      const { stdout } = await cluster.tctl('lock', flag, '--ttl=1m');
      const name = /"(.*)"/.exec(stdout)?.[1];
      made(await cluster.tctl('rm', `lock/${name}`));
    }
    const login = await cluster.tctl('lock', '--login=deploy', '--ttl=1m');
    expect(warnings(login)).toEqual([
      expect.stringMatching(/^WARNING: lock ".*": spec\.target\.login is kept but has no effect on this cluster$/),
    ]);
  });
});
