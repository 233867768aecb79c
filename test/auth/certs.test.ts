/**
 * Tests: src/api/time.ts, src/auth/database-certs.ts, src/auth/grpc/certs.ts, src/auth/grpc/database-agent.ts
 * Tests: src/auth/grpc/trust.ts, src/auth/host-certs.ts, src/auth/rules.ts, src/auth/settings.ts
 * Tests: src/auth/asked-words.ts, src/auth/user-certs.ts, src/auth/who.ts, src/resources/system-role.ts
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hexName } from '../../src/api/alpn.js';
import type { AuthClient } from '../../src/api/client.js';
import { decodeIdentity, encodeSubject } from '../../src/identity/identity.js';
import { dialTls } from '../../src/net/dial.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine, readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { createCsr, NAME_OID, readCertificate, spkiPin, subjectOf, verifyLeaf } from '../../src/pki/x509.js';
import { gone } from '../support/gone.js';
import { CLUSTER, type Credentials, inMs, TestAuth, text } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
let mine: Credentials;
let alice: AuthClient;
let tlsKey: Awaited<ReturnType<typeof generateKey>>;
let tlsPublicKey: Uint8Array;
let sshPublicKey: Uint8Array;

beforeAll(async () => {
  cluster = await TestAuth.start({ staticTokens: ['db,proxy:static-secret'] });
  admin = await cluster.asHost('Admin');
  mine = await cluster.login('alice', await cluster.invite('alice', ['access'], { db_users: ['reader'] }), {
    ttl: 3_600_000_000_000n,
  });
  alice = await cluster.as(mine);
  tlsKey = await generateKey('ecdsa-p256');
  tlsPublicKey = Buffer.from(publicKeyPem(tlsKey));
  sshPublicKey = Buffer.from(authorizedKeyLine(await generateKey('ed25519')));
});
afterAll(() => cluster.remove());

describe('GenerateUserCerts', () => {
  const route = { serviceName: 'sales', protocol: 'postgres', username: 'reader', database: 'dev', roles: ['ro'] };
  const request = (more: object = {}) => ({
    username: 'alice',
    expires: inMs(600_000),
    usage: 3,
    routeToDatabase: route,
    tlsPublicKey,
    ...more,
  });
  const endOf = (pem: Uint8Array) => decodeIdentity(text(pem)).expires.getTime() - Date.now();

  test('a certificate for a database carries the route and is restricted to databases', async () => {
    const issued = await alice.auth.generateUserCerts(request());
    expect(issued.ssh).toHaveLength(0);
    const identity = decodeIdentity(text(issued.tls));
    expect(identity).toMatchObject({
      username: 'alice',
      groups: ['access'],
      usage: ['usage:db'],
      routeToDatabase: route,
      routeToCluster: CLUSTER,
      loginIp: '203.0.113.7',
      databaseUsers: ['reader'],
    });
    verifyLeaf(readCertificate(text(issued.tls)).der, { cas: [text(issued.tlsCaCerts[0]!)], now: new Date() });
    expect(text(issued.sshCaCerts[0]!)).toMatch(/^ssh-ed25519 /);
  });

  test('R-A-H4 a route has a bound', async () => {
    const roles = Array.from({ length: 257 }, (_, at) => `r${at}`);
    const ask = (more: object) => alice.auth.generateUserCerts(request({ routeToDatabase: { ...route, ...more } }));
    await expect(ask({ roles })).rejects.toThrow('the request has 257 Roles, and 256 are the most');
    await expect(ask({ username: 'x'.repeat(1_025) })).rejects.toThrow('1025 characters in Username');
  });

  const hour = 3_600_000;
  test.each([
    ['an end that was asked for is kept', { expires: () => inMs(300_000) }, 300_000],
    ['an end after the caller’s own is cut to it', { expires: () => inMs(20 * hour) }, hour],
    ['X3 a local proxy does not outlive the login either', { expires: () => inMs(20 * hour), requesterName: 1 }, hour],
    [
      'an unknown database is no reason to refuse',
      { routeToDatabase: { ...route, serviceName: 'nope', username: 'root' } },
      600_000,
    ],
    ['an empty cluster is the root', { routeToCluster: '' }, 600_000],
  ] as const)('%s', async (_, { expires, ...more }: { expires?: () => unknown } & object, lifeMs) => {
    const issued = await alice.auth.generateUserCerts(request({ ...more, ...(expires ? { expires: expires() } : {}) }));
    expect(Math.abs(endOf(issued.tls) - lifeMs)).toBeLessThan(240_000);
  });

  const expired = 'access denied: client credentials have expired, please relogin.';
  test.each([
    ['no end', { expires: undefined }, 'AccessDenied', expired],
    ['an end in the past', { expires: inMs(-1_000) }, 'AccessDenied', expired],
    ['somebody else', { username: 'bob' }, 'AccessDenied', 'access denied: impersonation is not allowed'],
    [
      'no database',
      { routeToDatabase: {} },
      'BadParameter',
      'missing ServiceName field in a database-only UserCertsRequest',
    ],
    [
      'a cluster that is not there',
      { routeToCluster: 'nope.example.com' },
      'NotFound',
      'remote cluster "nope.example.com" is not found',
    ],
    ['no key', { tlsPublicKey: new Uint8Array() }, 'BadParameter', 'must provide a public key'],
    [
      'a one-time code for the session',
      { mfaResponse: { response: { case: 'totp', value: { code: '123456' } } } },
      'BadParameter',
      'per-session MFA is not satisfied by OTP devices',
    ],
  ] as const)('%s is refused with its text', async (_, more, code, message) => {
    await expect(alice.auth.generateUserCerts(request(more) as never)).rejects.toMatchObject({ code, message });
  });

  test('both keys give both certificates again', async () => {
    const issued = await alice.auth.generateUserCerts({
      username: 'alice',
      expires: inMs(hour),
      tlsPublicKey,
      sshPublicKey,
    });
    expect(decodeIdentity(text(issued.tls)).usage).toEqual([]);
    expect(readSshCertificate(text(issued.ssh))).toMatchObject({ type: 'user', keyId: 'alice' });
  });

  test('an administrator on the Auth host signs for a user, who is named as such', async () => {
    const issued = await admin.auth.generateUserCerts({ username: 'alice', expires: inMs(hour), tlsPublicKey });
    expect(decodeIdentity(text(issued.tls))).toMatchObject({
      username: 'alice',
      impersonator: `${cluster.auth.hostId}.${CLUSTER}`,
    });
    await expect(
      admin.auth.generateUserCerts({ username: 'nobody', expires: inMs(hour), tlsPublicKey }),
    ).rejects.toMatchObject({ code: 'AccessDenied', message: 'access denied' });
  });

  test('who signed for a user stays named in what that user asks for next', async () => {
    const signed = await admin.auth.generateUserCerts(request({ usage: 0, routeToDatabase: undefined }));
    const { impersonator } = decodeIdentity(text(signed.tls));
    const signedFor = await cluster.as({ certPem: text(signed.tls), keyPem: privateKeyPem(tlsKey) });
    const again = await signedFor.auth.generateUserCerts(request());
    expect(impersonator).not.toBe('');
    expect(decodeIdentity(text(again.tls)).impersonator).toBe(impersonator);
  });

  test('the certificate for a database is no way into Auth, and neither is one of another authority', async () => {
    const issued = await alice.auth.generateUserCerts(request());
    const restricted = await cluster.as({ certPem: text(issued.tls), keyPem: privateKeyPem(tlsKey) });
    await expect(restricted.auth.ping({})).rejects.toMatchObject({ code: 'ConnectionProblem' });
    const csr = createCsr({
      subject: encodeSubject({ ...decodeIdentity(mine.certPem), routeToDatabase: route }),
      key: tlsKey,
    });
    const proxy = await cluster.asHost('Proxy');
    const forged = await proxy.auth.signDatabaseCSR({ csr: Buffer.from(csr), clusterName: CLUSTER });
    const other = await cluster.as({ certPem: text(forged.cert), keyPem: privateKeyPem(tlsKey) });
    await expect(other.auth.ping({})).rejects.toMatchObject({ code: 'ConnectionProblem' });
  });

  test('a locked user gets nothing until the lock is gone', async () => {
    await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { user: 'alice' }, message: 'on leave' } });
    await expect(alice.auth.generateUserCerts(request())).rejects.toMatchObject({
      code: 'AccessDenied',
      message: 'lock targeting User:"alice" is in force: on leave',
    });
    await admin.auth.deleteLock({ name: 'l1' });
    await alice.auth.generateUserCerts(request());
    await expect(admin.auth.deleteLock({ name: 'l1' })).rejects.toMatchObject({ message: 'lock "l1" not found' });
  });
});

test('IsMFARequired and the challenge say no when nobody asks for a second factor', async () => {
  const target = { case: 'database', value: { serviceName: 'nope' } } as const;
  expect(await alice.auth.isMFARequired({ target })).toMatchObject({ required: false, mfaRequired: 2 });
  expect(await alice.auth.createAuthenticateChallenge({ mfaRequiredCheck: { target } })).toMatchObject({
    mfaRequired: 2,
  });
});

describe('authorities', () => {
  test('anybody may ask for the Host CA; a pin identifies it', async () => {
    const nobody = await cluster.as({});
    expect(await nobody.auth.ping({})).toMatchObject({ clusterName: CLUSTER, serverVersion: '18.3.0' });
    const { tlsCa } = await nobody.auth.getClusterCACert({});
    expect([spkiPin(text(tlsCa))]).toEqual(await cluster.auth.caPins());
    await expect(nobody.trust.getCertAuthorities({ type: 'host' })).rejects.toMatchObject({
      code: 'NotFound',
      message: 'user session role not found',
    });
  });

  test('every type is given without its private keys; an unknown one is an empty list', async () => {
    for (const type of ['host', 'user', 'db', 'db_client', 'openssh', 'jwt']) {
      const { certAuthoritiesV2 } = await alice.trust.getCertAuthorities({ type });
      expect(certAuthoritiesV2).toHaveLength(1);
      const keys = certAuthoritiesV2[0]!.spec!.activeKeys!;
      expect(keys.tls.length > 0).toBe(['host', 'user', 'db', 'db_client'].includes(type));
      expect(
        [...keys.tls.map(({ key }) => key), ...keys.ssh.map(({ privateKey }) => privateKey)].every(
          ({ length }) => length === 0,
        ),
      ).toBe(true);
    }
    expect((await alice.trust.getCertAuthorities({ type: 'saml_idp' })).certAuthoritiesV2).toEqual([]);
    await expect(alice.trust.getCertAuthority({ type: 'host', includeKey: true })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
  });
});

describe('joining', () => {
  const request = (more: object) => ({
    hostId: '6e6c2c6e-0000-4000-8000-000000000001',
    nodeName: 'agent-1',
    role: 'Db',
    additionalPrincipals: ['agent-1'],
    publicTlsKey: tlsPublicKey,
    publicSshKey: sshPublicKey,
    ...more,
  });

  test('a token gives a host certificate of its role', async () => {
    await admin.auth.createTokenV2({
      token: {
        case: 'v2',
        value: { metadata: { name: 'secret-token-0001', expires: inMs(60_000) }, spec: { roles: ['db'] } },
      },
    });
    const nobody = await cluster.as({});
    const certs = await nobody.join.registerUsingToken(request({ token: 'secret-token-0001' }));
    expect(decodeIdentity(text(certs.tls))).toMatchObject({
      username: `6e6c2c6e-0000-4000-8000-000000000001.${CLUSTER}`,
      groups: ['Db'],
    });
    expect(readSshCertificate(text(certs.ssh))).toMatchObject({
      type: 'host',
      extensions: { 'x-teleport-role': 'Db' },
    });
    const agent = await cluster.as({ certPem: text(certs.tls), keyPem: privateKeyPem(tlsKey) });
    expect((await agent.databaseAgent.getSessionAccess({ user: 'alice', roles: ['access'] })).userExists).toBe(true);
    const other = '6e6c2c6e-0000-4000-8000-000000000003';
    await nobody.join.registerUsingToken(request({ hostId: other, token: 'static-secret', role: 'Proxy' }));
  });

  test('a wrong token, another role and an expired token are refused', async () => {
    const nobody = await cluster.as({});
    for (const more of [
      { token: 'wrong' },
      { token: '' },
      { token: 'static-secret', role: 'Node' },
      { token: 'static-secret', role: 'Admin' },
    ]) {
      await expect(nobody.join.registerUsingToken(request(more))).rejects.toMatchObject({ code: 'AccessDenied' });
    }
    cluster.ahead += 61_000;
    await expect(nobody.join.registerUsingToken(request({ token: 'secret-token-0001' }))).rejects.toMatchObject({
      code: 'AccessDenied',
    });
    cluster.ahead = 0;
    expect((await cluster.events('instance.join')).map(({ code }) => code)).toContain('TJ002E');
  });
});

describe('GenerateHostCerts', () => {
  const HOST = '6e6c2c6e-0000-4000-8000-000000000002';
  const request = (more: object) => ({ hostId: HOST, role: 'Instance', publicTlsKey: tlsPublicKey, ...more });

  test('a host makes itself anew with the roles that it has, and can never add one', async () => {
    const nobody = await cluster.as({});
    const joined = await nobody.join.registerUsingToken(request({ token: 'static-secret' }));
    const instance = await cluster.as({ certPem: text(joined.tls), keyPem: privateKeyPem(tlsKey) });
    const again = await instance.auth.generateHostCerts(request({ systemRoles: ['Db'] }));
    expect(decodeIdentity(text(again.tls)).systemRoles).toEqual(['Db']);
    for (const more of [
      { systemRoles: ['Db', 'Admin'] },
      { role: 'Admin' },
      { role: 'Node' },
      { role: 'Db', hostId: 'another' },
    ]) {
      await expect(instance.auth.generateHostCerts(request(more))).rejects.toMatchObject({ code: 'AccessDenied' });
    }
    await expect(instance.auth.generateHostCerts(request({ dnsNames: ['proxy.example.com'] }))).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('not for "proxy.example.com"'),
    });
    await expect(
      instance.auth.generateHostCerts(request({ nodeName: 'proxy.example.com', publicSshKey: sshPublicKey })),
    ).rejects.toMatchObject({ code: 'AccessDenied', message: expect.stringContaining('TLS certificate only') });
    expect(await cluster.events('cert.create')).toContainEqual(
      expect.objectContaining({ cert_type: 'host', role: 'Instance', user: `${HOST}.${CLUSTER}` }),
    );
    await expect(alice.auth.generateHostCerts(request({}))).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(nobody.auth.generateHostCerts(request({}))).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('X2 a host that is locked does not join, with whatever token', async () => {
    const nobody = await cluster.as({});
    const hostId = randomUUID();
    await admin.auth.upsertLock({ metadata: { name: 'gone' }, spec: { target: { serverId: hostId } } });
    await expect(nobody.join.registerUsingToken(request({ token: 'static-secret', hostId }))).rejects.toMatchObject({
      code: 'AccessDenied',
      message: `lock targeting ServerID:"${hostId}" is in force`,
    });
    await admin.auth.deleteLock({ name: 'gone' });
    await nobody.join.registerUsingToken(request({ token: 'static-secret', hostId }));
  });

  test('a token that names more than joinable roles gives none of them to an instance', async () => {
    const loose = await TestAuth.start({ staticTokens: ['db,admin:loose-secret'] });
    try {
      const nobody = await loose.as({});
      const joined = await nobody.join.registerUsingToken(request({ token: 'loose-secret' }));
      expect(decodeIdentity(text(joined.tls)).systemRoles).toEqual(['Db']);
    } finally {
      await loose.remove();
    }
  });

  test('a request to join with endless names is refused before anything is written down', async () => {
    const nobody = await cluster.as({});
    const before = (await cluster.events('instance.join')).length;
    const long = request({ token: 'wrong', nodeName: 'x'.repeat(10_000) });
    await expect(nobody.join.registerUsingToken(long)).rejects.toMatchObject({ code: 'BadParameter' });
    expect((await cluster.events('instance.join')).length).toBe(before);
  });
});

test('GenerateDatabaseCert makes both ends of a self-hosted connection, each to be trusted by the other', async () => {
  const csr = Buffer.from(createCsr({ subject: [{ oid: NAME_OID.commonName, values: ['reader'] }], key: tlsKey }));
  const agent = await cluster.asHost('Db');
  const client = await agent.auth.generateDatabaseCert({ csr, ttl: 60_000_000_000n });
  const server = await admin.auth.generateDatabaseCert({
    csr,
    serverNames: ['db.example.com', '10.0.0.1'],
    ttl: 60_000_000_000n,
    requesterName: 1,
  });
  const now = new Date();
  expect(subjectOf(text(client.cert)).get(NAME_OID.commonName)).toEqual(['reader']);
  verifyLeaf(readCertificate(text(client.cert)).der, { cas: server.caCerts.map(text), now, usage: 'clientAuth' });
  verifyLeaf(readCertificate(text(server.cert)).der, { cas: client.caCerts.map(text), now, usage: 'serverAuth' });
  await expect(admin.auth.generateDatabaseCert({ csr, requesterName: 1 })).rejects.toMatchObject({
    message: 'at least one hostname must be specified',
  });
  await expect(alice.auth.generateDatabaseCert({ csr })).rejects.toMatchObject({
    code: 'AccessDenied',
    message:
      "access denied. User must have 'create' permission for 'database_client_certificate' kind to generate the certificate ",
  });
});

describe('H5 an agent that was taken over', () => {
  const decade = 3650n * 86_400n * 1_000_000_000n;
  const csr = () =>
    Buffer.from(createCsr({ subject: [{ oid: NAME_OID.commonName, values: ['postgres'] }], key: tlsKey }));

  test('gets client certificates of an hour, each recorded with the user of the database', async () => {
    const agent = await cluster.asHost('Db');
    const { cert } = await agent.auth.generateDatabaseCert({ csr: csr(), ttl: decade });
    const lifeMs = readCertificate(text(cert)).notAfter.getTime() - Date.now();
    expect(Math.abs(lifeMs - 3_600_000)).toBeLessThan(60_000);
    const byTctl = await admin.auth.generateDatabaseCert({ csr: csr(), ttl: decade });
    expect(readCertificate(text(byTctl.cert)).notAfter.getTime() - Date.now()).toBeGreaterThan(3_649 * 86_400_000);
    const { hostId } = await cluster.identity('Db');
    expect(await cluster.events('cert.create')).toContainEqual(
      expect.objectContaining({ cert_type: 'database_client', common_name: 'postgres', user: `${hostId}.${CLUSTER}` }),
    );
  });

  test('gets none of a server', async () => {
    const agent = await cluster.asHost('Db');
    const request = { csr: csr(), serverNames: ['db.bank.example.com'], ttl: decade, requesterName: 1 };
    await expect(agent.auth.generateDatabaseCert(request)).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining("'database_certificate'"),
    });
    await admin.auth.generateDatabaseCert(request);
    expect(await cluster.events('cert.create')).toContainEqual(
      expect.objectContaining({ cert_type: 'database', server_names: 'db.bank.example.com' }),
    );
  });
});

describe('the port', () => {
  const dial = async (alpn: string[], credentials: Partial<Credentials> = {}) => {
    const { hostCaPems } = await cluster.identity('Node');
    const { certPem, keyPem } = credentials;
    return await dialTls({
      ...cluster.auth.address,
      servername: hexName(CLUSTER),
      alpn,
      ca: hostCaPems,
      timeoutMs: 60_000,
      ...(certPem && keyPem ? { cert: certPem, key: keyPem } : {}),
    });
  };
  const get = async (path: string, credentials: Partial<Credentials>) => {
    const socket = await dial(['http/1.1'], credentials);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const [head = '', body = ''] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n');
    return { status: Number(head.split(' ')[1]), body: JSON.parse(body) as unknown };
  };

  test('tctl finds the Auth servers and the Proxies over HTTP/1.1', async () => {
    const proxy = await cluster.asHost('Proxy');
    await proxy.proxyGateway.registerProxy({ hostId: 'p1', hostname: 'p1', publicAddr: 'proxy.example.com:443' });
    const { certPem, keyPem } = await cluster.identity('Admin');
    const servers = await get('/v2/authservers', { certPem, keyPem });
    expect(servers.status).toBe(200);
    expect(servers.body).toMatchObject([{ kind: 'auth_server', metadata: { name: cluster.auth.hostId } }]);
    expect((await get('/v2/proxies', mine)).body).toMatchObject([
      { spec: { public_addrs: ['proxy.example.com:443'] } },
    ]);
    expect((await get('/v2/proxies', {})).status).toBe(403);
  });

  test('a Proxy announces itself only, whatever host it names', async () => {
    const proxy = await cluster.asHost('Proxy');
    const { certPem, keyPem, hostId } = await cluster.identity('Proxy');
    await proxy.proxyGateway.registerProxy({
      hostId: 'somebody-else',
      hostname: 'p',
      publicAddr: 'proxy.example.com:443',
    });
    expect((await get('/v2/proxies', { certPem, keyPem })).body).toMatchObject([{ metadata: { name: hostId } }]);
  });

  test('an HTTP/1.1 connection that says nothing is cut', async () => {
    const quick = await TestAuth.start({ listen: { host: '127.0.0.1', port: 0, idleTimeoutMs: 100 } });
    try {
      const { hostCaPems } = await quick.identity('Node');
      const to = { ...quick.auth.address, servername: hexName(CLUSTER), alpn: ['http/1.1'] };
      const socket = await dialTls({ ...to, ca: hostCaPems, timeoutMs: 60_000 });
      await gone(socket.resume());
    } finally {
      await quick.remove();
    }
  });

  test('an unknown protocol alone is refused by an alert', async () => {
    await expect(dial(['teleport-auth@x'])).rejects.toMatchObject({ code: 'ConnectionProblem' });
  });
});

describe('role option pin_source_ip', () => {
  const HERE = '127.0.0.1:4711';
  const route = { serviceName: 'sales', protocol: 'postgres' };

  beforeAll(async () => {
    await admin.auth.createRole({
      role: { version: 'v7', metadata: { name: 'pinning' }, spec: { options: { pinSourceIp: true }, allow: {} } },
    });
  });

  test('binds both certificates of a login, and those made from them, to the address', async () => {
    const paula = await cluster.login('paula', await cluster.invite('paula', ['pinning']), { remoteAddr: HERE });
    expect(decodeIdentity(paula.certPem).pinnedIp).toBe('127.0.0.1');
    expect(readSshCertificate(paula.sshCert).criticalOptions).toEqual({ 'source-address': '127.0.0.1/32' });
    const client = await cluster.as(paula);
    const request = { username: 'paula', expires: inMs(600_000), usage: 3, routeToDatabase: route, tlsPublicKey };
    const issued = await client.auth.generateUserCerts(request);
    expect(decodeIdentity(text(issued.tls)).pinnedIp).toBe('127.0.0.1');
  });

  test('refuses calls from another address, and certificates where the address is not known', async () => {
    const secret = await cluster.invite('peter', ['pinning']);
    const elsewhere = await cluster.as(await cluster.login('peter', secret));
    await expect(elsewhere.users.getUser({ currentUser: true })).rejects.toMatchObject({
      code: 'AccessDenied',
      message: "pinned IP doesn't match observed client IP",
    });
    const signed = admin.auth.generateUserCerts({
      username: 'peter',
      expires: inMs(600_000),
      tlsPublicKey,
      sshPublicKey,
    });
    await expect(signed).rejects.toThrow(
      'IP pinning is enabled for user "peter" but there is no client IP information',
    );
  });
});
