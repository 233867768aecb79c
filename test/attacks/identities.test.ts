/**
 * Everybody at every method of Auth: who gets past its refusal is written in `identities.txt`, a method a line, an identity
 * a letter. What is not listed is refused, so a new method or a looser check changes the file, and its diff is what a
 * reviewer reads. `npm run golden` writes it anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { decodeIdentity, encodeSubject, newIdentity } from '../../src/identity/identity.js';
import { generateKey, privateKeyPem, publicHalf, publicKeyPem, readPrivateKey } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import { createCa, createCsr, issueLeaf } from '../../src/pki/x509.js';
import {
  becomeLeaf,
  CLUSTER,
  type Credentials,
  inMs,
  PASSWORD,
  SERVICES,
  shown,
  TestAuth,
  text,
} from '../auth/test-auth.js';

const TABLE = 'test/attacks/identities.txt';

let cluster: TestAuth;
/** Letter → who it is, and the client. */
const callers = new Map<string, { who: string; client: AuthClient }>();
let admin: AuthClient;
let keys: { tls: string; ssh: string; csr: string };
let made = 0;
let alice: Credentials;
/** Another cluster; nothing of it is believed here. */
let other: TestAuth;
/** A leaf of the cluster. */
let branch: TestAuth;
/** An authority that a stranger made, with the cluster's name on it. */
let imposter: { certPem: string; keyPem: string };
const HOST = `00000000-0000-4000-8000-000000000000.${CLUSTER}`;

beforeAll(async () => {
  cluster = await TestAuth.start();
  other = await TestAuth.start({ clusterName: 'leaf.example.com' });
  branch = await TestAuth.start({ clusterName: 'branch.example.com' });
  admin = await cluster.asHost('Admin');
  const role = (name: string, allow: object = {}, deny: object = {}) =>
    admin.auth.upsertRoleV2({ role: { version: 'v7', metadata: { name }, spec: { allow, deny } } });
  const labels = { values: { '*': { values: ['*'] } } };
  await role('dev', { dbLabels: labels, dbUsers: ['*'], dbNames: ['*'] });
  await role('empty');
  await role(
    'denied',
    { rules: [{ resources: ['*'], verbs: ['*'] }] },
    { rules: [{ resources: ['*'], verbs: ['*'] }] },
  );
  await role('going', { rules: [{ resources: ['*'], verbs: ['*'] }] });
  await role('root', { rules: [{ resources: ['*'], verbs: ['*'] }] });

  const credentials = async (name: string, roles: string[]) =>
    await cluster.login(name, await cluster.invite(name, roles));
  const login = async (name: string, roles: string[]) => await cluster.as(await credentials(name, roles));
  alice = await cluster.login('alice', await cluster.invite('alice', ['dev']));
  const add = (letter: string, who: string, client: AuthClient) => callers.set(letter, { who, client });

  add('-', 'nobody: no certificate', await cluster.as({}));
  add('A', 'Admin, the host of Auth', admin);
  add('P', 'Proxy', await cluster.asHost('Proxy'));
  add('D', 'Database Service', await cluster.asHost('Db'));
  add('S', 'Discovery Service', await cluster.asHost('Discovery'));
  add('N', 'a host of role Node', await cluster.asHost('Node'));
  for (const [letter, name] of [
    ['I', 'Instance'],
    ['B', 'Bot'],
    ['O', 'Nop'],
  ] as const)
    add(letter, `a certificate of role ${name}`, await cluster.asHost(name));
  add('u', 'a user who may use databases', await cluster.as(alice));
  add('0', 'a user whose role allows nothing', await login('none', ['empty']));
  add('d', 'a user whose role allows everything, and denies it', await login('deny', ['denied']));
  add('e', 'a user of role editor', await login('ed', ['editor']));
  add('a', 'a user of role access', await login('amy', ['access']));
  add('r', 'a user whose role allows every verb on everything', await login('rob', ['root']));
  const [lock, gone] = [await credentials('lock', ['root']), await credentials('gone', ['root'])];
  add('l', 'a user who is locked', await cluster.as(lock));
  add('g', 'a user who was deleted', await cluster.as(gone));
  add(
    'x',
    'a user who has another role than the one of the certificate, which was deleted',
    await login('roleless', ['going']),
  );

  await becomeLeaf(cluster, branch);
  add('L', 'the Auth Service of a leaf', await cluster.as(await shown(branch, 'RemoteProxy')));
  add('h', 'a Proxy of a leaf', await cluster.as(await shown(branch, 'Proxy')));
  add('H', 'an Admin of a leaf', await cluster.as(await shown(branch, 'Admin')));

  await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { user: 'lock' } } });
  await admin.users.deleteUser({ name: 'gone' });
  await admin.users.createUser({ user: { metadata: { name: 'victim' }, spec: { roles: ['dev'] } } });
  await admin.users.updateUser({
    user: { kind: 'user', version: 'v2', metadata: { name: 'roleless' }, spec: { roles: ['dev'] } },
  });
  await admin.auth.deleteRole({ name: 'going' });
  const key = await generateKey('ecdsa-p256');
  const subject = encodeSubject({ ...decodeIdentity(alice.certPem), usage: ['usage:db'], routeToDatabase: SALES });
  const strange = await generateKey('ecdsa-p256');
  const { certPem } = createCa({ clusterName: CLUSTER, key: strange, now: new Date() });
  imposter = { certPem, keyPem: privateKeyPem(strange) };
  keys = {
    tls: publicKeyPem(key),
    csr: createCsr({ subject, key }),
    ssh: authorizedKeyLine(await generateKey('ed25519')),
  };
});
afterAll(async () => {
  await cluster.remove();
  await other.remove();
  await branch.remove();
});

