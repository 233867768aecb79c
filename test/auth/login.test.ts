/**
 * Tests: src/auth/grpc/proxy-gateway.ts, src/auth/invites.ts, src/auth/proxies.ts, src/auth/records.ts
 * Tests: src/auth/secrets.ts, src/auth/state.ts, src/resources/password-rule.ts
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { decodeIdentity } from '../../src/identity/identity.js';
import { readUserSshCertificate } from '../../src/identity/ssh-cert.js';
import { generateKey, publicKeyPem } from '../../src/pki/keys.js';
import { accept, CLUSTER, codeAt, PASSWORD, TestAuth } from './test-auth.js';

let cluster: TestAuth;
let proxy: AuthClient;
let admin: AuthClient;
let keys: { tlsPublicKey: Uint8Array };

beforeAll(async () => {
  cluster = await TestAuth.start();
  proxy = await cluster.asHost('Proxy');
  admin = await cluster.asHost('Admin');
  keys = { tlsPublicKey: Buffer.from(publicKeyPem(await generateKey('ecdsa-p256'))) };
});
afterAll(() => cluster.remove());

const begin = (user: string, password: string) => proxy.proxyGateway.loginBegin({ user, password });
const finish = (user: string, password: string, totpCode = '') =>
  proxy.proxyGateway.loginFinish({ user, password, totpCode, ...keys });
const refusal = (code: string, message: string) => ({ code, message });

test('an invited user signs in with password and code and gets both certificates', async () => {
  await admin.auth.upsertRoleV2({
    role: { version: 'v7', metadata: { name: 'shell' }, spec: { allow: { logins: ['{{internal.logins}}'] } } },
  });
  const secret = await cluster.invite('alice', ['access', 'shell'], {
    db_users: ['reader'],
    db_names: ['*'],
    logins: ['root'],
  });
  expect(await begin('alice', PASSWORD)).toMatchObject({ totpChallenge: true });
  const { certPem, sshCert } = await cluster.login('alice', secret);
  const identity = decodeIdentity(certPem);
  expect(identity).toMatchObject({
    username: 'alice',
    groups: expect.arrayContaining(['access', 'shell']),
    usage: [],
    principals: expect.arrayContaining(['root', '-teleport-internal-join']),
    routeToCluster: CLUSTER,
    teleportCluster: CLUSTER,
    databaseUsers: ['reader'],
    databaseNames: ['*'],
    userType: 'local',
    privateKeyPolicy: 'none',
    loginIp: '203.0.113.7',
  });
  const life = identity.expires.getTime() - Date.now();
  expect(Math.abs(life - 12 * 3_600_000)).toBeLessThan(60_000);
  expect(sshCert.endsWith('\n')).toBe(true);
  expect(readUserSshCertificate(sshCert)).toMatchObject({
    username: 'alice',
    roles: ['access', 'shell'],
    logins: ['root'],
  });
  const events = await cluster.events('user.login', 'user.create');
  expect(events.find(({ event, user }) => event === 'user.login' && user === 'alice')).toMatchObject({
    code: 'T1000I',
    success: true,
    'addr.remote': '203.0.113.7:4711',
  });
});

test('a life that was asked for is kept, up to what the roles allow', async () => {
  const secret = await cluster.invite('brief', ['access']);
  const hour = decodeIdentity((await cluster.login('brief', secret, { ttl: 3_600_000_000_000n })).certPem);
  expect(Math.abs(hour.expires.getTime() - Date.now() - 3_600_000)).toBeLessThan(60_000);
  const endless = await cluster
    .login('brief', secret, { ttl: 10n ** 18n, totpCode: codeAt(secret, cluster.now(), 0) })
    .catch((e) => e);
  // The code of the period before the one just used does not count any more.
  expect(endless).toMatchObject(refusal('AccessDenied', 'invalid username, password or second factor'));
});

describe('refusals', () => {
  let secret: string;
  beforeAll(async () => {
    secret = await cluster.invite('carol', ['access']);
  });

  test('begin says the same to everybody', async () => {
    for (const [user, password] of [
      ['carol', 'wrong password'],
      ['nobody', PASSWORD],
      ['', ''],
    ] as const) {
      await expect(begin(user, password)).rejects.toMatchObject(refusal('AccessDenied', 'invalid credentials'));
    }
  });

  test('finish has a text for each case', async () => {
    const both = 'invalid username, password or second factor';
    await expect(finish('carol', PASSWORD)).rejects.toMatchObject(refusal('AccessDenied', 'missing second factor'));
    await expect(finish('carol', 'wrong password')).rejects.toMatchObject({ message: 'invalid username or password' });
    await expect(finish('nobody', PASSWORD)).rejects.toMatchObject({ message: 'invalid username or password' });
    await expect(finish('carol', PASSWORD, '000000')).rejects.toMatchObject(refusal('AccessDenied', both));
    await expect(
      proxy.proxyGateway.loginFinish({ user: 'carol', password: PASSWORD, totpCode: codeAt(secret, cluster.now(), 1) }),
    ).rejects.toMatchObject(refusal('BadParameter', "'ssh_pub_key' or 'tls_pub_key' must be set"));
    const code = codeAt(secret, cluster.now(), 1);
    await finish('carol', PASSWORD, code);
    await expect(finish('carol', PASSWORD, code)).rejects.toMatchObject({ message: both });
  });

  test('only a Proxy may sign people in', async () => {
    const agent = await cluster.asHost('Db');
    await expect(agent.proxyGateway.loginBegin({ user: 'carol', password: PASSWORD })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
  });
});

describe('lock-out', () => {
  const LOCKED = 'too many incorrect attempts, please try again later';

  test('the fifth failure locks for half an hour, whatever comes then', async () => {
    const secret = await cluster.invite('dora', ['access']);
    for (let i = 0; i < 5; i++) await expect(finish('dora', 'wrong password')).rejects.toThrow('invalid username');
    await expect(finish('dora', PASSWORD, codeAt(secret, cluster.now(), 1))).rejects.toThrow(LOCKED);
    await expect(begin('dora', PASSWORD)).rejects.toThrow('invalid credentials');
    const { user } = await admin.users.getUser({ name: 'dora' });
    expect(user?.spec?.status?.isLocked).toBe(true);
    cluster.ahead += 30 * 60_000 + 1_000;
    await finish('dora', PASSWORD, codeAt(secret, cluster.now(), 1));
    expect((await admin.users.getUser({ name: 'dora' })).user?.spec?.status?.isLocked ?? false).toBe(false);
  });

  test('a correct password in begin does not buy more guesses of codes', async () => {
    const secret = await cluster.invite('erin', ['access']);
    for (let i = 0; i < 5; i++) {
      await begin('erin', PASSWORD);
      await expect(finish('erin', PASSWORD, '000000')).rejects.toThrow('second factor');
    }
    await expect(finish('erin', PASSWORD, codeAt(secret, cluster.now(), 1))).rejects.toThrow(LOCKED);
  });

  test('guesses that come all at once are counted like those that come one by one', async () => {
    const secret = await cluster.invite('fred', ['access']);
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => finish('fred', PASSWORD, '000000')));
    const texts = results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : 'in'));
    expect(texts.filter((message) => message === LOCKED)).toHaveLength(7);
    await expect(finish('fred', PASSWORD, codeAt(secret, cluster.now(), 1))).rejects.toThrow(LOCKED);
  });
});

test('A-H7 of a crowd at one name 200 wait, the others are refused at once, and she who was there before gets in', async () => {
  await cluster.login('gwen', await cluster.invite('gwen', ['access']));
  const attempt = (user: string, password: string, remoteAddr: string) =>
    proxy.proxyGateway.loginBegin({ user, password, remoteAddr });
  const crowd = Array.from({ length: 260 }, (_, at) =>
    attempt('nobody', 'wrong', `198.51.${100 + (at >> 8)}.${at & 255}:1`).then(
      () => 'in',
      ({ code }: { code: string }) => code,
    ),
  );
  expect(await attempt('gwen', PASSWORD, '203.0.113.7:4712')).toMatchObject({ totpChallenge: true });
  const codes = await Promise.all(crowd);
  expect(codes.filter((code) => code === 'LimitExceeded').length).toBeGreaterThanOrEqual(58);
  expect(new Set(codes)).toEqual(new Set(['LimitExceeded', 'AccessDenied']));
});

describe('invitations', () => {
  test('without a Proxy the address is a placeholder; a new link takes the old one away', async () => {
    await admin.users.createUser({ user: { metadata: { name: 'gina' }, spec: { roles: ['access'] } } });
    const first = await admin.auth.createResetPasswordToken({ name: 'gina', type: 'invite', ttl: 0n });
    expect(first.spec?.url).toBe(`https://<proxyhost>:3080/web/invite/${first.metadata?.name}`);
    expect(first.metadata?.name).toMatch(/^[0-9a-f]{32}$/);
    await proxy.proxyGateway.registerProxy({ hostId: 'p1', hostname: 'p1', publicAddr: 'proxy.example.com:443' });
    const second = await admin.auth.createResetPasswordToken({ name: 'gina', type: 'invite', ttl: 0n });
    expect(second.spec?.url).toContain('https://proxy.example.com:443/web/invite/');
    await expect(proxy.proxyGateway.getUserToken({ token: first.metadata!.name })).rejects.toMatchObject(
      refusal('AccessDenied', 'bad or expired token'),
    );
    const page = await proxy.proxyGateway.getUserToken({ token: second.metadata!.name });
    expect(page).toMatchObject({ user: 'gina', usage: 'invite' });
    expect(page.otpauthUrl).toMatch(
      /^otpauth:\/\/totp\/root\.example\.com:gina@proxy\.example\.com\?algorithm=SHA1&digits=6&issuer=root\.example\.com&period=30&secret=[A-Z2-7]{32}$/,
    );
  });

  test('each refusal has its text and uses nothing up; every look makes a new secret', async () => {
    await admin.users.createUser({ user: { metadata: { name: 'hugo' }, spec: { roles: ['access'] } } });
    const token = (await admin.auth.createResetPasswordToken({ name: 'hugo', type: 'invite', ttl: 0n })).metadata!.name;
    const change = (password: string, totpCode: string, name = token) =>
      proxy.proxyGateway.changeUserPassword({ token: name, password: Buffer.from(password), totpCode });
    const secretNow = async () =>
      new URL((await proxy.proxyGateway.getUserToken({ token })).otpauthUrl).searchParams.get('secret')!;
    const old = await secretNow();
    const secret = await secretNow();
    expect(secret).not.toBe(old);
    await expect(change('short', codeAt(secret, cluster.now()))).rejects.toMatchObject(
      refusal('BadParameter', 'password is too short, min length is 12'),
    );
    await expect(change(PASSWORD, '')).rejects.toMatchObject(
      refusal('BadParameter', 'no second factor sent during user "hugo" password reset'),
    );
    await expect(change(PASSWORD, codeAt(old, cluster.now()))).rejects.toMatchObject(
      refusal('AccessDenied', 'invalid one time token, please check if the token has expired and try again'),
    );
    await change(PASSWORD, codeAt(secret, cluster.now()));
    const masked = `${'*'.repeat(24)}${token.slice(24)}`;
    await expect(change(PASSWORD, codeAt(secret, cluster.now()))).rejects.toMatchObject(
      refusal('NotFound', `user token(${masked}) not found`),
    );
  });

  test('U2 a look at a link says whose it is, and makes no secret; a password has 12 to 128 bytes', async () => {
    await admin.users.createUser({ user: { metadata: { name: 'jane' }, spec: { roles: ['access'] } } });
    const token = (await admin.auth.createResetPasswordToken({ name: 'jane', type: 'invite', ttl: 0n })).metadata!.name;
    const look = () => proxy.proxyGateway.getUserToken({ token, lookOnly: true });
    expect(await look()).toMatchObject({ user: 'jane', usage: 'invite', secondFactor: 'otp', otpauthUrl: '' });
    const { otpauthUrl } = await proxy.proxyGateway.getUserToken({ token });
    const secret = new URL(otpauthUrl).searchParams.get('secret')!;
    await look();
    const change = (bytes: number) =>
      proxy.proxyGateway.changeUserPassword({
        token,
        password: Buffer.alloc(bytes, 'x'),
        totpCode: codeAt(secret, cluster.now()),
      });
    await expect(change(11)).rejects.toThrow('password is too short, min length is 12');
    await expect(change(129)).rejects.toThrow('password is too long, max length is 128');
    await change(128);
    await expect(look()).rejects.toMatchObject(refusal('AccessDenied', 'bad or expired token'));
  });

  test('a reset takes password and device away, and expires after its time', async () => {
    const secret = await cluster.invite('ines', ['access']);
    const reset = await admin.auth.createResetPasswordToken({ name: 'ines', type: 'password', ttl: 0n });
    expect(reset.spec?.url).toContain('/web/reset/');
    await expect(finish('ines', PASSWORD, codeAt(secret, cluster.now(), 1))).rejects.toThrow('invalid username');
    await accept(proxy, reset.metadata!.name, cluster.now);
    const late = await admin.auth.createResetPasswordToken({ name: 'ines', type: 'password', ttl: 60_000_000_000n });
    cluster.ahead += 61_000;
    await expect(proxy.proxyGateway.getUserToken({ token: late.metadata!.name })).rejects.toThrow(
      'bad or expired token',
    );
    await expect(
      admin.auth.createResetPasswordToken({ name: 'ines', type: 'invite', ttl: 49n * 3_600_000_000_000n }),
    ).rejects.toMatchObject({ code: 'BadParameter' });
  });
});

test('without a second factor the password is enough', async () => {
  const open = await TestAuth.start({ settings: { cluster_auth_preference: { second_factor: 'off' } } });
  try {
    const manager = await open.asHost('Admin');
    const door = await open.asHost('Proxy');
    await manager.users.createUser({ user: { metadata: { name: 'alice' }, spec: { roles: ['access'] } } });
    const token = (await manager.auth.createResetPasswordToken({ name: 'alice', type: 'invite', ttl: 0n })).metadata!
      .name;
    await door.proxyGateway.changeUserPassword({ token, password: Buffer.from(PASSWORD) });
    expect(await door.proxyGateway.loginBegin({ user: 'alice', password: PASSWORD })).toMatchObject({
      totpChallenge: false,
    });
    await door.proxyGateway.loginFinish({ user: 'alice', password: PASSWORD, ...keys });
    expect(statSync(open.dir).mode & 0o777).toBe(0o700);
    expect(statSync(join(open.dir, 'admin-identity.json')).mode & 0o777).toBe(0o600);
  } finally {
    await open.remove();
  }
});
