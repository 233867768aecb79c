/** Rotation at a real Auth Service: what is signed and believed in each phase, by itself as time passes, and after a restart. */
import { afterEach, expect, test } from '@jest/globals';
import { fetchAuthorityKeys } from '../../src/api/authorities.js';
import type { AuthClient } from '../../src/api/client.js';
import { generateKey, publicKeyPem } from '../../src/pki/keys.js';
import { createCsr, NAME_OID } from '../../src/pki/x509.js';
import { until } from '../support/until.js';
import { type Credentials, inMs, TestAuth } from './test-auth.js';

let cluster: TestAuth;
afterEach(() => cluster.remove());

const rotate = (client: AuthClient, type: string, targetPhase: string, mode = 'manual', seconds = 600n) =>
  client.trust.rotateCertAuthority({ type, targetPhase, mode, gracePeriod: { seconds, nanos: 0 } });
const phaseOf = async (client: AuthClient, type: string) => {
  const { certAuthoritiesV2 } = await client.trust.getCertAuthorities({ type });
  return certAuthoritiesV2[0]!.spec!.rotation?.phase ?? '';
};
const issuerKeys = async (client: AuthClient, type: string) =>
  (await fetchAuthorityKeys(client, type))
    .filter(({ kind }) => kind === 'tls')
    .map(({ status, text }) => [status, text]);

test('X2 the authority of users: logins of before count until standby, those of after from update_clients on', async () => {
  cluster = await TestAuth.start();
  const admin = await cluster.asHost('Admin');
  let people = 0;
  const login = async () => {
    const name = `user-${++people}`; // a one-time code counts once
    return await cluster.login(name, await cluster.invite(name, ['access']));
  };
  const isIn = async (credentials: Credentials) =>
    await (await cluster.as(credentials)).auth.getDomainName({}).then(
      () => true,
      () => false,
    );
  const logins: Credentials[] = [await login()];
  const seen: boolean[][] = [];
  for (const phase of ['init', 'update_clients', 'update_servers', 'standby']) {
    await rotate(admin, 'user', phase);
    logins.push(await login());
    seen.push(await Promise.all(logins.map(isIn)));
  }
  expect(seen).toEqual([
    [true, true],
    [true, true, true],
    [true, true, true, true],
    [false, false, true, true, true],
  ]);
  // Keys of the store, not of the process.
  await cluster.stop();
  await cluster.open();
  expect(await Promise.all(logins.map(isIn))).toEqual([false, false, true, true, true]);
  expect(await phaseOf(await cluster.asHost('Admin'), 'user')).toBe('standby');
  const events = await cluster.events('cert_authority.rotate');
  expect(events.map(({ name, phase }) => [name, phase])).toEqual(
    ['init', 'update_clients', 'update_servers', 'standby'].map((phase) => ['user', phase]),
  );
});

test.each([
  ['user', async () => await cluster.login('zoe', await cluster.invite('zoe', ['access']))],
  ['host', async () => await cluster.identity('Db')],
] as const)(
  'H6 %s: what is open ends with the old authority, and is refused what the new one signs',
  async (type, made) => {
    cluster = await TestAuth.start();
    const admin = await cluster.asHost('Admin');
    const { client, closed } = await cluster.hold(await made());
    for (const phase of ['init', 'update_clients', 'update_servers']) {
      await rotate(admin, type, phase);
      await client.auth.getDomainName({});
    }
    await rotate(admin, type, 'standby');
    const publicKey = Buffer.from(publicKeyPem(await generateKey('ecdsa-p256')));
    const { hostId } = await cluster.identity('Db');
    const asked =
      type === 'host'
        ? client.auth.generateHostCerts({ hostId, role: 'Db', publicTlsKey: publicKey })
        : client.auth.generateUserCerts({ username: 'zoe', tlsPublicKey: publicKey, expires: inMs(60_000) });
    await expect(asked).rejects.toMatchObject({ code: 'AccessDenied' });
    await closed;
  },
);

test('by itself, as time passes, also while Auth was not running', async () => {
  cluster = await TestAuth.start();
  let admin = await cluster.asHost('Admin');
  const [[, old] = []] = await issuerKeys(admin, 'db');
  await rotate(admin, 'db', '', 'auto', 1n);
  // A second is split in three.
  await until('the rotation is over', async () => (await phaseOf(admin, 'db')) === 'standby' || undefined);
  const after = await issuerKeys(admin, 'db');
  expect(after).toHaveLength(1);
  expect(after[0]![1]).not.toBe(old);
  // Four seconds of each phase: it is asked for in the first one.
  await rotate(admin, 'db', '', 'auto', 12n);
  expect(await phaseOf(admin, 'db')).toBe('init');
  await cluster.stop();
  await cluster.open();
  admin = await cluster.asHost('Admin');
  await until('the rotation is over', async () => (await phaseOf(admin, 'db')) === 'standby' || undefined);
});

test('the certificate of a database is of the new key from the beginning, and both sides are believed', async () => {
  cluster = await TestAuth.start();
  const admin = await cluster.asHost('Admin');
  await rotate(admin, 'db', 'init');
  const [[, active], [, additional]] = (await issuerKeys(admin, 'db')) as [string[], string[]];
  const agent = await cluster.asHost('Db');
  const { caCerts } = await agent.auth.generateDatabaseCert({ csr: await csr(), ttl: 60_000_000_000n });
  expect(caCerts.map((pem) => Buffer.from(pem).toString())).toEqual([active, additional]);
});

test('only who may change authorities may; what cannot be rotated says so', async () => {
  cluster = await TestAuth.start();
  const admin = await cluster.asHost('Admin');
  const alice = await cluster.as(await cluster.login('alice', await cluster.invite('alice', ['access'])));
  await expect(rotate(alice, 'user', 'init')).rejects.toThrow(
    'access denied to perform action "create" on "cert_authority"',
  );
  await expect(rotate(await cluster.asHost('Proxy'), 'user', 'init')).rejects.toThrow('access denied');
  await expect(rotate(admin, 'host', '', 'auto', 0n)).rejects.toThrow('needs a grace period of five minutes at least');
  await expect(rotate(admin, 'spiffe', 'init')).rejects.toThrow('authority type "spiffe" is not supported');
  await expect(rotate(admin, 'user', 'init', 'sideways')).rejects.toThrow('unsupported mode: "sideways"');
  expect(await phaseOf(admin, 'user')).toBe('');
});

test('services hear of it at once', async () => {
  cluster = await TestAuth.start();
  const [admin, agent] = [await cluster.asHost('Admin'), await cluster.asHost('Db')];
  const stop = new AbortController();
  const words = agent.databaseAgent.watchAuthorities({}, { signal: stop.signal })[Symbol.asyncIterator]();
  await words.next();
  const next = words.next();
  await rotate(admin, 'user', 'init');
  expect((await next).done).toBe(false);
  const last = words.next();
  stop.abort();
  await expect(last).rejects.toThrow();
});

async function csr(): Promise<Buffer> {
  const key = await generateKey('ecdsa-p256');
  return Buffer.from(createCsr({ subject: [{ oid: NAME_OID.commonName, values: ['postgres'] }], key }));
}
