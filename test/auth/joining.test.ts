/**
 * X9: what a join token is good for, and what it is not.
 * Tests: src/auth/hosts.ts, src/auth/join-limits.ts
 */
import { randomUUID, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { toMessage } from '../../src/api/convert.js';
import { ATTEMPTS, RecordedRefusals } from '../../src/auth/join-limits.js';
import { isBound } from '../../src/identity/host.js';
import { decodeIdentity } from '../../src/identity/identity.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine, readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { joiningRole, SYSTEM_ROLES } from '../../src/resources/system-role.js';
import type { Database, DatabaseServer, ProvisionToken } from '../../src/resources/types.js';
import { CLUSTER, TestAuth, text } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
/** A Proxy, which says where the one who joins is. */
let proxy: AuthClient;
const key = await generateKey('ecdsa-p256');
beforeAll(async () => {
  cluster = await TestAuth.start();
  [admin, proxy] = await Promise.all([cluster.asHost('Admin'), cluster.asHost('Proxy')]);
});
afterAll(() => cluster.remove());

async function newToken(spec: Partial<ProvisionToken['spec']> = {}): Promise<string> {
  const name = randomUUID();
  const token: ProvisionToken = {
    kind: 'token',
    version: 'v2',
    metadata: { name },
    spec: { roles: ['Db', 'Proxy'], join_method: 'token', ...spec },
  };
  await admin.auth.createTokenV2({ token: { case: 'v2', value: toMessage('token', token) } });
  return name;
}

let addresses = 0;
/** Everybody comes from elsewhere, or the limit of an address would be met. */
const elsewhere = () => `198.51.${addresses >> 8}.${addresses++ & 255}`;

function join(token: string, more: Record<string, unknown> = {}) {
  return proxy.join.registerUsingToken({
    hostId: randomUUID(),
    nodeName: 'agent-1',
    role: 'Db',
    token,
    publicTlsKey: Buffer.from(publicKeyPem(key)),
    remoteAddr: elsewhere(),
    ...more,
  });
}

describe('X9 a token makes new host ids only', () => {
  test.each([
    'agent-1',
    '',
    '../../etc',
    '6e6c2c6e-0000-4000-8000-00000000000',
    '6e6c2c6e-0000-4000-8000-000000000001\n',
    '6e6c2c6e-0000-4000-8000-000000000001.root.example.com',
  ])('%j is none', async (hostId) =>
    expect(join(await newToken(), { hostId })).rejects.toMatchObject({ code: 'BadParameter' }),
  );

  test('an id in use is refused, also with another token, in other letters, and for another role from elsewhere', async () => {
    const [token, other] = [await newToken(), await newToken()];
    const hostId = randomUUID();
    await join(token, { hostId });
    for (const more of [{}, { role: 'Proxy' }, { hostId: hostId.toUpperCase() }]) {
      for (const one of [token, other]) {
        await expect(join(one, { hostId, ...more })).rejects.toMatchObject({
          code: 'AccessDenied',
          message: expect.stringContaining('is in use: remove host_uuid from the data_dir of the new host'),
        });
      }
    }
  });

  test('one process joins as each of its services', async () => {
    const token = await newToken();
    const [hostId, remoteAddr] = [randomUUID(), elsewhere()];
    await join(token, { hostId, remoteAddr, role: 'Proxy' });
    await join(token, { hostId, remoteAddr, role: 'Db' });
    await expect(join(token, { hostId, remoteAddr, role: 'Db' })).rejects.toThrow('is in use');
  });

  test('the id of this Auth Service, and of an agent that came before such records were kept', async () => {
    const token = await newToken();
    const [own, ofAgent] = [(await cluster.identity('Admin')).hostId, randomUUID()];
    const metadata = { name: 'old', labels: {} };
    const database: Database = { kind: 'db', version: 'v3', metadata, spec: { protocol: 'postgres', uri: 'h:1' } };
    const spec = { host_id: ofAgent, hostname: 'h', version: '18.3.0', database };
    const server: DatabaseServer = { kind: 'db_server', version: 'v3', metadata, spec };
    await admin.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
    for (const hostId of [own, ofAgent]) await expect(join(token, { hostId })).rejects.toThrow('is in use');
  });

  test('two who come at once with one id: one of them gets it', async () => {
    const [token, hostId] = [await newToken(), randomUUID()];
    const came = await Promise.allSettled(Array.from({ length: 8 }, () => join(token, { hostId })));
    expect(came.filter(({ status }) => status === 'fulfilled').length).toBe(1);
  });
});

describe('X9 what is in the certificate', () => {
  /** By every role that a certificate can name: some are not joined with, and none but a Proxy gets a name. */
  test.each(SYSTEM_ROLES.filter((role) => role !== 'Proxy'))(
    'A-H2 of role %s there is no name that it asked for',
    async (role) => {
      const hex = `${Buffer.from(CLUSTER).toString('hex')}.teleport.cluster.local`;
      const names = ['teleport.cluster.local', hex, 'proxy.example.com', '10.0.0.1'];
      const asked = { additionalPrincipals: names, dnsNames: names, nodeName: 'auth-1' };
      const token = await newToken({ roles: ['Db', joiningRole(role) ?? 'Db'], databases: ['only-this'] });
      const [hostId, ssh] = [randomUUID(), await generateKey('ed25519')];
      const publicSshKey = Buffer.from(authorizedKeyLine(ssh));
      const joined = await join(token, { ...asked, hostId, role, publicSshKey }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'AccessDenied' });
        return undefined;
      });
      expect(joined !== undefined).toBe(['Db', 'Discovery', 'Instance'].includes(role));
      if (!joined) return;
      expect(new X509Certificate(Buffer.from(joined.tls)).subjectAltName).toBeUndefined();
      expect(readSshCertificate(text(joined.ssh)).principals).toEqual([`${hostId}.${CLUSTER}`, hostId]);
      // Nor later: its own certificate is what it may ask for.
      const host = await cluster.as({ certPem: text(joined.tls), keyPem: privateKeyPem(key) });
      const again = { hostId, role, publicTlsKey: Buffer.from(publicKeyPem(key)) };
      await expect(host.auth.generateHostCerts({ ...again, dnsNames: [hex] })).rejects.toThrow(`is not for "${hex}"`);
      const { tls } = await host.auth.generateHostCerts(again);
      expect(new X509Certificate(Buffer.from(tls)).subjectAltName).toBeUndefined();
    },
  );

  test('A-H2, S10 who joins for a service that is not there hears so, and so does who makes a token for it alone', async () => {
    const token = await newToken({ roles: ['Kube', 'Proxy'] });
    await expect(join(token, { role: 'Kube' })).rejects.toThrow('this cluster has no service of "Kube" role');
    await expect(join(token, { role: 'Db' })).rejects.toThrow('the token does not allow "Db" role');
    await expect(newToken({ roles: ['Kube', 'Node'] })).rejects.toMatchObject({
      code: 'BadParameter',
      message: expect.stringMatching(/^this cluster has no service of Kube or Node: a host can join it as proxy, db, /),
    });
  });

  test.each([
    { nodeName: 'a\nb' },
    { nodeName: 'a\u001b[2J' },
    { nodeName: 'a\u202eb' },
    { nodeName: 'a\u2028b' },
    { nodeName: 'a\u0085b' },
    { role: 'Db\u0000' },
    { role: 'Proxy', dnsNames: ['a\u0007'] },
    { role: 'Proxy', additionalPrincipals: ['a\u007f'] },
  ])('%j is refused, and not written down', async (more) => {
    const before = (await cluster.events('instance.join')).length;
    await expect(join(await newToken(), more)).rejects.toMatchObject({
      code: 'BadParameter',
      message: 'the request to join has a name with control characters in it',
    });
    expect((await cluster.events('instance.join')).length).toBe(before);
  });
});

