/** Who is out is out, also on a connection that has been open since before. Tests: src/auth/secrets.ts */

import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { timestampOfDate } from '../../src/api/time.js';
import { decodeIdentity } from '../../src/identity/identity.js';
import { generateKey, publicKeyPem } from '../../src/pki/keys.js';
import { createUpstream } from '../../src/proxy/auth-server.js';
import type { SystemRole } from '../../src/resources/system-role.js';
import { accept, type Credentials, inMs, PASSWORD, TestAuth, text } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
let tlsPublicKey: Uint8Array;

beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
  tlsPublicKey = Buffer.from(publicKeyPem(await generateKey('ecdsa-p256')));
});
afterEach(async () => {
  const { locks } = await admin.auth.getLocks({});
  for (const { metadata } of locks) await admin.auth.deleteLock({ name: metadata!.name });
});
afterAll(async () => {
  await cluster.remove();
});

const hold = async (credentials: Pick<Credentials, 'certPem' | 'keyPem'>) => await cluster.hold(credentials);
const holdHost = async (role: SystemRole) => await hold(await cluster.identity(role));
const EXPIRED = { code: 'AccessDenied', message: 'access denied: client credentials have expired, please relogin.' };
const databaseCertificate = (username: string) => ({
  username,
  expires: inMs(20 * 3_600_000),
  usage: 3,
  requesterName: 1,
  routeToDatabase: { serviceName: 'sales', protocol: 'postgres' },
  tlsPublicKey,
});

describe('X3 a login ends', () => {
  test('at the next call after the certificate’s end, for certificates as well, and its connection with it', async () => {
    const mine = await cluster.login('ann', await cluster.invite('ann', ['access']));
    const { client, closed } = await hold(mine);
    const before = cluster.ahead;
    cluster.ahead += 12 * 3_600_000;
    try {
      const request = { ...databaseCertificate('ann'), expires: inMs(20 * 3_600_000) };
      await expect(client.auth.generateUserCerts(request)).rejects.toMatchObject(EXPIRED);
      await closed;
    } finally {
      cluster.ahead = before;
    }
  });

  test('at the certificate’s end, without a call', async () => {
    const mine = await cluster.login('ben', await cluster.invite('ben', ['access']));
    const before = cluster.ahead;
    const end = decodeIdentity(mine.certPem).expires.getTime();
    try {
      // The connection must be made while the certificate counts, and it is not known how long that takes.
      let held: Awaited<ReturnType<typeof hold>> | undefined;
      for (let leftMs = 500; held === undefined && leftMs < 60_000; leftMs *= 2) {
        cluster.ahead = end - Date.now() - leftMs;
        held = await hold(mine).catch(() => undefined);
      }
      await held!.closed;
    } finally {
      cluster.ahead = before;
    }
  });

  test('and what comes from it ends with it, and has only roles that the user has now', async () => {
    await admin.auth.createRole({ role: { version: 'v7', metadata: { name: 'dba' }, spec: {} } });
    const mine = await cluster.login('cat', await cluster.invite('cat', ['access', 'dba']), {
      ttl: 3_600_000_000_000n,
    });
    const { client } = await hold(mine);
    await admin.users.updateUser({
      user: { kind: 'user', version: 'v2', metadata: { name: 'cat' }, spec: { roles: ['access'] } },
    });
    const issued = decodeIdentity(text((await client.auth.generateUserCerts(databaseCertificate('cat'))).tls));
    expect(issued.expires).toEqual(decodeIdentity(mine.certPem).expires);
    expect(issued.groups).toEqual(['access']);
    const roles: string[] = [];
    for await (const { metadata } of client.auth.getCurrentUserRoles({})) roles.push(metadata!.name);
    expect(roles).toEqual(['access']);
  });
});

