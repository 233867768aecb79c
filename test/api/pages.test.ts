/** Lists of a cluster: all pages are taken, and a list that does not end is given up. Tests: src/api/list-databases.ts */
import { expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { listDatabases } from '../../src/api/list-databases.js';
import { everyPage } from '../../src/api/pages.js';
import { listEntrances } from '../../src/tctl/access/entrances.js';
import { listDatabaseServers, listRoles, listTokens, listUsers, listUserTokens } from '../../src/tctl/lists.js';

test('all pages are taken, each with the word of the one before', async () => {
  const pages: Record<string, { items: number[]; next: string }> = {
    '': { items: [1, 2], next: 'b' },
    b: { items: [], next: 'c' },
    c: { items: [3], next: '' },
  };
  expect(await everyPage('numbers', async (start) => pages[start]!)).toEqual([1, 2, 3]);
});

test.each([
  ['databases', listDatabases],
  ['users', listUsers],
  ['roles', listRoles],
  ['tokens', listTokens],
  ['user tokens', listUserTokens],
  ['database servers', listDatabaseServers],
  ['ways into databases', (client: AuthClient) => listEntrances(client, {})],
])('a list of %s without end is given up', async (what, list: (client: AuthClient) => Promise<unknown>) => {
  let calls = 0;
  const page = async () => {
    if (++calls > 2000) throw new Error('it is not given up');
    const empty = { databases: [], users: [], roles: [], tokens: [], userTokens: [], resources: [], entrances: [] };
    return { ...empty, nextKey: 'k', nextPageToken: 'k', next: 'k' };
  };
  const methods = new Proxy({}, { get: () => page });
  const client = { auth: methods, users: methods, accessReader: methods } as unknown as AuthClient;
  await expect(list(client)).rejects.toMatchObject({
    code: 'LimitExceeded',
    message: `the cluster's list of ${what} does not end`,
  });
});
