/**
 * The main job with the built `tsh` in a real AWS account: log in, list, enter, log out. It asks AWS for nothing but what a
 * person's commands ask, makes nothing there, and reads `select 1`.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findPsql } from '../../src/localproxy/psql/run.js';

export type Vars = Record<string, string | undefined>;

/** Time for one command; a login by IAM Identity Center must be there before. */
const COMMAND_MS = 60_000;

/** What names the account's databases. Who one is and the region come from AWS's own settings. */
const CLUSTER = 'TEST_AWS_CLUSTER';
const WORKGROUP = 'TEST_AWS_WORKGROUP';
const DB_USER = 'TEST_AWS_DB_USER';
const CA_FILE = 'TEST_AWS_CA_FILE';

/** Something that must be so. */
interface Step {
  title: string;
  /** Why it is not done. */
  skip: string | undefined;
  /** @throws Error when it is not so */
  check(tsh: Tsh): Promise<void>;
}

interface Ended {
  status: number;
  stdout: string;
  all: string;
}
type Tsh = (...args: string[]) => Promise<Ended>;

/**
 * Says what was done and what was not; the last line counts.
 *
 * @returns exit status
 */
export async function testAccount(vars: Vars, say: (line: string) => void): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'test-aws-'));
  const tsh: Tsh = (...args) => run(args, { ...vars, TELEPORT_HOME: home });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const hasPsql = (await findPsql(vars.PATH)) !== undefined;
    for (const { title, skip, check } of stepsOf(vars, home, hasPsql)) {
      const blocked = skip ?? (counts.failed > 0 && title !== LOGOUT ? 'what comes before it failed' : undefined);
      if (blocked !== undefined) {
        counts.skipped++;
        say(`skipped  ${title}: ${blocked}`);
        continue;
      }
      try {
        await check(tsh);
        counts.passed++;
        say(`ok       ${title}`);
      } catch (error) {
        counts.failed++;
        say(`FAILED   ${title}: ${(error as Error).message.trim()}`);
      }
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
  say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  return counts.failed === 0 ? 0 : 1;
}

const LOGOUT = 'tsh logout, and nothing is left';

function stepsOf(vars: Vars, home: string, hasPsql: boolean): Step[] {
  const databases = [vars[CLUSTER], vars[WORKGROUP]].filter((one) => !!one) as string[];
  const none = databases.length === 0 ? `neither ${CLUSTER} nor ${WORKGROUP} is set` : undefined;
  const of = (variable: string) => none ?? (vars[variable] ? undefined : `${variable} is not set`);
  const enter = (variable: string, how: string, ...flags: string[]): Step => ({
    title: `tsh db connect ${vars[variable] || variable} ${how}, and "select 1"`,
    skip: of(variable) ?? (hasPsql ? undefined : 'there is no psql'),
    async check(tsh) {
      const { stdout } = await tsh('db', 'connect', ...flags, vars[variable]!, '--', '-At', '-c', 'select 1');
      if (stdout.trim() !== '1') throw new Error(`it said ${JSON.stringify(stdout)}`);
    },
  });
  const asUser = enter(CLUSTER, `as ${vars[DB_USER] || DB_USER}`, `--db-user=${vars[DB_USER]}`);
  const ca = vars[CA_FILE] ? [`--ca-file=${vars[CA_FILE]}`] : [];
  return [
    {
      title: 'tsh login --aws',
      skip: none,
      async check(tsh) {
        const { stdout } = await tsh('login', '--aws', ...ca);
        if (!/Logged in as: +arn:/.test(stdout)) throw new Error(`it said ${JSON.stringify(stdout)}`);
        if ((await readdir(home)).length === 0) throw new Error('it remembers nothing in TELEPORT_HOME');
      },
    },
    {
      title: 'tsh db ls has the databases that are named',
      skip: none,
      async check(tsh) {
        const { stdout } = await tsh('db', 'ls', '--format=json');
        const found = (JSON.parse(stdout) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
        const missing = databases.filter((one) => !found.includes(one));
        if (missing.length > 0) throw new Error(`there is no ${missing.join(', no ')} in ${found.join(', ')}`);
      },
    },
    enter(CLUSTER, 'as oneself'),
    { ...asUser, skip: of(DB_USER) ?? asUser.skip },
    enter(WORKGROUP, 'as oneself'),
    {
      title: LOGOUT,
      skip: none,
      async check(tsh) {
        await tsh('logout');
        const left = await readdir(home);
        if (left.length > 0) throw new Error(`it left ${left.join(', ')}`);
      },
    },
  ];
}

/** @throws Error with all that it said when its status is not 0 */
function run(args: string[], env: Vars): Promise<Ended> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [resolve('dist/tsh.js'), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_MS,
    });
    let stdout = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      all += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      all += text;
    });
    child.once('error', fail);
    child.once('close', (code, signal) => {
      if (code === 0) done({ status: code, stdout, all });
      else fail(new Error(`${signal ? `no end within ${COMMAND_MS / 1000} s` : `status ${code}`}: ${all}`));
    });
  });
}
