/** X11: guessing is slow, says nothing about who exists, and locks out nobody but the one who guesses. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hash } from '@node-rs/argon2';
import type { AuthClient } from '../../src/api/client.js';
import type { FairTurns } from '../../src/auth/fair-turns.js';
import { Guesses, LOCK_MS, MAX_FAILURES_OF_STRANGERS } from '../../src/auth/guesses.js';
import { RecordedRefusals } from '../../src/auth/join-limits.js';
import { loginFinish } from '../../src/auth/login.js';
import type { AuthState } from '../../src/auth/state.js';
import { TeleportError } from '../../src/errors.js';
import { generateKey, publicKeyPem } from '../../src/pki/keys.js';
import { codeAt, PASSWORD, TestAuth } from './test-auth.js';

const LOCKED = 'too many incorrect attempts, please try again later';
/** Where `TestAuth.login` comes from. */
const HOME = '203.0.113.7';

let cluster: TestAuth;
let proxy: AuthClient;
let tlsPublicKey: Buffer;
beforeAll(async () => {
  cluster = await TestAuth.start();
  proxy = await cluster.asHost('Proxy');
  tlsPublicKey = Buffer.from(publicKeyPem(await generateKey('ecdsa-p256')));
});
afterAll(() => cluster.remove());

const finish = (user: string, password: string, remoteAddr: string, totpCode = '000000') =>
  proxy.proxyGateway
    .loginFinish({ user, password, totpCode, remoteAddr, tlsPublicKey })
    .then(() => 'in')
    .catch((error: Error) => error.message);
const begin = (user: string, password: string, remoteAddr: string) =>
  proxy.proxyGateway
    .loginBegin({ user, password, remoteAddr })
    .then(() => 'right')
    .catch((error: Error) => error.message);

async function guesses(user: string, count: number, remoteAddr: string): Promise<string[]> {
  const texts: string[] = [];
  for (let at = 0; at < count; at++) texts.push(await finish(user, 'wrong password', remoteAddr));
  return texts;
}

/** Codes count once each: the clock goes on to the next. */
async function comeIn(user: string, secret: string, remoteAddr: string): Promise<string> {
  cluster.ahead += 30_000;
  return await finish(user, PASSWORD, remoteAddr, codeAt(secret, cluster.now()));
}

describe('X11 who exists and who does not', () => {
  test('hear the same words, guess by guess, in begin and in finish', async () => {
    await cluster.invite('known', ['access']);
    const heard = async (user: string, remoteAddr: string) => {
      const texts = await guesses(user, 3, remoteAddr);
      for (let at = 0; at < 3; at++) texts.push(await begin(user, 'wrong password', remoteAddr));
      return [...texts, ...(await guesses(user, 2, remoteAddr))];
    };
    const known = await heard('known', '198.51.100.1');
    expect(await heard('nobody', '198.51.100.1')).toEqual(known);
    expect(known.at(-1)).toBe(LOCKED);
    // And everybody from new places.
    for (const user of ['known', 'nobody']) {
      await guesses(user, 5, '198.51.100.2');
      expect(await guesses(user, 1, '198.51.100.3')).toEqual([LOCKED]);
    }
  });

  test('take the same time: a password is tried for each', async () => {
    await cluster.invite('timed', ['access']);
    // Other work makes an answer later and never sooner: the soonest of each are compared, and of more where there was some.
    const soonest = { timed: Number.POSITIVE_INFINITY, untimed: Number.POSITIVE_INFINITY };
    const ratio = () => soonest.untimed / soonest.timed;
    for (let at = 0; at < 9 || (at < 100 && (ratio() < 0.5 || ratio() > 2)); at++) {
      for (const user of ['timed', 'untimed'] as const) {
        const began = performance.now();
        await finish(user, 'wrong password', `198.51.101.${at}`);
        soonest[user] = Math.min(soonest[user], performance.now() - began);
      }
    }
    expect(ratio()).toBeGreaterThan(0.3);
    expect(ratio()).toBeLessThan(3);
  });
});