describe('X9 a token is bound to databases', () => {
  async function agentWith(spec: Partial<ProvisionToken['spec']>) {
    const hostId = randomUUID();
    const { tls } = await join(await newToken(spec), { hostId });
    const certPem = text(tls);
    const agent = await cluster.as({ certPem, keyPem: privateKeyPem(key) });
    const offer = async (name: string, labels: Record<string, string> = {}) => {
      const metadata = { name, labels };
      const database = {
        kind: 'db' as const,
        version: 'v3' as const,
        metadata,
        spec: { protocol: 'postgres', uri: 'h:1' },
      };
      const spec = { host_id: hostId, hostname: 'h', version: '18.3.0', database };
      const server: DatabaseServer = { kind: 'db_server', version: 'v3', metadata, spec };
      return await agent.auth.upsertDatabaseServer({ server: toMessage('db_server', server) }).then(
        () => true,
        (error: { message: string }) => {
          expect(error.message).toContain(
            `database "${name}" is not one of those that the join token of this host allows`,
          );
          return false;
        },
      );
    };
    return { offer, agent, hostId, identity: decodeIdentity(certPem) };
  }

  test('by name and by label; both must fit, and a token without them binds nobody', async () => {
    const named = await agentWith({ databases: ['orders', 'dev-*'] });
    expect([await named.offer('orders'), await named.offer('dev-1'), await named.offer('prod')]).toEqual([
      true,
      true,
      false,
    ]);
    const labelled = await agentWith({ db_labels: { env: ['dev', '^test.$'] } });
    expect(await labelled.offer('a', { env: 'dev' })).toBe(true);
    expect(await labelled.offer('b', { env: 'test1' })).toBe(true);
    expect(await labelled.offer('c', { env: 'prod' })).toBe(false);
    const both = await agentWith({ databases: ['x'], db_labels: { env: 'dev' } });
    expect([
      await both.offer('x', { env: 'dev' }),
      await both.offer('x'),
      await both.offer('y', { env: 'dev' }),
    ]).toEqual([true, false, false]);
    const free = await agentWith({});
    expect(await free.offer('anything')).toBe(true);
    expect([named, labelled, both, free].map(({ identity }) => isBound(identity))).toEqual([true, true, true, false]);
  });

  test('and stays bound when its certificate is renewed', async () => {
    const { agent, hostId, offer } = await agentWith({ databases: ['orders'] });
    const again = await agent.auth.generateHostCerts({
      hostId,
      role: 'Db',
      publicTlsKey: Buffer.from(publicKeyPem(key)),
    });
    expect(isBound(decodeIdentity(text(again.tls)))).toBe(true);
    expect(await offer('prod')).toBe(false);
  });

  test.each([{ databases: [''] }, { databases: ['^(?!a)$'] }, { db_labels: { env: '^[$' } }])(
    '%j is not taken',
    async (spec) => expect(newToken(spec)).rejects.toMatchObject({ code: 'BadParameter' }),
  );
});

