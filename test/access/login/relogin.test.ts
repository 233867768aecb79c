/**
 * A login that does not work any more, or not here: what is told, and how a program that stays up goes on.
 * Tests: src/access/args.ts, src/access/aws/identities.ts, src/access/cluster/open.ts, src/access/login/client.ts
 * Tests: src/access/login/headless.ts, src/access/login/host-cas.ts, src/access/login/login.ts
 * Tests: src/access/login/password.ts, src/access/login/session.ts, src/access/login/sign-in.ts
 * Tests: src/webapi/versions.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCluster } from '../../../src/access/cluster/open.js';
import { ClusterLogin } from '../../../src/access/login/login.js';
import { currentSession } from '../../../src/access/login/session.js';
import { TeleportError } from '../../../src/errors.js';
import { type LoginSession, usableKeys } from '../../../src/profile/session.js';
import { runTsh } from '../../../src/tsh/main.js';
import { memoryEnv } from '../../support/env.js';
import { startFakeCluster } from '../../support/fake-cluster/cluster.js';

test('a login that is bound to an address says which, and what to do', async () => {
  const session = { facts: { pinnedIp: '203.0.113.7' } } as unknown as LoginSession;
  const refused = new ClusterLogin(memoryEnv(), {}, session).renewing(async () => {
    throw new TeleportError('AccessDenied', "pinned IP doesn't match observed client IP");
  });
  await expect(refused).rejects.toMatchObject({
    message: "pinned IP doesn't match observed client IP",
    hint: 'Your login is good from 203.0.113.7 only. To use it from here: "tsh logout", then "tsh login" again.',
  });
});

test('a proxy without a terminal that outlives its login takes the one that was made elsewhere', async () => {
  let now = new Date(Math.floor(Date.now() / 1000) * 1000);
  const home = mkdtempSync(join(tmpdir(), 'relogin-'));
  const cluster = await startFakeCluster({ now: () => now });
  try {
    const envOf = (stdin: boolean) =>
      memoryEnv({
        home,
        now: () => now,
        tty: { stdin },
        vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none') },
      });
    const login = async () => {
      const env = envOf(true);
      env.type('correct\n');
      env.type('123456\n');
      expect(await runTsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice'], env)).toBe(0);
    };
    cluster.lifetimeMs = 60_000;
    await login();
    await using access = await openCluster(envOf(false), {});
    now = new Date(now.getTime() + 61_000);
    await expect(access.leaves()).rejects.toThrow('ssh: cert has expired');
    await login();
    expect(await access.leaves()).toHaveLength(1);
  } finally {
    await cluster[Symbol.asyncDispose]();
    rmSync(home, { recursive: true, force: true });
  }
});

test('H2 calls that find the login ended at the same time ask for one new login, and everybody gets it', async () => {
  let now = new Date(Math.floor(Date.now() / 1000) * 1000);
  const home = mkdtempSync(join(tmpdir(), 'relogin-'));
  const cluster = await startFakeCluster({ now: () => now });
  try {
    const vars = { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none') };
    const env = memoryEnv({ home, now: () => now, tty: { stdin: true }, vars });
    cluster.lifetimeMs = 60_000;
    env.type('correct\n');
    env.type('123456\n');
    expect(await runTsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice'], env)).toBe(0);
    const login = new ClusterLogin(env, {}, await currentSession(env, {}));
    const old = login.session;
    now = new Date(now.getTime() + 61_000);
    // Typed once: a second question would find nobody.
    env.type('correct\n');
    env.type('123456\n');
    const ends = await Promise.all(
      [1, 2, 3].map(() => login.renewing(async (session) => (await usableKeys(session, now)) && session)),
    );
    expect(ends.every((session) => session === login.session)).toBe(true);
    expect(login.session).not.toBe(old);
    await login.close();
  } finally {
    await cluster[Symbol.asyncDispose]();
    rmSync(home, { recursive: true, force: true });
  }
});