describe('X11 a stranger', () => {
  test('locks out himself, then those who are new where they are, and never a person where she has been before', async () => {
    const secret = await cluster.invite('alice', ['access']);
    expect(await comeIn('alice', secret, HOME)).toBe('in');
    expect((await guesses('alice', 6, '198.51.100.10')).at(-1)).toBe(LOCKED);
    // Another new place still lets her in.
    expect(await comeIn('alice', secret, '192.0.2.1')).toBe('in');
    await guesses('alice', 5, '198.51.100.11');
    await guesses('alice', 5, '198.51.100.12');
    for (let at = 20; at < 60; at++) await begin('alice', 'wrong password', `198.51.100.${at}`);
    expect(await comeIn('alice', secret, '192.0.2.77')).toBe(LOCKED);
    expect(await comeIn('alice', secret, HOME)).toBe('in');
    expect(await comeIn('alice', secret, '192.0.2.1')).toBe('in');
    cluster.ahead += LOCK_MS;
    expect(await comeIn('alice', secret, '192.0.2.77')).toBe('in');
  });

  test('who sends guesses by the hundred does not make her wait', async () => {
    const secret = await cluster.invite('dora', ['access']);
    expect(await comeIn('dora', secret, HOME)).toBe('in');
    const flood = Array.from({ length: 60 }, (_, at) => finish('dora', 'wrong password', `198.51.102.${at}`));
    let answered = 0;
    for (const one of flood) void one.then(() => answered++);
    expect(await comeIn('dora', secret, HOME)).toBe('in');
    expect(answered).toBeLessThan(40);
    const texts = await Promise.all(flood);
    // The others were locked out, or went away when they had waited for too long.
    expect(texts.filter((text) => text.startsWith('invalid')).length).toBeLessThanOrEqual(MAX_FAILURES_OF_STRANGERS);
    expect(texts).toContain(LOCKED);
    expect(texts).not.toContain('in');
  });

  test('M3 whose guess waits behind a crowd does not make her wait', async () => {
    const secret = await cluster.invite('emma', ['access']);
    expect(await comeIn('emma', secret, HOME)).toBe('in');
    // 50 of one network may wait.
    const crowd = Array.from({ length: 40 }, (_, at) => begin(`nobody ${at}`, 'wrong password', '198.51.103.1'));
    let isAnswered = false;
    const guess = finish('emma', 'wrong password', '198.51.103.1').finally(() => {
      isAnswered = true;
    });
    expect(await comeIn('emma', secret, HOME)).toBe('in');
    expect(isAnswered).toBe(false);
    await Promise.all([guess, ...crowd]);
  });

  test('is slow at a known place too, and has one network however many addresses of it', async () => {
    const secret = await cluster.invite('bob', ['access']);
    expect(await comeIn('bob', secret, '[2001:db8:1:2::1]:4711')).toBe('in');
    for (let at = 0; at < 5; at++) await guesses('bob', 1, `[2001:db8:1:2::${at + 2}]:4711`);
    expect(await comeIn('bob', secret, '[2001:db8:1:2::1]:4711')).toBe(LOCKED);
  });

  test('is not forgiven by a restart, and is by a new password', async () => {
    // TLS goes by the system's clock, and a service that starts makes its certificate by ours.
    cluster.ahead = 0;
    const secret = await cluster.invite('carol', ['access']);
    await guesses('carol', 5, '198.51.100.10');
    const isLocked = async () =>
      (await (await cluster.asHost('Admin')).users.getUser({ name: 'carol' })).user?.spec?.status?.isLocked;
    expect(await isLocked()).toBe(true);
    await cluster.stop();
    await cluster.open();
    proxy = await cluster.asHost('Proxy');
    expect(await isLocked()).toBe(true);
    expect(await comeIn('carol', secret, '198.51.100.10')).toBe(LOCKED);
    await (await cluster.asHost('Admin')).auth.createResetPasswordToken({ name: 'carol', type: 'password', ttl: 0n });
    expect(await isLocked()).not.toBe(true);
  });

  test('with an endless name writes little into the audit log', async () => {
    await finish('x'.repeat(30_000), 'wrong', HOME);
    const last = (await cluster.events('user.login')).at(-1)!;
    expect(JSON.stringify(last).length).toBeLessThan(1_500);
  });
});

describe('A-M4 what is recorded of logins that fail', () => {
  async function failing(take: FairTurns['take']) {
    // As cheap as it can be made: 200 passwords are tried.
    const decoyHash = await hash('x', { memoryCost: 8, timeCost: 1, parallelism: 1 });
    const events: Record<string, unknown>[] = [];
    let atMs = 0;
    const state = {
      users: { get: async () => undefined },
      store: { get: async () => undefined },
      guesses: new Guesses(() => new Date()),
      turns: new Map(),
      passwordTurns: { take },
      decoyHash,
      settings: { preference: { spec: { second_factor: 'off' } } },
      loginRefusals: new RecordedRefusals(() => atMs),
      audit: { append: async (more: Record<string, unknown>[]) => void events.push(...more) },
      now: () => new Date(),
      clusterName: 'c',
    } as unknown as AuthState;
    const rest = { password: 'wrong', totpCode: '', ssh: new Uint8Array(), tls: tlsPublicKey, ttlMs: 0 };
    const more = { ...rest, routeToCluster: '', compatibility: '', userAgent: '', remoteAddr: '198.51.100.1:1' };
    const fail = async (count: number) => {
      for (let at = 0; at < count; at++) {
        const user = `u${at}`;
        await expect(loginFinish(state, { ...more, user })).rejects.toBeInstanceOf(TeleportError);
      }
    };
    return { events, fail, pass: (ms: number) => (atMs += ms) };
  }

  test('a burst of them leaves a count, and not itself', async () => {
    const { events, fail, pass } = await failing((_, work) => work());
    await fail(200);
    expect(events.length).toBe(120);
    expect(events.every((event) => event.unrecorded_refusals === undefined)).toBe(true);
    pass(60_000);
    await fail(2);
    expect(events.slice(120).map((event) => event.unrecorded_refusals)).toEqual([80, undefined]);
  });

  test('nothing of who found no turn: nothing was tried', async () => {
    const { events, fail } = await failing(() => Promise.reject(new TeleportError('LimitExceeded', 'too many')));
    await fail(5);
    expect(events).toEqual([]);
  });
});

test('A-L5 ten thousand invented names do not end the lock-out of a name that nobody has', () => {
  const now = new Date();
  const guesses = new Guesses(() => now);
  for (let at = 0; at < 5; at++) guesses.failed('nobody', {}, '198.51.100.1:1');
  for (let at = 0; at < 10_050; at++) guesses.failed(`invented-${at}`, {}, '198.51.100.2:1');
  expect(guesses.isLocked('nobody', {}, '198.51.100.1:1')).toBe(true);
});