describe('X9 guesses', () => {
  test('over gRPC are as few as over HTTPS, from each address, straight to Auth or through a Proxy', async () => {
    const nobody = await cluster.as({});
    const remoteAddr = elsewhere();
    const ways = [
      () => join('wrong', { remoteAddr }),
      () => nobody.join.registerUsingToken({ hostId: randomUUID(), nodeName: 'n', role: 'Db', token: 'wrong' }),
    ];
    for (const guess of ways) {
      const codes: string[] = [];
      const began = performance.now();
      while (codes.length < 500 && codes.at(-1) !== 'LimitExceeded')
        await guess().catch((error: { code: string }) => codes.push(error.code));
      const laterGuesses = ((performance.now() - began) / 60_000) * ATTEMPTS.perMinute;
      expect(codes.at(-1)).toBe('LimitExceeded');
      expect(codes.slice(0, -1).every((code) => code === 'AccessDenied')).toBe(true);
      expect(codes.length - 1).toBeLessThanOrEqual(ATTEMPTS.burst + laterGuesses);
    }
    // Whoever comes from elsewhere is not held up.
    await join(await newToken());
  });

  test('write little into the audit log', async () => {
    const long = { nodeName: 'n'.repeat(500), hostId: 'h'.repeat(500), role: 'r'.repeat(500) };
    // One where nobody has been refused yet: beyond so many a minute they are counted, and not written.
    const quiet = await TestAuth.start();
    try {
      const request = {
        ...long,
        token: 'wrong',
        publicTlsKey: Buffer.from(publicKeyPem(key)),
        remoteAddr: elsewhere(),
      };
      const refused = (await quiet.asHost('Proxy')).join.registerUsingToken(request);
      await expect(refused).rejects.toMatchObject({ code: 'AccessDenied' });
      const last = (await quiet.events('instance.join')).at(-1)!;
      expect(last).toMatchObject({ code: 'TJ002E', success: false, error: 'the token is not valid' });
      expect(JSON.stringify(last).length).toBeLessThan(900);
    } finally {
      await quiet.remove();
    }
  });

  test('and not more often than a person could read; the next one says how many were left out', () => {
    let nowMs = 0;
    const refusals = new RecordedRefusals(() => nowMs);
    const written = Array.from({ length: 1_000 }, () => refusals.next()).filter((count) => count !== undefined);
    expect(written).toEqual(Array(120).fill(0));
    nowMs = 1_000;
    expect([refusals.next(), refusals.next()]).toEqual([880, undefined]);
  });
});
