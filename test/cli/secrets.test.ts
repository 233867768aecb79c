/**
 * Every program, with a password in every place where something is typed: nobody says it back.
 * Tests: src/cli/refuse-secrets.ts, src/teleport/membership.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runProgram } from '../../src/cli/program.js';
import { program as tctl } from '../../src/tctl/commands.js';
import { program as teleport } from '../../src/teleport/commands.js';
import { runTsh } from '../../src/tsh/main.js';
import { memoryEnv } from '../support/env.js';
import { FORMS, SECRET } from '../support/secret-forms.js';

let dir: string;
const before = { ...process.env };
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'secrets-'));
  writeFileSync(
    join(dir, 'no-auth.yaml'),
    `{teleport: {data_dir: ${dir}/none}, auth_service: {enabled: no}, proxy_service: {enabled: no}}`,
  );
  for (const name of Object.keys(process.env)) if (/^AWS_|proxy$/i.test(name)) delete process.env[name];
  Object.assign(process.env, {
    AWS_CONFIG_FILE: join(dir, 'none'),
    AWS_SHARED_CREDENTIALS_FILE: join(dir, 'none'),
    AWS_EC2_METADATA_DISABLED: 'true',
  });
});
afterAll(() => {
  process.env = before;
  rmSync(dir, { recursive: true });
});

type Program = 'tsh' | 'tctl' | 'teleport';

async function said(name: Program, args: string[], vars: Record<string, string> = {}): Promise<string> {
  const env = memoryEnv({
    home: dir,
    cwd: dir,
    input: '',
    // An existing file: with a missing one tctl refuses before it reads what it was given.
    vars: { PATH: process.env.PATH, TELEPORT_CONFIG_FILE: join(dir, 'no-auth.yaml'), ...vars },
  });
  await (name === 'tsh' ? runTsh(args, env) : runProgram(name === 'tctl' ? tctl : teleport, args, env));
  return env.out() + env.err();
}

/** Commands that cannot succeed, and reach nothing beyond this machine. */
const LINES: [Program, (form: string) => string[]][] = [
  ['tsh', (form) => [form]],
  ['tsh', (form) => [`--${form}`]],
  ['tsh', (form) => ['db', form]],
  ['tsh', (form) => ['db', 'ls', `--bogus=${form}`]],
  ['tsh', (form) => ['db', 'ls', '--bogus', form]],
  ['tsh', (form) => ['db', 'ls', 'x', form, form]],
  ['tsh', (form) => ['db', 'ls', `--format=${form}`]],
  ['tsh', (form) => ['login', `--ttl=${form}`]],
  ['tsh', (form) => ['status', `--insecure=${form}`]],
  ['tsh', (form) => ['login', '--debug', `--proxy=${form}`, '--user=bob']],
  ['tsh', (form) => ['db', 'ls', '--debug', '--proxy', form]],
  ['tsh', (form) => ['db', 'ls', `--identity=${form}`]],
  ['tsh', (form) => ['db', 'ls', '--aws', '--debug', `--region=${form}`]],
  ['tsh', (form) => ['db', 'ls', '--aws', '--region=us-east-1', `--aws-profile=${form}`]],
  ['tsh', (form) => ['db', 'ls', '--aws', `--assume-role=${form}`]],
  ['tsh', (form) => ['db', 'ls', '--aws', `--ca-file=${form}`]],
  ['tsh', (form) => ['db', 'connect', '--debug', 'sales', form]],
  ['tsh', (form) => ['db', 'connect', '--debug', '--region=us-east-1', form]],
  ['tsh', (form) => ['db', 'login', '--region=us-east-1', form]],
  ['tsh', (form) => ['db', 'env', '--region=us-east-1', form]],
  ['tsh', (form) => ['db', 'config', '--region=us-east-1', form]],
  ['tsh', (form) => ['proxy', 'db', '--region=us-east-1', '--tunnel', form]],
  ['tsh', (form) => ['proxy', 'db', `--port=${form}`, 'sales']],
  ['tsh', (form) => ['db', 'exec', 'select 1', '--region=us-east-1', `--dbs=${form}`]],
  ['tsh', (form) => ['request', 'show', form]],
  ['tsh', (form) => ['logout', '--user=bob', `--proxy=${form}`]],
  ['tctl', (form) => ['tokens', 'add', '--type=db', '--db-name=x', '--db-protocol=postgres', `--db-uri=${form}`]],
  ['tsh', (form) => [`@${form}`]],
  ['tctl', (form) => [form]],
  ['tctl', (form) => ['get', form]],
  ['tctl', (form) => ['rm', form]],
  ['tctl', (form) => ['create', form]],
  ['tctl', (form) => ['status', `--auth-server=${form}`]],
  ['tctl', (form) => ['status', `--config=${form}`]],
  ['tctl', (form) => ['status', `--identity=${form}`]],
  ['tctl', (form) => ['users', 'add', 'bob', `--ttl=${form}`]],
  ['teleport', (form) => [form]],
  ['teleport', (form) => ['start', '--data-dir=/nonexistent/data', form]],
  ['teleport', (form) => ['start', '--data-dir=/nonexistent/data', `--roles=${form}`]],
  [
    'teleport',
    (form) => [
      'start',
      '--data-dir=/nonexistent/data',
      '--roles=db',
      '--auth-server=127.0.0.1:x',
      `--diag-addr=${form}`,
    ],
  ],
  [
    'teleport',
    (form) => [
      'db',
      'configure',
      'create',
      '--name=x',
      '--protocol=postgres',
      '--proxy=h:1',
      '--token=t',
      `--uri=${form}`,
    ],
  ],
  ['teleport', (form) => ['configure', '--output=stdout', `--cluster-name=${form}`]],
  ['teleport', (form) => ['configure', '--output=stdout', `--data-dir=${form}`]],
  ['teleport', (form) => ['configure', '--output=stdout', `--node-labels=a=${form}`]],
  ...['labels=a=', 'dynamic-resources-labels=a=', 'ca-cert-file=', 'aws-region=', 'ca-pin=', 'redshift-discovery='].map(
    (flag): [Program, (form: string) => string[]] => [
      'teleport',
      (form) => ['db', 'configure', 'create', '--name=x', '--proxy=h:1', '--token=t', `--${flag}${form}`],
    ],
  ),
  ['teleport', (form) => ['db', 'configure', 'aws', 'print-iam', '--types=redshift', `--role=${form}`]],
  ['teleport', (form) => ['install', 'systemd', `--pid-file=${form}`]],
];

