/**
 * A database that one may only ask for: found by the second search, requested, and entered with what was given.
 * Tests: src/resources/access-request.ts, src/tsh/db/choose.ts
 */
import type { Access, AccessibleDatabase } from '../../../src/access/access.js';
import type { AccessRequest } from '../../../src/resources/access-request.js';
import { chooseDatabase } from '../../../src/tsh/db/choose.js';
import { memoryEnv } from '../../support/env.js';

const SALES: AccessibleDatabase = {
  database: { kind: 'db', version: 'v3', metadata: { name: 'sales' }, spec: { protocol: 'postgres', uri: 'db:5432' } },
  users: { allowed: ['analyst'], denied: [] },
  names: { allowed: ['dev'], denied: [] },
  dbRoles: [],
};

function denied(options: { isRequestable: boolean; state?: number }) {
  let isGiven = false;
  const wishes: unknown[] = [];
  const searches: boolean[] = [];
  const request: AccessRequest = {
    kind: 'access_request',
    version: 'v3',
    metadata: { name: 'some-id' },
    spec: { user: 'alice', roles: ['prod-dba'], state: 1 },
  };
  const access = {
    clusterName: 'example.com',
    active: async () => [],
    databases: async (_: unknown, { useSearchAsRoles = false } = {}) => {
      searches.push(useSearchAsRoles);
      return isGiven || (useSearchAsRoles && options.isRequestable) ? [SALES] : [];
    },
    requests: {
      canTakeUp: true,
      create: async (wish: unknown) => {
        wishes.push(wish);
        return request;
      },
      find: async () => request,
      decided: async () => ({ ...request, spec: { ...request.spec, state: options.state ?? 2 } }),
      change: async () => {
        isGiven = true;
      },
    },
  } as unknown as Access;
  return { access, wishes, searches };
}

test('is asked for with the reason from the flag or from the terminal', async () => {
  const byFlag = denied({ isRequestable: true });
  const env = memoryEnv();
  expect(await chooseDatabase(env, byFlag.access, { db: 'sales', requestReason: 'to look' })).toBe(SALES);
  expect(env.out()).toMatch(/^You do not currently have access to "sales", attempting to request access\.\n\nCreating/);
  expect(byFlag.wishes).toEqual([
    { resources: [{ cluster: 'example.com', kind: 'db', name: 'sales' }], reason: 'to look' },
  ]);
  const byTerminal = denied({ isRequestable: true });
  const terminal = memoryEnv({ tty: { stdin: true } });
  terminal.type('because\n');
  await chooseDatabase(terminal, byTerminal.access, { db: 'sales' });
  expect(terminal.err()).toContain('Enter request reason: ');
  expect(byTerminal.wishes).toMatchObject([{ reason: 'because' }]);
});

test('is not asked for without a terminal and a reason: SQL on standard input is no reason', async () => {
  const { access, wishes } = denied({ isRequestable: true });
  const env = memoryEnv({ input: 'select 1\n' });
  await expect(chooseDatabase(env, access, { db: 'sales' })).rejects.toThrow('give --request-reason');
  expect(wishes).toEqual([]);
});

test('a denial is the error', async () => {
  const { access } = denied({ isRequestable: true, state: 3 });
  await expect(chooseDatabase(memoryEnv(), access, { db: 'sales', requestReason: 'x' })).rejects.toThrow(
    'request some-id has been set to DENIED',
  );
});

test('that nobody may ask for is not found, with --disable-access-request after one search', async () => {
  const { access, searches } = denied({ isRequestable: false });
  await expect(chooseDatabase(memoryEnv(), access, { db: 'sales' })).rejects.toThrow('database "sales" not found');
  // The last is for the name that looks like it.
  expect(searches).toEqual([false, true, false]);
  const disabled = denied({ isRequestable: true });
  await expect(
    chooseDatabase(memoryEnv(), disabled.access, { db: 'sales', disableAccessRequest: true }),
  ).rejects.toThrow('database "sales" not found');
  expect(disabled.searches).toEqual([false, false]);
});

test('U12 a database that is not there comes with the one whose name looks like it', async () => {
  const { access } = denied({ isRequestable: false });
  const all: Access['databases'] = async (filter) => (filter.name === undefined ? [SALES] : []);
  await expect(chooseDatabase(memoryEnv(), { ...access, databases: all }, { db: 'sles' })).rejects.toMatchObject({
    hint: 'Did you mean "sales"?',
  });
});
