import { describe, expect, test } from '@jest/globals';
import { CredentialCache, type CredentialStorage, credentialKey } from '../../src/aws/credential-cache.js';
import { TeleportError } from '../../src/errors.js';

const S = 1_000;
const MIN = 60 * S;
const START = Date.parse('2026-01-01T00:00:00Z');

/** A cache on a clock of its own, and an AWS whose clock may differ and whose passwords count up: p1, p2, … */
function setup(
  options: { skewMs?: number; saysDate?: boolean; storage?: CredentialStorage; maxEntries?: number } = {},
) {
  const { skewMs = 0, saysDate = true, ...rest } = options;
  let time = START;
  let calls = 0;
  let outcome: 'ok' | TeleportError = 'ok';
  const warnings: string[] = [];
  const make = () => new CredentialCache({ now: () => new Date(time), warn: (text) => warnings.push(text), ...rest });
  let cache = make();
  const mint = async () => {
    calls++;
    await Promise.resolve();
    if (outcome !== 'ok') throw outcome;
    const expiresAt = new Date(time + skewMs + 15 * MIN);
    return {
      user: 'IAM:x',
      password: `p${calls}`,
      expiresAt,
      ...(saysDate ? { answeredAt: new Date(time + skewMs) } : {}),
    };
  };
  return {
    warnings,
    calls: () => calls,
    pass(ms: number) {
      time += ms;
    },
    answers(next: typeof outcome) {
      outcome = next;
    },
    /** Another process with the same storage. */
    restart() {
      cache = make();
    },
    get: (key = 'k') => cache.get(key, mint),
    password: async (key = 'k') => (await cache.get(key, mint)).credential.password,
    refuse: (password: string, key = 'k') => cache.drop(key, { password }),
  };
}

function memory(broken: Partial<CredentialStorage> = {}) {
  const kept = new Map<string, string>();
  return {
    kept,
    read: async (key: string) => kept.get(key),
    write: async (key: string, text: string) => void kept.set(key, text),
    delete: async (key: string) => void kept.delete(key),
    ...broken,
  };
}

const denied = () => new TeleportError('AccessDenied', 'AccessDenied: no');
const busy = () => new TeleportError('LimitExceeded', 'Throttling: rate exceeded');
const lost = () => new TeleportError('ConnectionProblem', 'timeout');

/** Each step: wait so long, make AWS answer so, ask; what comes back and how often AWS has been called by then. */
type Step = [waitMs: number, aws: 'ok' | TeleportError, got: string, calls: number];
const LIVES: Record<string, Step[]> = {
  'one call serves all who come after': [
    [0, 'ok', 'p1', 1],
    [9 * MIN, 'ok', 'p1', 1],
  ],
  'renewed ahead while the present one is still given': [
    [0, 'ok', 'p1', 1],
    [10 * MIN + S, 'ok', 'p1', 2],
    [0, 'ok', 'p2', 2],
  ],
  'less than half a minute is not handed out': [
    [0, 'ok', 'p1', 1],
    [14 * MIN + 31 * S, 'ok', 'p2', 2],
  ],
  'after days the next connection gets a new one': [
    [0, 'ok', 'p1', 1],
    [5 * 24 * 60 * MIN, 'ok', 'p2', 2],
    [MIN, 'ok', 'p2', 2],
  ],
  'a renewal that fails leaves the present one, and is tried again a minute later, not at every connection': [
    [0, 'ok', 'p1', 1],
    [11 * MIN, lost(), 'p1', 2],
    [0, lost(), 'p1', 2],
    [59 * S, lost(), 'p1', 2],
    [S, 'ok', 'p1', 3],
    [0, 'ok', 'p3', 3],
  ],
  'a renewal that is denied is told only at the end of the present one': [
    [0, 'ok', 'p1', 1],
    [11 * MIN, denied(), 'p1', 2],
    [3 * MIN + 40 * S, denied(), 'AccessDenied: no', 3],
  ],
  'a denial is repeated for a second without asking, then asked again': [
    [0, denied(), 'AccessDenied: no', 1],
    [999, 'ok', 'AccessDenied: no', 1],
    [1, 'ok', 'p2', 2],
  ],
  'throttling and a lost connection are asked again at once (the SDK has waited already)': [
    [0, busy(), 'Throttling: rate exceeded', 1],
    [0, lost(), 'timeout', 2],
    [0, 'ok', 'p3', 3],
  ],
};

test.each(Object.entries(LIVES))('%s', async (_, steps) => {
  const { pass, answers, password, calls } = setup();
  for (const [waitMs, aws, got, called] of steps) {
    pass(waitMs);
    answers(aws);
    expect(await password().catch((error: Error) => error.message)).toBe(got);
    await new Promise(setImmediate); // a renewal behind the scenes settles
    expect(calls()).toBe(called);
  }
});

