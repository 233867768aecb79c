import { knownAs, originOfBearer, sharedNameOf } from '../../src/api/known-as.js';
import { newIdentity } from '../../src/identity/identity.js';
import type { SystemRole } from '../../src/resources/system-role.js';

const bearer = (username: string, { role, remote }: { role?: SystemRole; remote?: string } = {}) => ({
  certificateDer: Buffer.alloc(0),
  identity: newIdentity({ username, groups: ['x'], teleportCluster: remote ?? 'main', expires: new Date() }),
  role,
  remote,
});

test('R-A-M2 people and hosts by their names, those of another cluster with it', () => {
  expect(knownAs(bearer('alice'))).toEqual({ kind: 'login', name: 'alice', cluster: undefined });
  expect(knownAs(bearer('alice', { remote: 'root' }))).toEqual({
    kind: 'login',
    name: 'remote-alice-root',
    cluster: 'root',
  });
  expect(knownAs(bearer('h.leaf', { role: 'Proxy', remote: 'leaf' }))).toEqual({
    kind: 'host',
    name: 'h.leaf',
    cluster: 'leaf',
  });
});

test('R-A-M2 all hosts of another cluster share their time, and nobody of another one takes that of a user here', () => {
  const names = [
    bearer('alice'),
    bearer('alice', { remote: 'root' }),
    bearer('h.main', { role: 'Db' }),
    bearer('h1.leaf', { role: 'RemoteProxy', remote: 'leaf' }),
    bearer('h2.leaf', { role: 'RemoteProxy', remote: 'leaf' }),
  ].map(sharedNameOf);
  expect(names).toEqual(['user alice', 'user remote-alice-root', 'host h.main', 'cluster leaf', 'cluster leaf']);
});

test('R-C-H2 a cluster that is called like a person or a host here shares nothing with them', () => {
  const [alice, proxy] = [bearer('alice'), bearer('h.main', { role: 'Proxy' })];
  const leafs = ['alice', 'h.main'].map((remote) => bearer(`x.${remote}`, { role: 'RemoteProxy', remote }));
  expect(new Set([alice, proxy, ...leafs].map(sharedNameOf)).size).toBe(4);
});

test('R-C-M2 all users of a root have one site', () => {
  const root = 'root';
  expect(originOfBearer(bearer('alice'))).toEqual({ network: 'user alice', site: 'user alice' });
  expect(originOfBearer(bearer('alice', { remote: root }))).toEqual({
    network: 'user remote-alice-root',
    site: 'cluster root',
  });
});
