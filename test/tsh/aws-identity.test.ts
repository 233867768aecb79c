/**
 * `tsh` without a cluster where names, logins and identities meet: nothing is taken for another's, nothing stays
 * behind.
 * Tests: src/access/aws/identities.ts, src/access/aws/open.ts, src/access/aws/search.ts, src/aws/profile.ts
 */
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openAws } from '../../src/access/aws/open.js';
import { nameProfile } from '../../src/aws/profile.js';
import { runTsh } from '../../src/tsh/main.js';
import { type AwsDirect, SALES_HOST, startAwsDirect } from '../support/aws-direct.js';
import { withoutProgress } from '../support/exec.js';

let world: AwsDirect;
beforeAll(async () => {
  world = await startAwsDirect();
});
afterAll(() => world?.stop());
beforeEach(() => {
  world.aws.calls.length = 0;
});
afterEach(() => world.tsh('logout'));

const login = async (...more: string[]) => {
  const all = ['login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`, ...more];
  expect(await world.tsh(...all)).toMatchObject({ status: 0, stderr: '' });
};
const home = (...path: string[]) => join(world.dir, ...path);
const services = () =>
  existsSync(home('.pg_service.conf')) ? readFileSync(home('.pg_service.conf'), 'utf8').trim() : '';
const passwordFiles = () =>
  existsSync(home('.tsh/aws'))
    ? readdirSync(home('.tsh/aws'), { recursive: true }).filter((one) => one !== 'default')
    : [];

describe('two databases of one name', () => {
  beforeAll(() => {
    world.aws.addRedshiftCluster({
      id: 'sales',
      region: 'eu-west-1',
      endpoint: { address: 'sales.def456.eu-west-1.redshift.amazonaws.com', port: 5439 },
    });
  });

  test('both are shown, and how one is chosen', async () => {
    await login('--region=eu-west-1');
    const { status, stderr } = await world.tsh('db', 'connect', 'sales');
    expect(status).toBe(1);
    expect(stderr).toContain('database "sales" matches multiple databases:');
    expect(stderr).toContain(`${SALES_HOST}:`);
    expect(stderr).toContain('sales.def456.eu-west-1.redshift.amazonaws.com:5439');
    expect(stderr).toMatch(/selecting the database by its URI \(ex: tsh db connect sales\.\S+:\d+\)/);
    const chosen = await world.tsh('db', 'login', 'sales', '--region=us-east-1');
    expect(chosen).toMatchObject({ status: 0, stderr: '' });
  });

  test('one that is logged into does not stand for the one of another region', async () => {
    await login();
    await world.tsh('db', 'login', 'sales', '--db-user=analyst');
    world.aws.calls.length = 0;
    const { status } = await world.tsh('db', 'login', 'sales', '--region=eu-west-1');
    expect(status).toBe(0);
    const minted = world.aws.calls.filter(({ action }) => /GetClusterCredentials/.test(action));
    expect(minted).toEqual([
      expect.objectContaining({ action: 'redshift:GetClusterCredentialsWithIAM', region: 'eu-west-1' }),
    ]);
  });
});

test('only the one that is logged into is marked', async () => {
  await login('--region=eu-west-1');
  await world.tsh('db', 'login', 'sales', '--region=us-east-1');
  const { stdout } = await world.tsh('db', 'ls');
  expect(stdout.match(/^> sales /gm)).toHaveLength(1);
  expect(stdout).toMatch(/^> sales .*us-east-1/m);
});

describe('db ls --all', () => {
  test('has the login at AWS', async () => {
    await login();
    const { status, stdout, stderr } = await world.tsh('db', 'ls', '--all');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Proxy +Cluster +Name /);
    expect(stdout).toMatch(/^aws +default +sales /m);
  });

  test('with a proxy that is named, only its clusters', async () => {
    await login();
    const { stderr } = await world.tsh('db', 'ls', '--all', '--proxy=nobody.example.com');
    expect(stderr).toContain('nobody.example.com');
  });
});

test('the command that is suggested leads back to the same place, through a shell too', async () => {
  await login();
  const { stdout } = await world.tsh('db', 'login', 'sales', '--region=eu-west-1,us-west-2');
  expect(stdout).toContain('tsh db connect --region=eu-west-1,us-west-2 sales\n');
  const url = 'jdbc:redshift:iam://sales:us-east-1/dev?DbUser=analyst&AutoCreate=true';
  const other = await world.tsh('db', 'login', url, '--aws');
  expect(other.stdout).toContain(`tsh db connect --aws '${url}'\n`);
  expect(other.stdout).toContain(`tsh db config --aws --format=cmd '${url}'\n`);
});

test('results on a pasted endpoint are files in the folder', async () => {
  await login();
  const out = home('results');
  const run = await world.tsh(
    'db',
    'exec',
    'select 42',
    '--dbs=jdbc:redshift:iam://sales:us-east-1/dev',
    `--output-dir=${out}`,
  );
  expect([run.status, withoutProgress(run.stderr)]).toEqual([0, '']);
  expect(readFileSync(join(out, 'jdbc_redshift_iam_sales_us-east-1_dev.output'), 'utf8')).toContain('42');
});

