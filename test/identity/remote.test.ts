import { expect, test } from '@jest/globals';
import { newIdentity } from '../../src/identity/identity.js';
import { couldShareNames, isRemoteName, remoteIdentity, remoteName } from '../../src/identity/remote.js';

test('a user of a root has a name that no user of the leaf has, the roles that the map gives, and the traits of the certificate', () => {
  const certified = newIdentity({
    username: 'alice',
    groups: ['dev'],
    teleportCluster: 'root',
    principals: ['ubuntu'],
    databaseNames: ['dev'],
    databaseUsers: ['analyst'],
    traits: { team: ['x'], db_users: ['somebody'] },
    expires: new Date(0),
  });
  expect(remoteIdentity(certified, ['leaf-dev'])).toMatchObject({
    username: 'remote-alice-root',
    groups: ['leaf-dev'],
    traits: { team: ['x'], logins: ['ubuntu'], db_names: ['dev'], db_users: ['analyst'] },
    databaseNames: [],
    databaseUsers: [],
    remote: { cluster: 'root', username: 'alice', groups: ['dev'] },
  });
});

test('R-A-M4 users of two clusters could share a name where the name of one ends in that of the other', () => {
  expect(remoteName('alice-prod', 'main')).toBe(remoteName('alice', 'prod-main'));
  expect(couldShareNames('main', 'prod-main')).toBe(true);
  expect(couldShareNames('Prod-main', 'MAIN')).toBe(true);
  expect(couldShareNames('main', 'prodmain')).toBe(false);
  expect(couldShareNames('root.example.com', 'leaf.example.com')).toBe(false);
  expect(['remote-a', 'REMOTE-a-b'].every(isRemoteName)).toBe(true);
  expect(['remote', 'aremote-b', 'remoted'].some(isRemoteName)).toBe(false);
});