/**
 * Requests that a method's own checks let through, so that what refuses them is who asks. They name what is not there, or
 * make something new under a name of its own; `victim` is somebody else.
 */
function requestOf(method: string): object {
  const name = `made-${++made}`;
  const metadata = { name };
  const expires = inMs(600_000);
  const database = { kind: 'db', version: 'v3', metadata, spec: { protocol: 'postgres', uri: 'localhost:5432' } };
  const role = { version: 'v7', metadata, spec: {} };
  const user = { kind: 'user', version: 'v2', metadata, spec: { roles: ['dev'] } };
  const token = { case: 'v2', value: { kind: 'token', version: 'v2', metadata, spec: { roles: ['Db'] } } };
  const csr = Buffer.from(keys.csr);
  const serverSpec = { version: '18.3.0', hostname: 'agent', hostId: cluster.auth.hostId, database };
  const server = { kind: 'db_server', version: 'v3', metadata, spec: serverSpec };
  const requests: Record<string, object> = {
    'auth.generateUserCerts': { username: 'victim', expires, tlsPublicKey: Buffer.from(keys.tls) },
    'auth.generateHostCerts': {
      hostId: cluster.auth.hostId,
      nodeName: 'host-1',
      role: 'Db',
      publicTlsKey: Buffer.from(keys.tls),
    },
    'auth.generateDatabaseCert': { csr, serverName: 'db.example.com', ttl: 60_000_000_000n },
    'auth.signDatabaseCSR': { csr, clusterName: CLUSTER },
    'auth.upsertDatabaseServer': { server },
    'auth.getUser': { name: 'victim' },
    'accessReader.explainAccess': { user: 'victim', database: 'sales' },
    'accessReader.listAccess': { user: 'victim' },
    'auth.createUser': user,
    'auth.updateUser': user,
    'auth.createRole': { role },
    'auth.updateRole': { role },
    'auth.upsertRoleV2': { role },
    'auth.createDatabase': database,
    'auth.updateDatabase': database,
    'auth.createTokenV2': { token },
    'auth.upsertTokenV2': { token },
    'auth.upsertLock': { metadata, spec: { target: { user: name } } },
    'clusterConfig.updateAuthPreference': { authPreference: {} },
    'clusterConfig.upsertAuthPreference': { authPreference: {} },
    'clusterConfig.updateClusterNetworkingConfig': { clusterNetworkConfig: {} },
    'clusterConfig.upsertClusterNetworkingConfig': { clusterNetworkConfig: {} },
    'clusterConfig.updateSessionRecordingConfig': { sessionRecordingConfig: {} },
    'clusterConfig.upsertSessionRecordingConfig': { sessionRecordingConfig: {} },
    'auth.listResources': { resourceType: 'db_server', limit: 10 },
    'auth.getAccessCapabilities': { user: 'victim' },
    'auth.createResetPasswordToken': { name: 'victim', type: 'password' },
    'auth.isMFARequired': { target: { case: 'database', value: { serviceName: 'sales', protocol: 'postgres' } } },
    'auth.sendKeepAlives': { name, hostId: cluster.auth.hostId, type: 3, expires },
    'trust.getCertAuthority': { type: 'host', domain: CLUSTER },
    'users.getUser': { name: 'victim' },
    'users.createUser': { user },
    'users.updateUser': { user },
    'users.upsertUser': { user },
    'proxyGateway.loginBegin': { user: 'victim', password: PASSWORD },
    'proxyGateway.loginFinish': { user: 'victim', password: PASSWORD, tlsPublicKey: Buffer.from(keys.tls) },
    'proxyGateway.registerProxy': {
      hostId: cluster.auth.hostId,
      hostname: 'host-1',
      publicAddr: 'proxy.example.com:443',
    },
    'databaseAgent.getSessionAccess': { user: 'victim' },
  };
  return requests[method] ?? { name };
}

