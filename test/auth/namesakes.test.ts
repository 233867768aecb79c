/** A user who is made anew has nothing of the one who had the name. Tests: src/auth/invites.ts, src/auth/users.ts */
import { expect, test } from '@jest/globals';
import { changeUserPassword } from '../../src/auth/invites.js';
import { RemoteAuthorities } from '../../src/auth/remote-authorities.js';
import { secretsOf } from '../../src/auth/secrets.js';
import { type AuthState, recordsIn } from '../../src/auth/state.js';
import { upsertTrustedCluster } from '../../src/auth/trusted-clusters.js';
import { createUser, deleteUser, upsertUser } from '../../src/auth/users.js';
import type { Who } from '../../src/auth/who.js';
import { newIdentity } from '../../src/identity/identity.js';
import { silent } from '../../src/log.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import { authorityFor } from '../support/authority.js';
import { createTestCa } from '../support/ca.js';

async function withState(more: object, work: (state: AuthState, who: Who) => Promise<void>): Promise<void> {
  const store = await openEmbeddedStore({ path: ':memory:' });
  const rest = {
    now: () => new Date(),
    log: silent,
    guesses: { forget() {}, lockedUntil: () => undefined },
    clusterName: 'c',
    audit: { append: async () => {} },
  };
  const state = { store, ...recordsIn(store), ...rest, ...more } as unknown as AuthState;
  const identity = newIdentity({ username: 'admin', groups: ['Admin'], teleportCluster: 'c', expires: new Date() });
  try {
    await work(state, { kind: 'host', role: 'Admin', hostId: 'h', identity, remoteAddr: '' });
  } finally {
    await store.close();
  }
}

const ann = { kind: 'user', version: 'v2', metadata: { name: 'ann' }, spec: { roles: [], traits: {} } } as never;

/** As `createUserToken` writes it. */
const linkOf = (state: AuthState, name: string) =>
  state.userTokens.create({
    kind: 'user_token',
    sub_kind: 'password',
    version: 'v3',
    metadata: { name, expires: '2999-01-01T00:00:00Z' },
    spec: { user: 'ann', url: '', created: '' },
  });

test('A-L6 a link in use while its user is deleted and made anew sets no password on the new one', () =>
  withState({ settings: { preference: { spec: { second_factor: 'off' } } } }, async (state, who) => {
    await createUser(state, who, ann);
    await linkOf(state, 'used');
    const use = (given: AuthState) =>
      changeUserPassword(given, {
        token: 'used',
        password: Buffer.from('correct horse battery'),
        totpCode: '',
        deviceName: '',
        remoteAddr: '',
      });
    /** The link is taken, and before the password is written she is another one. */
    const userTokens = {
      ...state.userTokens,
      async delete(name: string) {
        const isTaken = await state.userTokens.delete(name);
        await deleteUser(state, who, 'ann');
        await createUser(state, who, ann);
        return isTaken;
      },
    };
    await expect(use({ ...state, userTokens })).rejects.toMatchObject({ code: 'NotFound' });
    expect((await secretsOf(state, 'ann')).password_hash).toBeUndefined();
    await linkOf(state, 'used');
    await use(state);
    expect((await secretsOf(state, 'ann')).password_hash).toBeDefined();
  }));

test.each([
  ['createUser', createUser],
  ['upsertUser', upsertUser],
])('L3 %s: a link that was made while she was being deleted is worth nothing', (_, make) =>
  withState({}, async (state, who) => {
    await createUser(state, who, ann);
    await deleteUser(state, who, 'ann');
    // It looked for the user before.
    await linkOf(state, 'late');
    await make(state, who, ann);
    expect(await state.userTokens.list()).toEqual([]);
  }),
);

test('R-A-M4 no user here has a name that one of another cluster could have', () =>
  withState({}, async (state, who) => {
    const called = (name: string) => ({ ...(ann as object), metadata: { name } }) as never;
    for (const name of ['remote-gina-root.example.com', 'Remote-x', 'remote-']) {
      await expect(createUser(state, who, called(name))).rejects.toThrow('are called remote-USER-CLUSTER here');
      await expect(upsertUser(state, who, called(name))).rejects.toThrow('are called remote-USER-CLUSTER here');
    }
    await createUser(state, who, called('remoted'));
    // From before: she can be changed, and removed.
    await state.users.create(called('remote-old'));
    await upsertUser(state, who, called('remote-old'));
    await deleteUser(state, who, 'remote-old');
  }));

const root = (name: string, address = 'root.example.com:443') => {
  const spec = { enabled: true, token: 't', web_proxy_addr: address, tunnel_addr: '', role_map: [] };
  return { kind: 'trusted_cluster', version: 'v2', metadata: { name }, spec } as never;
};

test('R-A-M4 two roots whose users could have one name are not trusted both, nor one beside a user of such a name', () =>
  withState({ authorities: { remotes: { nameLike: () => undefined } } }, async (state, who) => {
    await state.trustedClusters.create(root('main'));
    for (const name of ['prod-main', 'Prod-Main', 'MAIN']) {
      const made = upsertTrustedCluster(state, who, root(name));
      await expect(made).rejects.toThrow('and of the trusted cluster "main" could have the same names here');
    }
    await state.users.create({ ...(ann as object), metadata: { name: 'remote-gina-far' } } as never);
    await expect(upsertTrustedCluster(state, who, root('far'))).rejects.toThrow(
      'the user "remote-gina-far" has a name that a user of "far" could have here',
    );
  }));

test('of two roots whose users could have one name, made at the same time, the first one stays and the other is refused', () =>
  withState({ turns: new Map() }, async (state, who) => {
    const remotes = await RemoteAuthorities.open(state.store, { changed: () => {}, log: silent });
    let asked = 0;
    let bothAsked = () => {};
    const both = new Promise<void>((resolve) => {
      bothAsked = resolve;
    });
    const clusterAt = (address: string) => address.split(':')[0]!;
    const exchange = {
      clusterBehind: async (address: string) => clusterAt(address),
      exchangeAuthorities: async ({ address }: { address: string }) => {
        if (++asked === 2) bothAsked();
        await both;
        const cluster = clusterAt(address);
        const certs = [createTestCa(cluster).certPem];
        return (['host', 'user'] as const).map((type) => authorityFor(cluster, { certs, type }));
      },
    };
    const authorities = { remotes, get: () => ({ resource: {} }) };
    const given = { ...state, authorities, exchange } as unknown as AuthState;
    const make = (name: string) => upsertTrustedCluster(given, who, root(name, `${name}:443`));
    const [one, other] = await Promise.allSettled([make('main'), make('prod-main')]);
    expect(one.status).toBe('fulfilled');
    expect(String((other as PromiseRejectedResult).reason)).toContain('could have the same names here');
    expect((await state.trustedClusters.list()).map(({ metadata }) => metadata.name)).toEqual(['main']);
    expect(remotes.has('prod-main')).toBe(false);
  }));

test('R-C-L1 no root has the name of this cluster or of a leaf in other letters', () => {
  const authorities = { remotes: { nameLike: (name: string) => (name === 'Leaf' ? 'leaf' : undefined) } };
  return withState({ authorities, exchange: { clusterBehind: async () => 'Leaf' } }, async (state, who) => {
    await expect(upsertTrustedCluster(state, who, root('C'))).rejects.toThrow('the same as local cluster name "c"');
    const made = upsertTrustedCluster(state, who, root('Leaf'));
    await expect(made).rejects.toThrow('a cluster "leaf" is known here already, as a leaf');
  });
});
