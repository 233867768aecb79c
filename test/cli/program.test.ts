/**
 * Tests: src/cli/command.ts, src/cli/flag.ts, src/cli/help.ts, src/cli/kingpin.ts, src/cli/option-values.ts
 * Tests: src/cli/parser.ts, src/cli/redacted.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, group, type OptionSpec, type ProgramSpec } from '../../src/cli/command.js';
import type { Env } from '../../src/cli/env.js';
import { runProgram } from '../../src/cli/program.js';
import { TeleportError } from '../../src/errors.js';
import { memoryEnv } from '../support/env.js';

const format: OptionSpec = {
  name: 'format',
  short: 'f',
  kind: 'enum',
  values: ['text', 'json', 'yaml'],
  default: 'text',
  description: 'Format output (text, json, yaml)',
};

function program(name: string, run: (env: Env, args: Record<string, unknown>) => Promise<number | undefined>) {
  const load = async () => ({ run });
  return {
    name,
    version: '18.3.0',
    description: 'Reach databases.',
    globals: [
      { name: 'proxy', env: 'TELEPORT_PROXY', description: 'Teleport proxy address' },
      { name: 'user', aliases: ['acme-user'], description: 'Teleport user' },
      { name: 'ttl', kind: 'int', description: 'Minutes to live' },
      {
        name: 'debug',
        short: 'd',
        kind: 'boolean',
        env: 'TELEPORT_DEBUG',
        envLenient: true,
        description: 'Debug logs',
      },
      { name: 'mfa-mode', kind: 'enum', values: ['auto', 'otp'], env: 'TELEPORT_MFA_MODE', description: 'MFA mode' },
    ],
    commands: [
      command({
        path: 'version',
        summary: 'Print the version',
        options: [{ name: 'client', kind: 'boolean', description: 'x' }],
        load,
      }),
      group({ path: 'db', summary: 'Databases', options: [{ name: 'cluster', short: 'c', description: 'Cluster' }] }),
      command({
        path: 'db ls [labels]',
        summary: 'List databases',
        options: [format, { name: 'verbose', short: 'v', kind: 'boolean', description: 'More' }],
        examples: ['tsh db ls env=dev'],
        load,
      }),
      command({
        path: 'db connect [db]',
        summary: 'Open psql',
        options: [{ name: 'db-user', short: 'u', description: 'User' }],
        passthrough: true,
        load,
      }),
      command({
        path: 'users rm <users...>',
        summary: 'Remove',
        aliases: ['users delete'],
        options: [
          { name: 'type', required: true, kind: 'list', description: 'Types' },
          { name: 'wait', kind: 'duration', default: 1000, description: 'Wait' },
        ],
        load,
      }),
    ],
  } satisfies ProgramSpec;
}

async function args(line: string[], vars: Record<string, string> = {}, name = 'tsh') {
  let seen: Record<string, unknown> | undefined;
  const env = memoryEnv({ vars });
  const status = await runProgram(
    program(name, async (_, given) => {
      seen = given;
      return undefined;
    }),
    line,
    env,
  );
  return { seen, status, err: env.err() };
}

const errorLine = (text: string) => `ERROR: ${text}\n\n`;

test('flags and arguments mix, globals and group flags stand on either side, the last value wins', async () => {
  const { seen, status } = await args([
    '--proxy=a',
    'db',
    '-c',
    'leaf',
    'ls',
    '-vfjson',
    'env=dev',
    '--format',
    'yaml',
    '--proxy',
    'b',
    '--ttl=5',
  ]);
  expect(status).toBe(0);
  expect(seen).toEqual({
    proxy: 'b',
    user: undefined,
    ttl: 5,
    debug: false,
    mfaMode: undefined,
    cluster: 'leaf',
    format: 'yaml',
    verbose: true,
    labels: 'env=dev',
  });
  expect((await args(['db', 'ls', '--cluster', 'x', '--verbose', '--no-verbose'])).seen).toMatchObject({
    cluster: 'x',
    verbose: false,
    format: 'text',
  });
});

test('lists gather and split at commas, durations are milliseconds, rest arguments are a list, aliases lead to the same row', async () => {
  const { seen } = await args(['users', 'delete', 'a', '--type=db,node', 'b', '--type', 'app', '--wait=1h30m']);
  expect(seen).toMatchObject({ users: ['a', 'b'], type: ['db', 'node', 'app'], wait: 5_400_000 });
});

test('a second spelling of an option arrives under the first', async () => {
  expect((await args(['version', '--acme-user=alice', '--client=false'])).seen).toMatchObject({
    user: 'alice',
    client: false,
  });
});

test('typed beats environment, empty environment counts as unset, and TELEPORT_DEBUG may be nonsense', async () => {
  expect((await args(['version'], { TELEPORT_PROXY: 'p', TELEPORT_DEBUG: '1' })).seen).toMatchObject({
    proxy: 'p',
    debug: true,
  });
  expect((await args(['version', '--proxy=q'], { TELEPORT_PROXY: 'p', TELEPORT_DEBUG: 'maybe' })).seen).toMatchObject({
    proxy: 'q',
    debug: false,
  });
  expect((await args(['version'], { TELEPORT_PROXY: '' })).seen).toMatchObject({ proxy: undefined });
  const bad = await args(['version'], { TELEPORT_MFA_MODE: 'x' });
  expect(bad.status).toBe(1);
  expect(bad.err).toContain("enum value must be one of auto,otp, got 'x'");
});

test('H8 what kingpin spells otherwise than commander is understood', async () => {
  const { seen } = await args(['--debug=false', 'db', 'ls', '-vf=json', '--no-debug=false', '--', '--help']);
  expect(seen).toMatchObject({ debug: true, verbose: true, format: 'json', labels: '--help' });
  expect((await args(['db', 'connect', '--db-user=-x', '-u=-y'])).seen).toMatchObject({ dbUser: '-y' });
  expect((await args(['version', '--ttl', '-5'])).err).toContain("expected argument for flag '--ttl'");
});

test('everything after -- belongs to psql, or is an argument where no program follows', async () => {
  expect((await args(['db', 'connect', 'pg', '-u', 'a', '--', '-c', '@x', '--help'])).seen).toMatchObject({
    db: 'pg',
    dbUser: 'a',
    passthrough: ['-c', '@x', '--help'],
  });
  expect((await args(['db', 'ls', '--', '-x'])).seen).toMatchObject({ labels: '-x' });
});

test('@file is replaced by the lines of the file', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'cli-'));
  try {
    writeFileSync(join(dir, 'args'), '# remark\n--type=db\nalice smith\n');
    expect((await args(['users', 'rm', `@${dir}/args`])).seen).toMatchObject({ type: ['db'], users: ['alice smith'] });
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect((await args(['version', '@/nope'], {}, 'tctl')).err).toBe(
    'tctl: error: open /nope: no such file or directory\nTry "tctl --help".\n',
  );
});

test.each([
  [['bogus'], 'expected command but got "bogus"', ''],
  [['dbs'], 'expected command but got "dbs", did you mean "db"?', ''],
  [['db', 'lss'], 'expected command but got "lss", did you mean "ls"?', ' db'],
  [['db', 'ls', '--bogus'], "unknown long flag '--bogus'", ' db ls'],
  [['version', '--clien'], `unknown long flag '--clien', did you mean "--client"?`, ' version'],
  [['version', '-f', 'json'], "unknown short flag '-f'", ' version'],
  [['db', 'ls', '--format'], "expected argument for flag '--format'", ' db ls'],
  [['version', 'client'], 'unexpected client', ' version'],
  [['version', '--cliemt=s3cret'], `unknown long flag '--cliemt', did you mean "--client"?`, ' version'],
  [['help', 'db', 'lss'], 'expected command but got "lss", did you mean "ls"?', ' db'],
  [['db', 'lss', '--help'], 'expected command but got "lss", did you mean "ls"?', ' db'],
  [['db', 'connect', '-u', '--db'], "expected argument for flag '-u'", ' db connect'],
  [['version', '--client=maybe'], 'unexpected maybe', ' version'],
])('U12 a line that cannot be read is one line, and one that leads to the help: %j', async (line, text, words) => {
  for (const program of ['tctl', 'tsh'] as const) {
    const { status, err } = await args(line, {}, program);
    expect([status, err]).toEqual([1, `${program}: error: ${text}\nTry "${program}${words} --help".\n`]);
  }
});

test.each([
  [['users', 'rm', '--type=x'], "required argument 'users' not provided", ' users rm'],
  [['users', 'rm', 'a'], 'required flag --type not provided', ' users rm'],
  [['db', 'ls', '-f', 'yml'], `enum value must be one of text,json,yaml, got 'yml', did you mean "yaml"?`, ' db ls'],
  [['db', 'ls', '-f', 'table'], "enum value must be one of text,json,yaml, got 'table'", ' db ls'],
  [['version', '--ttl=abc'], 'strconv.ParseInt: parsing "abc": invalid syntax', ' version'],
])('U12 a value that cannot be taken is the error, and leads to the help: %j', async (line, text, words) => {
  const { status, err } = await args(line, {}, 'tctl');
  expect([status, err]).toEqual([1, errorLine(`${text}\nTry "tctl${words} --help".`)]);
});

test('a group without a command shows its commands', async () => {
  const { status, err } = await args(['db'], {}, 'tctl');
  expect(status).toBe(1);
  expect(err.startsWith('usage: tctl db <command> [<args> ...]')).toBe(true);
  expect(err.endsWith(errorLine("must select a subcommand of 'db'"))).toBe(true);
});

test('help goes to standard error and ends with 0', async () => {
  const all = await args([]);
  expect(all.status).toBe(0);
  expect(all.err).toContain('Usage: tsh [<flags>] <command> [<args> ...]');
  expect(all.err).toContain('  db ls      List databases\n');
  expect(all.err.endsWith("Try 'tsh help [command]' to get help for a given command.\n")).toBe(true);
  const one = await args(['help', 'db', 'ls']);
  expect(one.err).toContain('  -v, --[no-]verbose  More\n');
  expect(one.err).toContain('Args:\n  [<labels>]');
  expect(one.err).toContain('Examples:\n  $ tsh db ls env=dev\n');
  expect((await args(['db', 'ls', '--help'])).err).toBe(one.err);
  expect((await args(['db', '-h', 'ls'])).err).toBe(one.err);
});

test('the returned number is the exit status, and what is thrown is printed once', async () => {
  const env = memoryEnv();
  expect(
    await runProgram(
      program('tsh', async () => 7),
      ['version'],
      env,
    ),
  ).toBe(7);
  const failing = program('tsh', async () => {
    throw new TeleportError('NotFound', 'no such thing');
  });
  expect(await runProgram(failing, ['version'], env)).toBe(1);
  expect(env.err()).toBe(errorLine('no such thing'));
});

test('a signal ends a command with 128+n and no text; a command that returns after it keeps its own status', async () => {
  const env = memoryEnv();
  const waiting = runProgram(
    program(
      'tsh',
      (inner) => new Promise((_, reject) => inner.signal.addEventListener('abort', () => reject(inner.signal.reason))),
    ),
    ['version'],
    env,
  );
  setImmediate(() => env.interrupt('SIGTERM'));
  expect([await waiting, env.err()]).toEqual([143, '']);
  const polite = memoryEnv();
  const ending = runProgram(
    program('tsh', (inner) => new Promise((done) => inner.signal.addEventListener('abort', () => done(0)))),
    ['version'],
    polite,
  );
  setImmediate(() => polite.interrupt());
  expect(await ending).toBe(0);
});

test('--debug opens the log and prints the report', async () => {
  const env = memoryEnv();
  const failing = program('tsh', async (inner) => {
    inner.log.debug('looking');
    throw new TeleportError('ConnectionProblem', 'outer', { cause: new Error('inner') });
  });
  expect(await runProgram(failing, ['-d', 'version'], env)).toBe(1);
  expect(env.err()).toMatch(/DEBUG \[TSH\] {7}looking\n[\s\S]*ERROR REPORT:\nOriginal Error: Error: inner\n/);
});
