/** Whose right has ended, as a service hears it. */
import { afterEach, expect, test } from '@jest/globals';
import { toMessage } from '../../src/api/convert.js';
import { type WatchLocksResponse, WatchLocksResponseSchema } from '../../src/api/gen/internal_pb.js';
import { create, type MessageInitShape } from '../../src/api/protobuf.js';
import { TeleportError } from '../../src/errors.js';
import { newIdentity } from '../../src/identity/identity.js';
import { remoteIdentity } from '../../src/identity/remote.js';
import { silent } from '../../src/log.js';
import type { LockTarget } from '../../src/resources/types.js';
import { RESET, type RightsWatchOptions, watchRights } from '../../src/rights/rights-watch.js';

let stop = new AbortController();
let ended: Promise<void> | undefined;
afterEach(async () => {
  stop.abort();
  await ended;
});

/** Auth as the test plays it: what it says comes out of every stream, and `refuse` ends the one that is open. */
function auth() {
  const unread: (WatchLocksResponse | Error)[] = [];
  let wake = () => {};
  async function* fetch(signal: AbortSignal): AsyncGenerator<WatchLocksResponse> {
    signal.addEventListener('abort', () => wake());
    for (;;) {
      signal.throwIfAborted();
      const next = unread.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const put = (one: WatchLocksResponse | Error) => {
    unread.push(one);
    wake();
  };
  return {
    fetch,
    say: (message: MessageInitShape<typeof WatchLocksResponseSchema>) => put(create(WatchLocksResponseSchema, message)),
    refuse: put,
  };
}

const lock = (target: LockTarget, more: object = {}) =>
  toMessage('lock', { kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target, ...more } });

function watching(options: Partial<RightsWatchOptions> = {}) {
  stop = new AbortController();
  const far = auth();
  const rights = watchRights({
    fetch: far.fetch,
    hostId: 'own-host',
    now: () => new Date(),
    log: silent,
    signal: stop.signal,
    ...options,
  });
  ended = rights.ended;
  /** The first reason that ends this holder. */
  const endOf = (holder: Parameters<typeof rights.during>[0]) =>
    new Promise<string>((resolve) => rights.during(holder, resolve));
  return { ...far, rights, endOf };
}

const alice = newIdentity({
  username: 'alice',
  groups: ['dev'],
  teleportCluster: 'c',
  expires: new Date(),
  mfaVerified: 'device-1',
  userGeneration: 'g1',
  loginDevice: 'device-2',
  activeRequests: ['request-1'],
});

test.each([
  [{ user: 'alice' }, 'User:"alice"'],
  [{ role: 'dev' }, 'Role:"dev"'],
  [{ login: 'analyst' }, 'Login:"analyst"'],
  [{ mfa_device: 'device-1' }, 'MFADevice:"device-1"'],
  [{ mfa_device: 'device-2' }, 'MFADevice:"device-2"'],
  [{ access_request: 'request-1' }, 'AccessRequest:"request-1"'],
  [{ server_id: 'far-host' }, 'ServerID:"far-host"'],
  [{ server_id: 'own-host' }, 'ServerID:"own-host"'],
])('X2 a lock on %p ends what runs, and keeps out what would begin', async (target, words) => {
  const { say, rights, endOf } = watching();
  const holder = { identity: alice, login: 'analyst', serverId: 'far-host' };
  expect(rights.refusal(holder)).toBeUndefined();
  const end = endOf(holder);
  say({ first: true, locks: [lock(target, { message: 'out' })] });
  expect(await end).toBe(`lock targeting ${words} is in force: out`);
  expect(rights.refusal(holder)).toBe(`lock targeting ${words} is in force: out`);
  expect(rights.refusal({ identity: { ...alice, username: 'bob', groups: [] } })).toBe(
    'server_id' in target && target.server_id === 'own-host'
      ? `lock targeting ${words} is in force: out`
      : words.startsWith('MFA') || words.startsWith('Access')
        ? `lock targeting ${words} is in force: out`
        : undefined,
  );
});

test('a lock whose time is over, or that was taken back, ends nothing; a word without locks changes none', async () => {
  const { say, rights, endOf } = watching();
  say({ first: true, locks: [lock({ user: 'alice' }, { expires: '2020-01-01T00:00:00Z' })] });
  say({ locks: [lock({ user: 'bob' })] });
  say({ sameLocks: true });
  expect(await endOf({ identity: { ...alice, username: 'bob' } })).toContain('User:"bob"');
  expect(rights.refusal({ identity: alice })).toBeUndefined();
  const carol = endOf({ identity: { ...alice, username: 'carol' } });
  say({ locks: [lock({ user: 'carol' })] });
  await carol;
  expect(rights.refusal({ identity: { ...alice, username: 'bob' } })).toBeUndefined();
});

test('X10 a user who was reset or deleted is asked about once for all sessions, and they end', async () => {
  let asked = 0;
  const { say, endOf } = watching({
    ask: async ({ username }) => {
      asked++;
      return username === 'alice' ? RESET : undefined;
    },
  });
  say({ first: true, users: [{ name: 'alice', generation: 'g1' }], whole: true });
  const ends = [1, 2, 3].map(() => endOf({ identity: alice }));
  say({ sameLocks: true, users: [{ name: 'alice', generation: 'g2' }] });
  expect(await Promise.all(ends)).toEqual([RESET, RESET, RESET]);
  expect(asked).toBe(1);
});

test('X10 who is not heard of yet, although Auth knows her, goes on', async () => {
  const asked: string[] = [];
  const { say, endOf } = watching({
    ask: async ({ username }) => {
      asked.push(username);
      return username === 'gone' ? 'user "gone" was deleted' : undefined;
    },
  });
  let hasEnded = false;
  void endOf({ identity: { ...alice, username: 'new' } }).then(() => (hasEnded = true));
  const gone = endOf({ identity: { ...alice, username: 'gone' } });
  say({ first: true, users: [], whole: true });
  expect(await gone).toBe('user "gone" was deleted');
  expect([...asked].sort()).toEqual(['gone', 'new']);
  expect(hasEnded).toBe(false);
});

test('X2 a host that Auth refuses ends everything, until it is taken again', async () => {
  const { say, refuse, rights, endOf } = watching();
  const end = endOf({ identity: alice });
  refuse(new TeleportError('AccessDenied', 'lock targeting ServerID:"own-host" is in force'));
  expect(await end).toBe('lock targeting ServerID:"own-host" is in force');
  say({ first: true });
  say({ locks: [lock({ user: 'bob' })] });
  await endOf({ identity: { ...alice, username: 'bob' } });
  while (rights.refusal({ identity: alice }) !== undefined) await new Promise((resolve) => setImmediate(resolve));
});

test('H6 a certificate whose authority is not believed any more, as soon as somebody says to look', async () => {
  const { rights, endOf } = watching();
  let isBelieved = true;
  const holder = { identity: alice, isBelieved: () => isBelieved };
  const end = endOf(holder);
  isBelieved = false;
  rights.look();
  expect(await end).toMatch(/^the authority .* not believed any more$/);
  expect(rights.refusal(holder)).toBe(await end);
});

test('cut off from Auth, strict ends and best_effort goes on; a word in time keeps both', async () => {
  const { say, rights, endOf } = watching({ cutOffMs: 200 });
  const at = performance.now();
  say({ first: true, locks: [lock({ user: 'bob' })] });
  const strict = endOf({ identity: alice, isStrict: true });
  let hasEnded = false;
  void endOf({ identity: alice, isStrict: false }).then(() => (hasEnded = true));
  expect(await strict).toMatch(/^the Auth Service has said nothing for .*, and the locking mode is strict$/);
  expect(performance.now() - at).toBeGreaterThan(100);
  expect(hasEnded).toBe(false);
  expect(rights.refusal({ identity: alice, isStrict: true })).toBeDefined();
  expect(rights.refusal({ identity: alice })).toBeUndefined();
  // The last known locks count.
  expect(rights.refusal({ identity: { ...alice, username: 'bob' } })).toContain('User:"bob"');
  while (rights.refusal({ identity: alice, isStrict: true }) !== undefined) {
    say({ first: true });
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('a root that is not heard ends its users in strict, and nobody else', async () => {
  const { say, rights, endOf } = watching();
  const of = (cluster: string) => remoteIdentity({ ...alice, teleportCluster: cluster }, ['dev']);
  const strict = endOf({ identity: of('root'), isStrict: true });
  say({ first: true, silentRoots: ['root'] });
  expect(await strict).toBe('nothing is heard of the cluster "root", and the locking mode is strict');
  for (const [identity, isStrict] of [
    [of('root'), false],
    [of('other'), true],
    [alice, true],
  ] as const) {
    expect(rights.refusal({ identity, isStrict })).toBeUndefined();
  }
  while (rights.refusal({ identity: of('root'), isStrict: true }) !== undefined) {
    say({ sameLocks: true });
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test.each([
  ['refuses each attempt at once', () => Promise.reject(new TeleportError('ConnectionProblem', 'ECONNREFUSED'))],
  ['ends each stream without a word', () => Promise.resolve()],
])('A-H2 an Auth that %s is silent: strict ends, and begins nothing', async (_, attempt) => {
  const { say, fetch } = auth();
  let attempts = 0;
  let isThere = false;
  let reconnects = 0;
  const { rights, endOf } = watching({
    // Shorter than the pause between two attempts, so that no attempt lasts that long.
    cutOffMs: 100,
    reconnect: () => reconnects++,
    fetch: async function* (signal) {
      attempts++;
      if (isThere) yield* fetch(signal);
      else await attempt();
    },
  });
  let hasEnded = false;
  void endOf({ identity: alice }).then(() => (hasEnded = true));
  const words = 'the Auth Service has said nothing for 1 s, and the locking mode is strict';
  expect(await endOf({ identity: alice, isStrict: true })).toBe(words);
  expect(rights.refusal({ identity: alice, isStrict: true })).toBe(words);
  expect(hasEnded).toBe(false);
  expect(reconnects).toBeGreaterThan(0);
  isThere = true;
  while (rights.refusal({ identity: alice, isStrict: true }) !== undefined) {
    say({ first: true });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(attempts).toBeGreaterThan(1);
});

test('A-L2 where Auth cannot be asked about a user who has changed, strict ends and best_effort asks again', async () => {
  let canAsk = false;
  const { say, endOf } = watching({
    ask: async () => {
      if (!canAsk) throw new TeleportError('NotFound', 'role dev is not found');
      return RESET;
    },
  });
  const strict = endOf({ identity: alice, isStrict: true });
  const lenient = endOf({ identity: alice });
  say({ first: true, users: [{ name: 'alice', generation: 'g2' }], whole: true });
  expect(await strict).toBe(
    'the Auth Service cannot be asked about a user who has changed, and the locking mode is strict',
  );
  canAsk = true;
  say({ sameLocks: true });
  expect(await lenient).toBe(RESET);
});
