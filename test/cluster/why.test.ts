/**
 * Who may enter, and why not: for the administrator, for the person herself, and in the words that psql shows.
 * Tests: src/tctl/access/why.ts, src/tctl/access/ls.ts, src/tctl/access/who.ts, src/tctl/access/entrances.ts
 * Tests: src/tsh/db/why.ts, src/rbac/answer.ts
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { errorFields, messagesOf, rawClient, startupPacket } from '../support/pg-raw.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [
      roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] }),
      roleResource('elsewhere', { db_labels: { env: 'nowhere' }, db_users: ['*'], db_names: ['*'] }),
    ],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'bob', roles: ['access'] },
      { name: 'carol', roles: ['elsewhere'] },
    ],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
});
afterAll(() => cluster?.stop());

const why = (...args: string[]) => cluster.tctl('access', 'why', ...args);

test('tctl access why names the role, the entry and the change, and its status is the answer', async () => {
  const allowed = await why('alice', 'orders', '--db-user=analyst', '--db-name=dev');
  expect(allowed).toMatchObject({ status: 0, stderr: '' });
  expect(allowed.stdout).toContain(
    'alice may enter the database "orders" as database user "analyst" in database name "dev".',
  );
  expect(allowed.stdout).toMatch(
    /^analyst +allow +allows +has db_labels that match; has "analyst" in db_users; has "dev"/m,
  );

  const refused = await why('alice', 'orders', '--db-user=reader', '--db-name=dev');
  expect(refused).toMatchObject({ status: 1, stderr: '' });
  expect(refused.stdout).toContain('alice may not enter the database "orders"');
  expect(refused.stdout).toContain('Because role "analyst" has no "reader" in db_users.');
  expect(refused.stdout).toContain('  add "reader" to allow.db_users of role "analyst":\n    tctl edit role/analyst\n');
});

test('the command of the smallest change lets the person in', async () => {
  const asked = ['bob', 'orders', '--db-user=reader', '--db-name=dev'];
  for (let round = 0; round < 2; round++) {
    const json = JSON.parse((await why(...asked, '--format=json')).stdout) as { changes: { command: string }[] };
    for (const { command } of json.changes.slice(0, 1)) {
      const [program, ...words] = command.split(' ');
      expect(program).toBe('tctl');
      expect(await cluster.tctl(...words)).toMatchObject({ status: 0 });
    }
  }
  expect(await why(...asked)).toMatchObject({ status: 0 });
});

test('for automatic users the change is somebody who makes them, and database roles by a trait', async () => {
  const made = async (...documents: object[]) => {
    for (const document of documents) {
      expect(await cluster.tctlWith(JSON.stringify(document), 'create', '-f')).toMatchObject({ status: 0 });
    }
  };
  const labels = { kind: 'auto' };
  const allow = { db_labels: labels, db_names: ['dev'], db_roles: ['{{internal.db_roles}}'] };
  const una = { kind: 'user', version: 'v2', metadata: { name: 'una' }, spec: { roles: ['auto'] } };
  const [orders] = cluster.databases!.resources;
  const database = (spec: object) => ({
    ...orders,
    metadata: { name: 'auto', labels },
    spec: { ...(orders!.spec as object), ...spec },
  });
  await made(roleResource('auto', allow, { create_db_user_mode: 'keep' }), una, database({}));
  const bare = await why('una', 'auto', '--db-name=dev');
  expect(bare.stdout).toContain('  name an admin_user of the database, who makes its users:\n    tctl edit db/auto\n');

  await made(database({ admin_user: { name: 'admin' } }));
  // The agent offers it with the administrator.
  await until('una may enter', async () => (await why('una', 'auto')).status === 0 || undefined);
  const asked = await why('una', 'auto', '--db-name=dev', '--db-roles=reader,writer');
  expect(asked.stdout).toContain('tctl users update una --set-db-roles=reader,writer\n');
  // Said once.
  expect(asked.stdout.match(/made for each person/g)).toBe(null);
  await cluster.tctl('users', 'update', 'una', '--set-db-roles=reader,writer');
  const allowed = await why('una', 'auto', '--db-name=dev', '--db-roles=reader,writer');
  expect(allowed.status).toBe(0);
  expect(allowed.stdout).toContain('The database user is made for each person and bears her own name.');
});

test('without an answer there is an error and nothing on standard output', async () => {
  expect(await why('nobody', 'orders')).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'ERROR: "user" "nobody" does not exist\n"tctl users ls" lists the names.\n\n',
  });
  expect(await why('alice', 'nothing')).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'ERROR: database "nothing" not found\n"tctl db ls" lists the names.\n\n',
  });
  for (const args of [
    ['ls', 'nobody'],
    ['who', 'nothing'],
  ]) {
    const { stderr } = await cluster.tctl('access', ...args);
    expect(stderr).toMatch(/^ERROR: .*"(nobody|nothing)".*\n"tctl (users|db) ls" lists the names\.\n\n$/);
  }
});

test('a lock is the reason, and taking it away the change', async () => {
  await cluster.tctl('lock', '--user=carol', '--message=On leave.');
  const { status, stdout } = await why('carol', 'orders', '--db-user=reader', '--db-name=dev');
  expect(status).toBe(1);
  expect(stdout).toContain('Because lock targeting User:"carol" is in force: On leave.');
  expect(stdout).toMatch(/take away the lock "[\w-]+":\n {4}tctl rm lock\/[\w-]+$/m);
});

test('tctl access ls and who have a row for each way in', async () => {
  const ls = await cluster.tctl('access', 'ls', 'alice');
  expect(ls).toMatchObject({ status: 0, stderr: '' });
  expect(ls.stdout).toMatch(/^orders +analyst +\[analyst\] +\[dev\] *$/m);
  expect((await cluster.tctl('access', 'ls', 'carol')).stdout).toBe('carol may enter no database.\n');
  const who = JSON.parse((await cluster.tctl('access', 'who', 'orders', '--format=json')).stdout) as { user: string }[];
  expect(who).toContainEqual(
    expect.objectContaining({
      user: 'alice',
      database: 'orders',
      role: 'analyst',
      db_users: ['analyst'],
      db_names: ['dev'],
    }),
  );
  expect(who.map(({ user }) => user)).not.toContain('carol');
});

test('tsh db why: as much as one may know of oneself', async () => {
  expect(await cluster.tsh('alice', 'db', 'why', 'orders', '--db-user=analyst')).toMatchObject({
    status: 0,
    stderr: '',
  });
  const refused = await cluster.tsh('alice', 'db', 'why', 'orders', '--db-user=reader');
  expect(refused).toMatchObject({ status: 1, stderr: '' });
  expect(refused.stdout).toContain('role "analyst" has no "reader" in db_users');
  // `access` would do as well, and is not hers to know of.
  expect(refused.stdout).not.toContain('elsewhere');
  expect(refused.stdout).not.toContain('give alice the role');
  const json = JSON.parse(
    (await cluster.tsh('alice', 'db', 'why', 'orders', '--db-name=x', '--format=json')).stdout,
  ) as object;
  expect(json).toMatchObject({ user: 'alice', database: 'orders', db_name: 'x', allowed: false });
});

test('a database that no role of hers selects is one that does not exist', async () => {
  await cluster.addUser({ name: 'dora', roles: ['elsewhere'] });
  await cluster.login('dora', 'dora');
  const [hidden, absent] = [
    await cluster.tsh('dora', 'db', 'why', 'orders'),
    await cluster.tsh('dora', 'db', 'why', 'absent'),
  ];
  expect(hidden).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^ERROR: database "orders" not found\nThere is no such database, or no role of yours/,
    ),
  });
  expect(absent.stderr.replaceAll('absent', 'orders')).toBe(hidden.stderr);
});

test('the refusal that a client shows begins as Teleport has it, and its hint says who, what and why', async () => {
  const { port } = await cluster.tunnel('alice', 'orders');
  const client = await rawClient({ host: '127.0.0.1', port });
  client.socket.write(
    startupPacket(0x3_0000, [
      ['user', 'reader'],
      ['database', 'dev'],
    ]),
  );
  await client.until('Z').catch(() => {});
  const [refused] = messagesOf(client.received());
  expect(errorFields(refused!)).toMatchObject({
    M: 'access to db denied. User does not have permissions. Confirm database user and name.',
    H: 'User alice, database "orders", database user "reader", database name "dev": role "analyst" has no "reader" in db_users. More: tsh db why orders --db-user=reader --db-name=dev',
  });
});
