/**
 * Certificates for databases: stored or in memory, fetched once for all who wait, renewed, and never after a refusal.
 * Tests: src/access/access.ts, src/access/cluster/certificates.ts, src/access/cluster/issue.ts
 * Tests: src/access/cluster/own-requests.ts, src/profile/memory-store.ts
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Access, Route } from '../../../src/access/access.js';
import { ClusterAccess } from '../../../src/access/cluster/access.js';
import type { Login } from '../../../src/access/login/login.js';
import type { AuthClient } from '../../../src/api/client.js';
import { TeleportError } from '../../../src/errors.js';
import { encodeSubject, newIdentity } from '../../../src/identity/identity.js';
import { generateKey, privateKeyPem } from '../../../src/pki/keys.js';
import { memoryStore } from '../../../src/profile/memory-store.js';
import type { DatabaseKeys } from '../../../src/profile/store.js';
import { createTestCa, type TestCa } from '../../support/ca.js';
import { memoryEnv } from '../../support/env.js';

const HOUR_MS = 3_600_000;
const ROUTE: Route = {
  database: { kind: 'db', version: 'v3', metadata: { name: 'pg' }, spec: { protocol: 'postgres', uri: 'db:5432' } },
  dbUser: 'analyst',
  dbName: 'dev',
  dbRoles: [],
};

let ca: TestCa;
let nowMs: number;
let issued: { requester: number; expires: number }[];
let problem: Error | undefined;
let mfa: boolean;
let dialled: (DatabaseKeys | undefined)[];
let login: Login;
let access: Access;
let folder: string;

beforeEach(async () => {
  ca ??= createTestCa('User CA');
  nowMs = Math.floor(Date.now() / 1000) * 1000;
  issued = [];
  problem = undefined;
  mfa = false;
  dialled = [];
  folder = mkdtempSync(join(tmpdir(), 'access-'));
  const own = ca.issue('alice');
  const auth = {
    auth: {
      isMFARequired: async () => ({ required: mfa }),
      async generateUserCerts(request: {
        expires: { seconds: bigint };
        requesterName: number;
        tlsPublicKey: Uint8Array;
        routeToDatabase: { serviceName: string; protocol: string; username: string; database: string };
      }) {
        await new Promise((resolve) => setImmediate(resolve));
        if (problem) throw problem;
        const expires = Number(request.expires.seconds) * 1000;
        issued.push({ requester: request.requesterName, expires });
        const identity = newIdentity({
          username: 'alice',
          groups: ['analyst'],
          teleportCluster: 'test',
          expires: new Date(expires),
          routeToDatabase: request.routeToDatabase,
        });
        const cert = ca.sign(Buffer.from(request.tlsPublicKey).toString(), {
          subject: encodeSubject(identity),
          from: new Date(nowMs - 60_000),
          to: new Date(Math.min(expires, nowMs + HOUR_MS)),
        });
        return { tls: Buffer.from(cert) };
      },
    },
  } as unknown as AuthClient;
  const tlsKeyPem = privateKeyPem(await generateKey('ecdsa-p256'));
  const end = new Date(nowMs + 12 * HOUR_MS);
  const profile = { webProxyAddr: 'localhost:3080', user: 'alice', cluster: 'test' };
  const store = memoryStore({
    profile,
    keys: { tlsKeyPem: own.key, tlsCertPem: own.cert, sshKeyPem: own.key, sshPublicKey: '' },
    hostCas: [],
  });
  login = {
    session: { store, name: 'localhost', profile, user: 'alice', cluster: 'test', rootCluster: 'test' },
    isInsecure: false,
    credentials: async () => ({ expires: end, tlsKeyPem }),
    withAuth: (work) => work(auth, auth),
    withRoot: (work) => work(auth),
    renewing: (work) => work(login.session),
    changeRequests: async () => {},
    close: async () => {},
  };
  const env = memoryEnv({ home: folder, now: () => new Date(nowMs) });
  access = new ClusterAccess(env, login, async (_env, _login, keys) => {
    dialled.push(keys);
    return new PassThrough();
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a certificate in memory', () => {
  test('serves every connection until it ends and is then fetched once for all who wait', async () => {
    await using connector = await access.connector(ROUTE, { inMemory: true });
    await Promise.all([connector.open(), connector.open()]);
    expect(issued).toHaveLength(1);
    nowMs += HOUR_MS;
    await Promise.all(Array.from({ length: 5 }, () => connector.open()));
    expect(issued).toHaveLength(2);
    expect(new Set(dialled.slice(2).map((keys) => keys?.certPem)).size).toBe(1);
    expect(dialled[2]?.certPem).not.toBe(dialled[0]?.certPem);
    expect(await access.active()).toEqual([]);
  });

  test('is asked for again after a renewal that failed, and all who waited hear of it', async () => {
    await using connector = await access.connector(ROUTE, { inMemory: true });
    nowMs += HOUR_MS;
    problem = new TeleportError('ConnectionProblem', 'Auth is away');
    const waiting = await Promise.allSettled([connector.open(), connector.open()]);
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    problem = undefined;
    await connector.open();
    expect(issued).toHaveLength(2);
  });

  test('is renewed with the end of the login that came in between', async () => {
    await using connector = await access.connector(ROUTE, { inMemory: true });
    nowMs += HOUR_MS;
    const { credentials, withAuth } = login;
    const later = new Date(nowMs + 12 * HOUR_MS);
    Object.assign(login, {
      credentials: async () => {
        throw new TeleportError('AccessDenied', 'the login has ended');
      },
      withAuth: ((work) => {
        login.credentials = async () => ({ ...(await credentials()), expires: later });
        return withAuth(work);
      }) satisfies Login['withAuth'],
    });
    await connector.open();
    expect(issued[1]?.expires).toBe(later.getTime());
  });

  test('tells Auth that it is for db exec, or for a tunnel', async () => {
    await using tunnel = await access.connector(ROUTE, { inMemory: true });
    await using exec = await access.connector(ROUTE, { inMemory: true, isExec: true });
    expect([tunnel, exec]).toHaveLength(2);
    expect(issued.map(({ requester }) => requester)).toEqual([1, 5]);
  });
});

describe('a stored certificate', () => {
  test('is used for the same user and name, replaced for another, and gone after logout', async () => {
    await access.login(ROUTE);
    await (await access.connector(ROUTE))[Symbol.asyncDispose]();
    expect(issued).toHaveLength(1);
    await (await access.connector({ ...ROUTE, dbUser: 'reader' }))[Symbol.asyncDispose]();
    expect(issued).toHaveLength(2);
    expect((await access.active()).map(({ dbUser, dbName }) => [dbUser, dbName])).toEqual([['reader', 'dev']]);
    await access.logout(['pg', 'never']);
    expect(await access.active()).toEqual([]);
  });

  test('of an identity file leaves nothing for other programs', async () => {
    await access.login(ROUTE);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of a client with TLS of its own is not renewed behind its back', async () => {
    await using connector = await access.connector(ROUTE, { clientTls: true });
    nowMs += 2 * HOUR_MS;
    await connector.open();
    expect(issued).toHaveLength(1);
  });
});

test('a database that wants a second factor for each session is refused before a certificate is made', async () => {
  mfa = true;
  await expect(access.login(ROUTE)).rejects.toThrow(/^MFA is required to access Database "pg"/);
  expect(issued).toEqual([]);
});