describe.each(LINES.map(([name, line]) => [`${name} ${line('…').join(' ')}`, name, line] as const))(
  'B4 %s',
  (_, name, line) => {
    // A password alone is a name to some commands; the other forms say what they are.
    test.each(FORMS)('%s', async (form) => {
      expect(await said(name, line(form))).not.toContain(SECRET);
    });
  },
);

test.each(['TELEPORT_PROXY', 'TELEPORT_CLUSTER', 'TELEPORT_USER', 'TELEPORT_LOGIN'])(
  'B4 %s of the environment',
  async (variable) => {
    for (const form of FORMS) {
      expect(await said('tsh', ['db', 'ls', '--debug'], { [variable]: form })).not.toContain(SECRET);
    }
  },
);

test.each(FORMS)('B4 a file with an address in it, of teleport or of tctl: %s', async (uri) => {
  const config = join(dir, 'teleport.yaml');
  const text = (database: object, more: object = {}) =>
    JSON.stringify({
      version: 'v3',
      teleport: { data_dir: join(dir, 'data'), auth_server: '127.0.0.1:1', auth_token: 'x', ...more },
      auth_service: { enabled: 'no' },
      proxy_service: { enabled: 'no' },
      db_service: { enabled: 'yes', databases: [database] },
    });
  for (const file of [
    text({ name: 'd', protocol: 'postgres', uri }),
    text({ name: 'd', protocol: 'postgres', uri, bogus: uri }),
    text({ name: 'd', protocol: uri, uri: 'h:1' }),
    text({ name: 'd', protocol: 'postgres', uri: 'h:1' }, { auth_server: uri }),
  ]) {
    writeFileSync(config, file);
    expect(await said('teleport', ['start', `--config=${config}`])).not.toContain(SECRET);
  }
  const resource = join(dir, 'db.yaml');
  for (const file of [
    JSON.stringify({ kind: 'db', version: 'v3', metadata: { name: 'd' }, spec: { protocol: 'postgres', uri } }),
    JSON.stringify({ kind: uri, metadata: { name: 'd' } }),
    `kind: db\nspec:\n  uri: ${uri}\n uri: ${uri}\n`,
  ]) {
    writeFileSync(resource, file);
    expect(await said('tctl', ['create', resource])).not.toContain(SECRET);
  }
});

