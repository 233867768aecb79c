/** L3: a user who is made anew has nothing of the one who had the name. Tests: src/auth/users.ts */
import { expect, test } from '@jest/globals';
import { type AuthState, recordsIn } from '../../src/auth/state.js';
import { createUser, deleteUser, upsertUser } from '../../src/auth/users.js';
import type { Who } from '../../src/auth/who.js';
import { newIdentity } from '../../src/identity/identity.js';
import { silent } from '../../src/log.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';

test.each([
  ['createUser', createUser],
  ['upsertUser', upsertUser],
])('L3 %s: a link that was made while she was being deleted is worth nothing', async (_, make) => {
  const store = await openEmbeddedStore({ path: ':memory:' });
  const records = recordsIn(store);
  const audit = { append: async () => {} };
  const rest = {
    now: () => new Date(),
    log: silent,
    guesses: { forget() {}, lockedUntil: () => undefined },
    clusterName: 'c',
  };
  const state = { store, ...records, ...rest, audit } as unknown as AuthState;
  const identity = newIdentity({ username: 'admin', groups: ['Admin'], teleportCluster: 'c', expires: new Date() });
  const who: Who = { kind: 'host', role: 'Admin', hostId: 'h', identity, remoteAddr: '' };
  const ann = { kind: 'user', version: 'v2', metadata: { name: 'ann' }, spec: { roles: [], traits: {} } } as never;
  try {
    await createUser(state, who, ann);
    await deleteUser(state, who, 'ann');
    // As `createUserToken` writes it when it looked for the user before.
    const spec = { user: 'ann', url: '', created: '' };
    await records.userTokens.create({
      kind: 'user_token',
      sub_kind: 'password',
      version: 'v3',
      metadata: { name: 'late', expires: '2999-01-01T00:00:00Z' },
      spec,
    });
    await make(state, who, ann);
    expect(await records.userTokens.list()).toEqual([]);
  } finally {
    await store.close();
  }
});
