/**
 * What rules cost: one decision of the Database Service with 1,000 roles, and lists of 10,000 databases; first in this process, without
 * network and store, then as commands against a cluster. With REAL_TSH=FILE, of Teleport's own `tsh`, the lists of both in turns.
 *
 *     node test/tools/run.mjs test/bench/rules.ts [ROUNDS]
 */
import { loadavg } from 'node:os';
import { toMessage } from '../../src/api/convert.js';
import { oncePerKind } from '../../src/rbac/alike.js';
import { allowedNames, allowedUsers, entrances } from '../../src/rbac/allowed.js';
import { decideAccess } from '../../src/rbac/check.js';
import { expandRole } from '../../src/rbac/templates.js';
import { databaseWithDefaults, roleWithDefaults } from '../../src/resources/defaults.js';
import type { Database, Role } from '../../src/resources/types.js';
import { connectAdmin } from '../../src/tctl/connect.js';
import { startTestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { inTurns, median } from './measure.js';
import { ended, programArgs } from './processes.js';
import { ms, times } from './report.js';

const rounds = Number(process.argv[2] ?? 5);
const [ROLES, DATABASES] = [1000, 10_000];
const TEAMS = 200;
const ENVS = ['prod', 'stage', 'dev'];
const traits = { db_users: ['analyst', 'reader'], teams: ['t1', 't2'] };

const roleOf = (at: number): Role =>
  roleWithDefaults({
    kind: 'role',
    version: 'v7',
    metadata: { name: `role${at}` },
    spec: {
      allow: {
        db_labels: { team: [`t${at % TEAMS}`, '{{external.teams}}'], env: at % 3 === 0 ? ['prod', 'st*'] : '*' },
        db_users: ['{{internal.db_users}}', `user${at}`],
        db_names: ['dev', `name${at}`],
      },
      deny: at % 10 === 0 ? { db_users: ['awsuser', `denied${at}`] } : {},
      options: {},
    },
  } as unknown as Role);

const databaseOf = (at: number): Database =>
  databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: {
      name: `db${at}`,
      labels: {
        team: `t${at % TEAMS}`,
        env: ENVS[at % ENVS.length]!,
        Name: `cluster ${at}`,
        'account-id': '123456789012',
      },
    },
    spec: {
      protocol: 'postgres',
      uri: `db${at}.abc.eu-central-1.redshift.amazonaws.com:5439`,
      aws: { region: 'eu-central-1', account_id: '123456789012', redshift: { cluster_id: `db${at}` } },
    },
  } as unknown as Database);

const written = Array.from({ length: ROLES }, (_, at) => roleOf(at));
const databases = Array.from({ length: DATABASES }, (_, at) => databaseOf(at));
const roles = written.map((role) => expandRole(role, traits));
const asked = { username: 'alice', traits, roles };

/** Milliseconds of the processor, which other work on the machine does not change; the middle of the rounds. */
function measured(what: string, count: number, work: () => void): void {
  work(); // does not count: nothing is compiled yet
  const took = Array.from({ length: rounds }, () => {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000 / count;
  });
  console.log(`${what}: ${median(took).toFixed(3)} ms`);
}

const someDatabases = databases.slice(0, 100);
measured('templates of 1,000 roles', 1, () => written.map((role) => expandRole(role, traits)));
measured('a decision', someDatabases.length, () => {
  for (const database of someDatabases) {
    decideAccess({ ...asked, database, dbUser: 'analyst', dbName: 'dev', mfaVerified: false });
  }
});
measured('tctl access ls: 10,000 databases', 1, () => {
  const waysInto = oncePerKind(roles, (database) => entrances({ ...asked, database }));
  for (const database of databases) waysInto(database);
});
measured('tsh db ls: 10,000 databases', 1, () => {
  const allowed = oncePerKind(roles, (database) => [
    allowedUsers(roles, database, 'alice', traits),
    allowedNames(roles, database, traits),
  ]);
  for (const database of databases) allowed(database);
});
const cluster = await startTestCluster({
  process: {},
  roles: [...written, { ...written[0]!, metadata: { name: 'all' }, spec: allOfSpec() }],
  users: [{ name: 'bob', roles: ['all'] }],
});
try {
  await commands();
} finally {
  await cluster.stop();
}

/** One role for every database, as most people have. */
function allOfSpec(): object {
  return { allow: { db_labels: { '*': '*' }, db_users: ['analyst', 'reader'], db_names: ['dev'] } };
}

async function commands(): Promise<void> {
  const { dir, configFile, webCaFile } = cluster;
  await offer();
  const alice = {
    kind: 'user',
    version: 'v2',
    metadata: { name: 'alice' },
    spec: { roles: written.map(({ metadata }) => metadata.name), traits },
  };
  await cluster.create(alice);
  await cluster.login('bob', 'bob');
  const vars = { PATH: process.env.PATH ?? '', HOME: `${dir}/bob`, SSL_CERT_FILE: webCaFile };
  const ours = (program: 'tsh' | 'tctl', ...args: string[]) =>
    ended(process.execPath, programArgs(program, ...args), vars);
  const real = process.env.REAL_TSH;
  const took = await inTurns(rounds, {
    access: () => ours('tctl', '-c', configFile, 'access', 'ls', 'alice'),
    list: () => ours('tsh', 'db', 'ls', '--format=json'),
    real: async () => real && (await ended(real, ['db', 'ls', '--format=json'], vars)),
  });
  console.log(`tctl access ls of one with 1,000 roles: ${ms(took.access)}`);
  console.log(`tsh db ls of 10,000: ${ms(took.list)}`);
  if (real) console.log(`the real tsh db ls: ${ms(took.real)}; ours takes ${times(took.list / took.real)} of it`);
}

/** Every database, as an agent offers it. */
async function offer(): Promise<void> {
  await using admin = await connectAdmin(memoryEnv({}), { config: cluster.configFile });
  const at = [...databases];
  const offering = async () => {
    for (let database = at.pop(); database; database = at.pop()) {
      const { metadata } = database;
      const spec = { hostId: 'agent', hostname: 'agent', version: '18.3.0', database: toMessage('db', database) };
      await admin.auth.upsertDatabaseServer({
        server: { kind: 'db_server', version: 'v3', metadata: { name: metadata.name }, spec },
      });
    }
  };
  await Promise.all(Array.from({ length: 20 }, offering));
}
console.log(`load ${loadavg()[0]!.toFixed(1)}`);