/** Values that are mistakes in YAML, as passwords and tokens often are where the quotes were forgotten. */
const YAML_MISTAKES = [
  '*S',
  '!S',
  '!foo!S x',
  '!<S',
  '@S',
  '%S',
  '>S',
  '|S',
  '&S',
  '"a\\q S"',
  "'a'S",
  '[S',
  ']S',
  '{? {a: S}: x}',
  'a: b: S',
];

/** Some of them are no mistakes but other words: nothing must start. */
const OFF = 'auth_service: { enabled: no }\nproxy_service: { enabled: no }\ndb_service: { enabled: no }\n';

test.each(YAML_MISTAKES)(
  'B4 a secret that is a mistake in YAML is not quoted, by no program and with --debug neither: %s',
  async (form) => {
    const value = form.replace('S', SECRET);
    const home = join(dir, '.tsh');
    mkdirSync(join(home, 'config'), { recursive: true });
    const files = {
      resource: join(dir, 'mistake.yaml'),
      config: join(dir, 'mistake-teleport.yaml'),
      tsh: join(home, 'config', 'config.yaml'),
    };
    writeFileSync(files.resource, `kind: db\nspec:\n  password: ${value}\n`);
    writeFileSync(files.config, `teleport:\n  data_dir: ${dir}/none\n  auth_token: ${value}\n${OFF}`);
    writeFileSync(files.tsh, `add_headers:\n- proxy: "*"\n  headers:\n    Authorization: ${value}\n`);
    try {
      for (const debug of [[], ['--debug']]) {
        expect(await said('tctl', ['create', files.resource, ...debug])).not.toContain(SECRET);
        expect(await said('tctl', ['status', `--config=${files.config}`, ...debug])).not.toContain(SECRET);
        // Not `start`: what is not a mistake after all would start a daemon for real.
        expect(await said('teleport', ['configure', `--test=${files.config}`, ...debug])).not.toContain(SECRET);
        expect(await said('tsh', ['db', 'ls', '--proxy=127.0.0.1:1', ...debug])).not.toContain(SECRET);
      }
    } finally {
      rmSync(home, { recursive: true });
    }
  },
);

test("B4 a token's name is its secret: a mistake in its file is told without it", async () => {
  const file = join(dir, 'token.yaml');
  writeFileSync(file, `kind: token\nmetadata:\n  name: ${SECRET}12345678\n  bogus: 1\nspec:\n  roles: [Db]\n`);
  const text = await said('tctl', ['create', '--debug', file]);
  expect(text).toContain('unknown field metadata.bogus');
  expect(text).not.toContain(SECRET);
});

test('B4 what the SDK writes to the console by itself', () => {
  const { HTTPS_PROXY: _, ...vars } = before;
  const result = spawnSync(process.execPath, [resolve('dist/tsh.js'), 'db', 'ls', '--aws', '--region=us-east-1'], {
    encoding: 'utf8',
    timeout: 100_000,
    env: {
      PATH: vars.PATH,
      HOME: dir,
      AWS_ACCESS_KEY_ID: 'AKIA1',
      AWS_SECRET_ACCESS_KEY: `${SECRET}1`,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ENDPOINT_URL: `jdbc:redshift:iam://h:5439/dev;UID=bob;PWD=${SECRET};x=y`,
    },
  });
  expect(result.status).toBe(1);
  expect(result.stderr).toContain('ERROR');
  expect(result.stdout + result.stderr).not.toContain(SECRET);
});