describe('X2 a lock', () => {
  test.each([
    ['a user', { user: 'dan' }, 'User:"dan"'],
    ['a role', { role: 'access' }, 'Role:"access"'],
  ])('on %s ends the open connection, and the next one is told', async (_, target, words) => {
    const mine = await cluster.login('dan', await cluster.invite('dan', ['access']));
    const { closed } = await hold(mine);
    await admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target, message: 'on leave' } });
    await closed;
    const again = await cluster.as(mine);
    await expect(again.auth.getDomainName({})).rejects.toMatchObject({
      code: 'AccessDenied',
      message: `lock targeting ${words} is in force: on leave`,
    });
    await admin.auth.deleteLock({ name: 'l' });
    await again.auth.getDomainName({});
    await admin.users.deleteUser({ name: 'dan' });
  });

  test('on the device ends what was signed in with it, and it signs in no more', async () => {
    const secret = await cluster.invite('eve', ['access']);
    const mine = await cluster.login('eve', secret);
    const { loginDevice } = decodeIdentity(mine.certPem);
    const { closed } = await hold(mine);
    await admin.auth.upsertLock({ metadata: { name: 'd' }, spec: { target: { mfaDevice: loginDevice! } } });
    await closed;
    cluster.ahead += 60_000;
    await expect(cluster.login('eve', secret)).rejects.toMatchObject({ message: expect.stringContaining('MFADevice') });
  });

  test.each(['Db', 'Proxy'] as const)('on a host ends each of its calls: %s', async (role) => {
    const { client, closed } = await holdHost(role);
    const { hostId } = await cluster.identity(role);
    const watch = client.databaseAgent.watchLocks({});
    const ended = (async () => {
      for await (const _ of watch);
    })().catch(() => {});
    await admin.auth.upsertLock({ metadata: { name: 'h' }, spec: { target: { serverId: hostId }, message: 'stolen' } });
    await Promise.all([closed, ended]);
    const again = await cluster.asHost(role);
    const refused = { code: 'AccessDenied', message: `lock targeting ServerID:"${hostId}" is in force: stolen` };
    await expect(again.auth.generateHostCerts({ hostId, role, publicTlsKey: tlsPublicKey })).rejects.toMatchObject(
      refused,
    );
    await expect(again.databaseAgent.getSessionAccess({ user: 'ann' })).rejects.toMatchObject(refused);
    await expect(again.auth.getClusterNetworkingConfig({})).rejects.toMatchObject(refused);
    await admin.auth.deleteLock({ name: 'h' });
    await again.auth.getDomainName({});
  });

  test('M7 on a Proxy: what it signs of addresses does not count', async () => {
    const proxy = await cluster.identity('Proxy');
    const upstream = createUpstream({ ...cluster.auth.address, identity: () => proxy, now: cluster.now });
    const arrive = async () => {
      const below = await upstream.dial({ address: '203.0.113.7', port: 4711 });
      const socket = connectTls({ socket: below, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      try {
        await once(socket, 'secureConnect');
      } finally {
        socket.destroy();
      }
    };
    await arrive();
    await admin.auth.upsertLock({ metadata: { name: 'p' }, spec: { target: { serverId: proxy.hostId } } });
    await expect(arrive()).rejects.toBeDefined();
    await admin.auth.deleteLock({ name: 'p' });
    await arrive();
  });

  test('does not keep the administrator of the Auth host out', async () => {
    const { client } = await holdHost('Admin');
    await client.auth.upsertLock({ metadata: { name: 'a' }, spec: { target: { serverId: cluster.auth.hostId } } });
    await client.auth.upsertLock({ metadata: { name: 'b' }, spec: { target: { role: 'Admin' } } });
    await client.auth.deleteLock({ name: 'a' });
    await client.auth.deleteLock({ name: 'b' });
  });
});

test('L2 a role that is gone ends the connection at the next look', async () => {
  await admin.auth.createRole({
    role: { version: 'v7', metadata: { name: 'passing', expires: inMs(cluster.ahead + 3_600_000) }, spec: {} },
  });
  const { closed } = await hold(await cluster.login('lea', await cluster.invite('lea', ['access', 'passing'])));
  const before = cluster.ahead;
  cluster.ahead += 2 * 3_600_000;
  try {
    await admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target: { role: 'another' } } });
    await closed;
  } finally {
    cluster.ahead = before;
  }
});

describe('X10 what was issued before is worth nothing', () => {
  const again = async (mine: Credentials) => await (await cluster.as(mine)).auth.getDomainName({});

  test('when the user is deleted, and made anew under the old name', async () => {
    const mine = await cluster.login('fay', await cluster.invite('fay', ['editor']));
    const { closed } = await hold(mine);
    await admin.users.deleteUser({ name: 'fay' });
    await closed;
    const secret = await cluster.invite('fay', ['access']);
    await expect(again(mine)).rejects.toMatchObject(EXPIRED);
    cluster.ahead += 60_000;
    await again(await cluster.login('fay', secret));
  });

  test('when password and second factor are reset', async () => {
    const mine = await cluster.login('gus', await cluster.invite('gus', ['access']));
    const { closed } = await hold(mine);
    const reset = await admin.auth.createResetPasswordToken({ name: 'gus', type: 'password', ttl: 0n });
    await closed;
    await expect(again(mine)).rejects.toMatchObject(EXPIRED);
    const secret = await accept(await cluster.asHost('Proxy'), reset.metadata!.name, cluster.now);
    cluster.ahead += 60_000;
    await again(await cluster.login('gus', secret));
    await expect(again(mine)).rejects.toMatchObject(EXPIRED);
  });

  test('a wrong password and a second login end nothing', async () => {
    const secret = await cluster.invite('hal', ['access']);
    const mine = await cluster.login('hal', secret);
    const proxy = await cluster.asHost('Proxy');
    await expect(proxy.proxyGateway.loginBegin({ user: 'hal', password: `not ${PASSWORD}` })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
    cluster.ahead += 60_000;
    await cluster.login('hal', secret);
    await again(mine);
  });

  test('an agent hears it when it asks about a certificate for a database', async () => {
    await cluster.login('ivy', await cluster.invite('ivy', ['access']));
    const agent = await cluster.asHost('Db');
    const { certificateEnded } = await agent.databaseAgent.getSessionAccess({ user: 'ivy', userGeneration: 'another' });
    expect(certificateEnded).toBe(true);
  });

  test('A-L2 an agent hears it of a user whose role is gone, too', async () => {
    const expires = timestampOfDate(new Date(cluster.now().getTime() + 3_600_000));
    await admin.auth.createRole({ role: { version: 'v7', metadata: { name: 'brief', expires }, spec: {} } });
    await cluster.login('jan', await cluster.invite('jan', ['brief']));
    const agent = await cluster.asHost('Db');
    cluster.ahead += 2 * 3_600_000;
    const ask = (more: { userGeneration?: string }) => agent.databaseAgent.getSessionAccess({ user: 'jan', ...more });
    expect(await ask({ userGeneration: 'another' })).toMatchObject({ certificateEnded: true, roles: [] });
    await expect(ask({})).rejects.toMatchObject({ code: 'NotFound', message: 'role brief is not found' });
  });
});