test('100 connections that wait are one call, whether it is granted or denied', async () => {
  const { get, password, answers, calls } = setup();
  answers(denied());
  const refused = await Promise.allSettled(Array.from({ length: 100 }, () => password()));
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set(['rejected']));
  expect(calls()).toBe(1);
  answers('ok');
  const all = await Promise.all(Array.from({ length: 100 }, () => get('other')));
  expect(new Set(all.map(({ credential, isFresh }) => `${credential.password} ${isFresh}`))).toEqual(
    new Set(['p2 true']),
  );
  expect(await get('other')).toMatchObject({ isFresh: false });
  expect(calls()).toBe(2);
});

test('100 connections that were refused the same password get one new one', async () => {
  const { get, refuse, calls } = setup();
  const { credential } = await get();
  const again = async () => {
    await refuse(credential.password);
    return await get();
  };
  const all = await Promise.all(Array.from({ length: 100 }, again));
  expect(new Set(all.map((one) => one.credential.password))).toEqual(new Set(['p2']));
  await refuse(credential.password); // a straggler
  expect((await get()).credential.password).toBe('p2');
  expect(calls()).toBe(2);
});

test('the longest unused goes first when there are too many', async () => {
  const { password, calls } = setup({ maxEntries: 2 });
  for (const key of ['a', 'b', 'a', 'c', 'a']) await password(key);
  expect(calls()).toBe(3);
  await password('b');
  expect(calls()).toBe(4);
});

describe('a clock that is wrong', () => {
  test.each([
    ['20 minutes behind, and AWS says the time', 20 * MIN, true, '20 minutes behind'],
    ['20 minutes ahead, and AWS says the time', -20 * MIN, true, '20 minutes ahead of'],
    ['two hours behind, seen from an impossible end', 120 * MIN, false, '120 minutes behind'],
    ['a day ahead, seen from an end in the past', -24 * 60 * MIN, false, '1440 minutes ahead of'],
    ['4 minutes behind: corrected without a word', 4 * MIN, true, undefined],
  ])('%s: the password is used for its 15 minutes', async (_, skewMs, saysDate, words) => {
    const { password, pass, calls, warnings } = setup({ skewMs, saysDate });
    expect(await password()).toBe('p1');
    pass(9 * MIN);
    expect(await password()).toBe('p1');
    expect(calls()).toBe(1);
    pass(5 * MIN + 40 * S);
    expect(await password()).toBe('p2');
    expect(warnings).toEqual(
      words === undefined
        ? []
        : [`The clock of this machine is ${words} AWS's. Set it right, for example with: timedatectl set-ntp true`],
    );
  });
});

describe('storage', () => {
  test('serves the next process, and not longer than the password lives', async () => {
    const storage = memory();
    const { get, password, restart, pass, calls } = setup({ storage, skewMs: 20 * MIN });
    expect(await password()).toBe('p1');
    restart();
    pass(9 * MIN);
    expect(await get()).toMatchObject({ credential: { password: 'p1' }, isFresh: false });
    expect(calls()).toBe(1);
    restart();
    pass(5 * MIN + 40 * S);
    expect(await password()).toBe('p2');
    expect([...storage.kept.values()].join()).toContain('p2');
    expect(storage.kept.size).toBe(1);
  });

  test('loses what has ended, what was refused and what is broken', async () => {
    const storage = memory();
    const { password, refuse, restart, pass, answers, calls } = setup({ storage });
    await password();
    pass(15 * MIN);
    restart();
    answers(lost());
    await expect(password()).rejects.toThrow('timeout');
    expect(storage.kept.size).toBe(0);
    answers('ok');
    await refuse(await password());
    expect(storage.kept.size).toBe(0);
    for (const broken of ['', '{', '[]', '{"user":"IAM:x","password":"q","expiresAt":"never","skewMs":0}']) {
      storage.kept.set('k', broken);
      restart();
      expect(await password()).toBe(`p${calls()}`);
    }
    expect(calls()).toBe(7);
  });

  test('does not believe an end that only a clock turned back can explain', async () => {
    const storage = memory();
    const { password, restart, pass } = setup({ storage });
    await password();
    pass(-24 * 60 * MIN);
    restart();
    expect(await password()).toBe('p2');
  });

  test('that fails stops nobody, is told once, and cannot bring a refused password back', async () => {
    const fail = () => Promise.reject(new Error('keychain is locked'));
    const { password, warnings } = setup({ storage: memory({ read: fail, write: fail }) });
    expect([await password(), await password('other')]).toEqual(['p1', 'p2']);
    expect(warnings).toEqual(['Database credentials are not kept between commands: keychain is locked']);
    const readOnly = setup({ storage: memory({ delete: fail }) });
    await readOnly.password();
    readOnly.restart();
    expect(await readOnly.password()).toBe('p1');
    await readOnly.refuse('p1');
    expect(await readOnly.password()).toBe('p2');
  });

  test('is not asked to hold what the key is made of', () => {
    const key = credentialKey(['arn:aws:sts::1:assumed-role/x/y', 'external-id-secret']);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(key).not.toBe(credentialKey(['arn:aws:sts::1:assumed-role/x/y', 'other']));
  });
});