const isGettingPast = (ended: string): boolean =>
  !/^(AccessDenied (access denied|lock targeting|the certificate)|NotFound (user session role not found|role going))/.test(
    ended,
  );
const isServed = (ended: string): boolean => !/^NotImplemented unknown (method|service)/.test(ended);

/** How a call ended. Auth hangs up on who was refused, after a moment, and the next call may be on its way then: once more. */
async function call(client: AuthClient, service: string, method: Method): Promise<string> {
  const ended = await callOnce(client, service, method);
  return ended.startsWith('ConnectionProblem ') ? await callOnce(client, service, method) : ended;
}

/** `ok`, or code and message. */
async function callOnce(client: AuthClient, service: string, { localName, methodKind }: Method): Promise<string> {
  const calls = client[service as keyof typeof SERVICES] as unknown as Record<
    string,
    (request: unknown, options?: { signal: AbortSignal; timeoutMs?: number }) => unknown
  >;
  const request = requestOf(`${service}.${localName}`);
  async function* once() {
    yield request;
  }
  const stop = new AbortController();
  const isWatch = /^(watch|hold)/.test(localName);
  try {
    if (methodKind === 'unary') await calls[localName]!(request);
    else if (methodKind === 'client_streaming') await calls[localName]!(once());
    else {
      const input = methodKind === 'bidi_streaming' ? once() : request;
      for await (const _ of calls[localName]!(input, {
        signal: stop.signal,
        ...(isWatch ? { timeoutMs: 0 } : {}),
      }) as AsyncIterable<unknown>)
        if (isWatch) break; // they never end
    }
    return 'ok';
  } catch (error) {
    const { code = error, message } = error as { code?: string; message: string };
    return `${code} ${message}`;
  } finally {
    stop.abort();
  }
}

interface Method {
  localName: string;
  methodKind: string;
}
const METHODS = Object.entries(SERVICES).flatMap(([service, { methods }]) =>
  (methods as readonly Method[]).map((method) => ({ service, method, name: `${service}.${method.localName}` })),
);

test('what everybody may call is what the table says, and nothing else', async () => {
  const lines: string[] = [];
  for (const { service, method, name } of METHODS) {
    const ends = await Promise.all(
      [...callers].map(async ([letter, { client }]) => ({ letter, ended: await call(client, service, method) })),
    );
    const served = ends.filter(({ ended }) => isServed(ended));
    const past = served.filter(({ ended }) => isGettingPast(ended)).map(({ letter }) => letter);
    lines.push(`${name.padEnd(45)} ${served.length > 0 ? past.join('') : 'not served'}`.trimEnd());
  }
  const legend = [...callers].map(([letter, { who }]) => `# ${letter}  ${who}`);
  const actual = [...legend, '', ...lines, ''].join('\n');
  if (process.env.GOLDEN === '1') writeFileSync(TABLE, actual);
  expect(actual).toBe(readFileSync(TABLE, 'utf8'));
});

