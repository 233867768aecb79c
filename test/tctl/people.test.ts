/**
 * `tctl` on the people of a running Auth, and the authorities that it exports.
 * Tests: src/tctl/auth/export.ts, src/tctl/lists.ts, src/tctl/users/ls.ts, src/tctl/users/reset.ts
 * Tests: src/tctl/users/rm.ts, src/tctl/users/update.ts
 */
import { X509Certificate } from 'node:crypto';
import { startTestCluster, type TestCluster } from '../support/cluster.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ agent: false, users: [{ name: 'alice', roles: ['access'] }] });
});
afterAll(() => cluster?.stop());

const names = async () =>
  (JSON.parse((await cluster.tctl('users', 'ls', '--format=json')).stdout) as { metadata: { name: string } }[]).map(
    ({ metadata }) => metadata.name,
  );

test('users ls lists them, users update gives other roles', async () => {
  expect((await cluster.tctl('users', 'ls')).stdout).toMatch(/^alice +access *$/m);
  expect(await cluster.tctl('users', 'update', 'alice', '--set-roles=access,editor')).toMatchObject({ status: 0 });
  expect((await cluster.tctl('users', 'ls')).stdout).toMatch(/^alice +access, ?editor *$/m);
});

test('users reset ends the password: the old one lets nobody in, the link is printed', async () => {
  await cluster.login('before', 'alice');
  const reset = await cluster.tctl('users', 'reset', 'alice');
  expect(reset).toMatchObject({ status: 0, stdout: expect.stringMatching(/https:\/\/\S+\/web\/reset\/[0-9a-f]{32}/) });
  await expect(cluster.login('after', 'alice')).rejects.toThrow('invalid');
});

test('users rm removes one; who is not there is named', async () => {
  await cluster.addUser({ name: 'bob', roles: ['access'] });
  expect(await names()).toEqual(['alice', 'bob']);
  expect(await cluster.tctl('users', 'rm', 'bob')).toMatchObject({ status: 0, stdout: expect.stringContaining('bob') });
  expect(await names()).toEqual(['alice']);
  expect(await cluster.tctl('users', 'rm', 'bob')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('bob'),
  });
});

test.each([
  ['db', 'db'],
  ['tls-host', 'host'],
  ['tls-user', 'user'],
])('auth export --type=%s is the authority that signs for it', async (type, kind) => {
  const { stdout, status } = await cluster.tctl('auth', 'export', `--type=${type}`);
  const exported = new X509Certificate(stdout);
  expect([status, exported.ca, exported.subject]).toEqual([0, true, expect.stringContaining(`O=${cluster.name}`)]);
  const authority = JSON.parse((await cluster.tctl('get', `cert_authority/${kind}`, '--format=json')).stdout);
  expect(JSON.stringify(authority)).toContain(Buffer.from(stdout).toString('base64').slice(0, 200));
});