test('a region that is named twice is asked once', async () => {
  const { stdout } = await world.tsh('db', 'ls', '--region=us-east-1,us-east-1', '-f', 'json');
  const names = (JSON.parse(stdout) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);
  expect(names).toEqual(['archive', 'reports', 'sales']);
});

test('tags do not write to the terminal, and a name that is none is not taken', async () => {
  const tags = { TeleportDatabaseName: '../--x:5439\u001b[31m\nhost=other', note: 'a\u001b[2J\u202eb' };
  world.aws.addRedshiftCluster({ id: 'tagged', region: 'us-west-2', tags });
  const { stdout } = await world.tsh('db', 'ls', '--region=us-west-2', '-v');
  expect(stdout).toMatch(/^tagged +Redshift cluster/m);
  expect(stdout.replace(/\n/g, '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

describe('a pasted URL', () => {
  const url = () =>
    `jdbc:redshift://${SALES_HOST}:${world.redshift.ports.sales}/dev?DbUser=analyst&PWD=geheim&SecretAccessKey=geheim&ssl=true`;

  test('is found again as it was typed; what is secret in it stands in no text and no file', async () => {
    await login();
    const said = [];
    for (const verb of ['env', 'login', 'env', 'config', 'logout', 'logout'])
      said.push(await world.tsh('db', verb, url()));
    expect(said.map(({ status }) => status)).toEqual([1, 0, 0, 0, 0, 1]);
    expect(said[1]!.stderr).toContain('the AWS keys in the URL are not used');
    expect(said.at(-1)!.stderr).toContain(`not logged into database "jdbc:redshift://${SALES_HOST}`);
    await world.tsh('db', 'login', url());
    expect(
      JSON.stringify(said) + services() + readFileSync(home('.tsh/aws-profiles/default.json'), 'utf8'),
    ).not.toContain('geheim');
  });
});

describe('another identity behind the same name', () => {
  test('begins with nothing of the one before', async () => {
    await login();
    await world.tsh('db', 'login', 'sales', '--db-user=analyst');
    expect(services()).toContain('[default-sales]');
    expect(passwordFiles()).toContain('default/sales.pgpass');
    const bob = world.aws.addUser('bob', { policies: [] });
    const before = { ...process.env };
    Object.assign(process.env, world.aws.env(bob));
    await login();
    Object.assign(process.env, before);
    expect(services()).toBe('');
    expect(passwordFiles()).toEqual([]);
  });

  const passwordWith = async (vars: Record<string, string>) => {
    await using access = await openAws(world.envOf({ vars }), { aws: true });
    const [found] = await access.databases({ name: 'sales' });
    await using _ = await access.connector(await access.route(found!, { dbUser: 'analyst' }));
  };
  const minted = () => world.aws.count('redshift:GetClusterCredentials');

  test.each(['AWS_SHARED_CREDENTIALS_FILE', 'AWS_ROLE_ARN'])(
    'a password made before %s changed is not used',
    async (name) => {
      await login();
      for (const value of ['one', 'one', 'two']) await passwordWith({ [name]: value });
      expect(minted()).toBe(2);
    },
  );

  test('a password made before the shared files were written is not used', async () => {
    await login();
    const file = home('credentials');
    const vars = { AWS_SHARED_CREDENTIALS_FILE: file };
    writeFileSync(file, '[default]\n');
    for (let i = 0; i < 2; i++) await passwordWith(vars);
    expect(minted()).toBe(1);
    utimesSync(file, new Date(), new Date(Date.now() + 1000));
    await passwordWith(vars);
    expect(minted()).toBe(2);
  });
});

describe('logout', () => {
  test('a proxy that outlives it keeps no password on disk', async () => {
    await login();
    const env = world.envOf({ input: '' });
    await using access = await openAws(env, { aws: true });
    const [found] = await access.databases({ name: 'sales' });
    await world.tsh('logout');
    const route = await access.route(found!, { dbUser: 'analyst' });
    await using connector = await access.connector(route);
    expect(connector.dbUser).toBe('IAM:analyst');
    expect(passwordFiles()).toEqual([]);
  });

  test('a password that nobody asks for again goes with the next one', async () => {
    await login();
    const dead = `.tsh/aws/default/${'0'.repeat(64)}`;
    await world.tsh('db', 'login', 'reports');
    writeFileSync(home(dead), JSON.stringify({ password: 'p', expiresAt: new Date(Date.now() - 2 * 3_600_000) }));
    await world.tsh('db', 'login', 'sales');
    expect(passwordFiles()).not.toContain(dead.slice('.tsh/aws/'.length));
    expect(passwordFiles()).toHaveLength(4);
  });

  test('of one profile, with the roles that were assumed from it', async () => {
    await login();
    const path = home('.tsh/aws-profiles/default.json');
    const identity = JSON.parse(readFileSync(path, 'utf8')) as object;
    const role = {
      ...identity,
      name: 'dev+admin',
      awsProfile: 'dev',
      assumeRole: 'arn:aws:iam::123456789012:role/admin',
    };
    writeFileSync(home('.tsh/aws-profiles/dev%2Badmin.json'), JSON.stringify(role));
    const { stdout } = await world.tsh('logout', '--aws-profile=dev');
    expect(stdout).toBe('Logged out AWS profile dev+admin.\n');
    expect(existsSync(path)).toBe(true);
  });
});

describe('flags that do not go together', () => {
  const cases: [string, string[], RegExp][] = [
    [
      'an external id without a role',
      ['login', '--aws', '--external-id=x'],
      /--external-id is for a role that is assumed/,
    ],
    [
      '--auto-create as oneself',
      ['db', 'login', 'sales', '--auto-create'],
      /--auto-create is for plain users of Redshift/,
    ],
    [
      '--db-groups as a role',
      ['db', 'login', 'sales', '--db-user=role/x', '--db-groups=g'],
      /--db-groups is for plain users of Redshift clusters/,
    ],
    [
      '--auto-create on Serverless',
      ['db', 'login', 'reports', '--db-user=x', '--auto-create'],
      /--auto-create is for plain users of Redshift clusters/,
    ],
  ];
  test.each(cases)('%s', async (_, args, text) => {
    await login();
    const { status, stderr } = await world.tsh(...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(text);
  });
});

describe('a role at login', () => {
  test('that one may not assume: both statements that may be missing', async () => {
    const { stderr } = await world.tsh('login', '--aws', '--assume-role=arn:aws:iam::123456789012:role/none');
    expect(stderr).toContain('is not authorized to perform: sts:AssumeRole');
    expect(stderr).toContain('The trust policy of arn:aws:iam::123456789012:role/none needs:');
  });

  test('that is none', async () => {
    const { stderr } = await world.tsh('login', '--aws', '--assume-role=admin');
    expect(stderr).toContain('--assume-role: "admin" is not the ARN of an IAM role');
  });
});

test('a profile comes before keys in the environment, without a word of the SDK', async () => {
  const file = home('aws-config');
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = world.aws.env(
    world.aws.addUser('carol', { policies: [] }),
  );
  writeFileSync(file, `[profile carol]\naws_access_key_id=${id}\naws_secret_access_key=${secret}\n`);
  const before = process.env.AWS_CONFIG_FILE;
  process.env.AWS_CONFIG_FILE = file;
  const said = [jest.spyOn(console, 'warn'), jest.spyOn(console, 'error')];
  const { stdout } = await world.tsh('login', '--aws-profile=carol');
  if (before === undefined) delete process.env.AWS_CONFIG_FILE;
  else process.env.AWS_CONFIG_FILE = before;
  expect(stdout).toContain('user/carol');
  for (const one of said) expect(one).not.toHaveBeenCalled();
  jest.restoreAllMocks();
});

test('B7 a login remembers its profile, and later commands obey all of it', async () => {
  const file = home('aws-config');
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = world.aws.env(world.person);
  const config = (more: string) =>
    writeFileSync(file, `[profile inside]\naws_access_key_id=${id}\naws_secret_access_key=${secret}\n${more}\n`);
  const names = ['AWS_CA_BUNDLE', 'AWS_CONFIG_FILE', 'AWS_ENDPOINT_URL', 'AWS_REGION', 'AWS_DEFAULT_REGION'] as const;
  const before = names.map((name) => process.env[name]);
  for (const name of names) delete process.env[name];
  process.env.AWS_CONFIG_FILE = file;
  try {
    config(`region = us-east-1\nendpoint_url = ${world.aws.url}`);
    expect((await world.tsh('login', '--aws-profile=inside')).stdout).toMatch(
      /user\/alice\n[\s\S]*Regions: +us-east-1/,
    );
    expect((await world.tsh('db', 'ls')).stdout).toContain('reports');
    const query = await world.tsh('db', 'exec', 'select current_user', '--dbs=sales', `--ca-file=${world.caFile}`);
    expect(query.stdout).toContain('IAM:alice');
    config('use_fips_endpoint = true\nmax_attempts = 1\nca_bundle = /nonexistent/ca.pem');
    expect((await world.tsh('db', 'ls')).stderr).toContain(
      'ca_bundle of the AWS profile: cannot read /nonexistent/ca.pem',
    );
  } finally {
    nameProfile(undefined);
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    });
  }
});

test('a server of an unknown authority is refused, --insecure is about proxies: what to look at', async () => {
  const env = world.envOf({ input: '' });
  const endpoint = `${SALES_HOST}:${world.redshift.ports.sales}`;
  await runTsh(['db', 'exec', 'select 1', `--dbs=${endpoint}`, '--insecure'], env);
  expect(env.err()).toContain('unless --ca-file names who does');
});
