/** Tables of databases and of other things, as wide as the terminal: 20, 40, 80 and 200 columns, pipes, and a real one. */
import { cellWidth } from '../../../src/cli/cells.js';
import { printTable, tableFor } from '../../../src/cli/output.js';
import type { AccessRequest } from '../../../src/resources/access-request.js';
import { databaseServerTable } from '../../../src/tctl/get.js';
import { databaseTable, type ListedDatabase } from '../../../src/tsh/db/table.js';
import { requestTable } from '../../../src/tsh/request/text.js';
import { startTestCluster, type TestCluster } from '../../support/cluster.js';
import { memoryEnv } from '../../support/env.js';
import { findTerminal } from '../../support/terminal.js';

const linesOf = (text: string) => text.split('\n').slice(0, -1);
const widest = (text: string) => Math.max(...linesOf(text).map(cellWidth));

const listed = (name: string, description: string, isActive = false): ListedDatabase => ({
  database: {
    kind: 'db',
    version: 'v3',
    metadata: { name, description, labels: { env: 'production', team: 'data' } },
    spec: { protocol: 'postgres', uri: `${name}.example.com:5439` },
  },
  users: { allowed: ['analyst', 'reader'], denied: [] },
  names: { allowed: ['*'], denied: [] },
  dbRoles: [],
  ...(isActive && {
    active: { name, protocol: 'postgres', dbUser: 'analyst', dbName: 'dev', dbRoles: [], expiresAt: new Date(0) },
  }),
});
const databases = [listed('sales', 'Zahlen 🫠 für 日本'), listed('dwh', 'warehouse', true)];

describe('U9 databases', () => {
  const shownAt = async (columns: number | undefined) => {
    const env = memoryEnv({ ...(columns && { columns }) });
    await printTable(env, databaseTable(databases, { verbose: false }));
    return env.out();
  };

  test('in a pipe and on a wide terminal nothing is cut', async () => {
    const whole = [
      'Name                           Description        Allowed Users    Labels                   Connect            ',
      '------------------------------ ------------------ ---------------- ------------------------ ------------------ ',
      'sales                          Zahlen 🫠 für 日本 [analyst reader] env=production,team=data                    ',
      '> dwh (user: analyst, db: dev) warehouse          [analyst reader] env=production,team=data tsh db connect dwh ',
    ];
    expect(linesOf(await shownAt(undefined))).toEqual(whole);
    expect(linesOf(await shownAt(200))).toEqual(whole);
  });

  test.each([
    [
      80,
      [
        'Name                           Description   Allowed Users    Connect',
        '------------------------------ ------------- ---------------- ------------------',
        'sales                          Zahlen 🫠 ... [analyst reader]',
        '> dwh (user: analyst, db: dev) warehouse     [analyst reader] tsh db connect dwh',
      ],
    ],
    [
      40,
      [
        'Name                  Connect',
        '--------------------- ------------------',
        'sales',
        '> dwh (user: analy... tsh db connect dwh',
      ],
    ],
    [20, ['N Connect', '- ------------------', 's', '> tsh db connect dwh']],
  ])('on %i columns', async (columns, lines) => {
    const shown = await shownAt(columns);
    expect(linesOf(shown).map((line) => line.trimEnd())).toEqual(lines);
    expect(widest(shown)).toBeLessThanOrEqual(columns);
  });
});

test.each([20, 40, 80, 200])('U9 no table is wider than %i columns, but for what people copy', async (columns) => {
  const servers = databases.map(({ database }) => ({
    kind: 'db_server' as const,
    version: 'v3' as const,
    metadata: { name: database.metadata.name },
    spec: { version: '18.3.0', hostname: 'agent-1.internal.example.com', host_id: 'id', database },
  }));
  const env = memoryEnv({ columns: { stdout: columns, stderr: undefined } });
  const table = databaseServerTable(servers, { verbose: false });
  expect(widest((await tableFor(env, table)).text)).toBeLessThanOrEqual(columns);
  // The other stream is no terminal.
  expect(await tableFor(env, table, 'stderr')).toEqual(await tableFor(memoryEnv(), table));
  const request: AccessRequest = {
    kind: 'access_request',
    version: 'v3',
    metadata: { name: '0190a0c0-7b1e-7c3d-9a53-3f1f5f0f4a2b' },
    spec: { user: 'alice@example.com', roles: ['analyst', 'reader'], state: 1, created: '2026-11-21T06:53:00Z' },
  };
  const listing = linesOf(await requestTable(env, [request])).slice(0, 3);
  for (const line of listing.slice(2)) expect(line).toContain(request.metadata.name);
  if (columns >= 36) expect(Math.max(...listing.map(cellWidth))).toBeLessThanOrEqual(columns);
});

describe('U9 on a real terminal', () => {
  const openTerminal = findTerminal();
  const testOnTerminal = openTerminal ? test : test.skip;
  let cluster: TestCluster;
  beforeAll(async () => {
    if (!openTerminal) return;
    cluster = await startTestCluster({ users: [{ name: 'alice', roles: ['access'] }], agent: false });
    await cluster.login('alice', 'alice');
  });
  afterAll(() => cluster?.stop());

  testOnTerminal.each([20, 40, 200])('of %i columns no line breaks', async (columns) => {
    const tsh = [process.execPath, `${process.cwd()}/dist/tsh.js`, 'clusters'].map((word) => `'${word}'`).join(' ');
    const terminal = openTerminal!(['sh', '-c', `stty cols ${columns} && exec ${tsh}`], {
      cwd: process.cwd(),
      vars: { ...cluster.envOf('alice').vars, TERM: 'xterm' },
    });
    expect(await terminal.ended).toBe(0);
    const lines = terminal.all().replaceAll('\r', '').trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(lines[2]).toContain(cluster.name);
    expect(lines[0]!.includes('Labels')).toBe(columns === 200);
  });
});