/** Certificates that open nothing: not even the methods for which no certificate is needed. */
const WORTHLESS: [string, () => Promise<{ certPem: string; keyPem: string }>][] = [
  ['for one database only', async () => await ownCertificate({ usage: 3, routeToDatabase: SALES })],
  ['signed by itself', async () => await forged('alice', ['root'])],
  ['of a person, signed by an authority of the same name', async () => await forged('alice', ['root'], imposter)],
  ['of a host, signed by an authority of the same name', async () => await forged(HOST, ['Admin'], imposter)],
  ['of a person, signed by the authority for databases', async () => await signedForDatabases('alice', ['root'])],
  ['signed by a person’s own certificate', async () => await forged('rob', ['root'], alice)],
  ['of another cluster', async () => await other.login('bob', await other.invite('bob', ['editor']))],
  ['of a host of another cluster', async () => await other.identity('Admin')],
];
const SALES = { serviceName: 'sales', protocol: 'postgres', username: 'reader', database: 'dev' };

test.each(WORTHLESS)('a certificate %s is refused before any call', async (_, credentials) => {
  const { certPem, keyPem } = await credentials();
  await refusedEverywhere(await cluster.as({ certPem, keyPem }));
});

test('no authority signs the name of a host for a Proxy', async () => {
  await expect(signedForDatabases(HOST, ['Admin'])).rejects.toMatchObject({ code: 'AccessDenied' });
});

test('a certificate whose time is over is refused', async () => {
  const ended = await ownCertificate({ expires: inMs(60_000) });
  await (await cluster.as(ended)).auth.ping({});
  cluster.ahead = 120_000;
  await refusedEverywhere(await cluster.as(ended));
  cluster.ahead = 0;
});

async function refusedEverywhere(client: AuthClient): Promise<void> {
  for (const call of [
    client.auth.ping({}),
    client.auth.getClusterCACert({}),
    client.users.getUser({ currentUser: true }),
    client.join.registerUsingToken({ token: 'x', hostId: cluster.auth.hostId, role: 'Db' }),
    client.proxyGateway.getUserToken({ token: 'x' }),
  ])
    await expect(call).rejects.toMatchObject({ code: 'ConnectionProblem' });
}

/** One that Auth signs for alice. */
async function ownCertificate(wish: object) {
  const key = await generateKey('ecdsa-p256');
  const { certPem, keyPem } = alice;
  const client = await cluster.as({ certPem, keyPem });
  const request = { username: 'alice', expires: inMs(600_000), tlsPublicKey: Buffer.from(publicKeyPem(key)), ...wish };
  return { certPem: text((await client.auth.generateUserCerts(request)).tls), keyPem: privateKeyPem(key) };
}

function subjectOf(username: string, groups: string[]) {
  const expires = new Date(Date.now() + 3_600_000);
  const { userGeneration = '' } = decodeIdentity(alice.certPem);
  return encodeSubject(newIdentity({ username, groups, userGeneration, teleportCluster: CLUSTER, expires }));
}

/** One that somebody else signed: the holder of another certificate, or without one, itself. */
async function forged(username: string, groups: string[], signer?: { certPem: string; keyPem: string }) {
  const key = await generateKey('ecdsa-p256');
  const own = createCa({ clusterName: CLUSTER, key, now: new Date() });
  const ca = signer ? { certPem: signer.certPem, key: readPrivateKey(signer.keyPem) } : { certPem: own.certPem, key };
  const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
  const certPem = issueLeaf({
    ca,
    publicKey: publicHalf(key),
    subject: subjectOf(username, groups),
    notBefore,
    notAfter,
  });
  return { certPem, keyPem: privateKeyPem(key) };
}

/** One of our own authorities, but not the one for people or hosts. */
async function signedForDatabases(username: string, groups: string[]) {
  const key = await generateKey('ecdsa-p256');
  const csr = createCsr({ subject: subjectOf(username, groups), key });
  const { cert } = await (await cluster.asHost('Proxy')).auth.signDatabaseCSR({
    csr: Buffer.from(csr),
    clusterName: CLUSTER,
  });
  return { certPem: text(cert), keyPem: privateKeyPem(key) };
}
