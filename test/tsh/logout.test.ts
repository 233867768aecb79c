/**
 * `tsh logout` and `tsh db logout` log out, or say why not and end with a status other than 0.
 * Tests: src/access/open.ts, src/tsh/alerts.ts, src/tsh/logout-aws.ts
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runTsh } from '../../src/tsh/main.js';
import { memoryEnv } from '../support/env.js';
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster/cluster.js';
import { isRoot, NOBODY, Nobody } from '../support/nobody.js';
import { mountSmallDisk, testOnSmallDisk } from '../support/small-disk.js';

let cluster: FakeCluster;
/** A home with a login, copied for every test. */
let origin: string;
let home: string;
let dir: string;

async function tsh(words: string[], vars: Record<string, string> = {}) {
  const env = memoryEnv({
    home,
    tty: { stdin: words[0] === 'login' },
    vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none'), USER: 'osuser', ...vars },
  });
  if (words[0] === 'login') for (const answer of ['correct', '123456']) env.type(`${answer}\n`);
  const status = await runTsh(words, env);
  return { status, stdout: env.out(), stderr: env.err() };
}

/** Private keys and certificates anywhere below the home. */
const keys = (at = home) =>
  (readdirSync(at, { recursive: true, encoding: 'utf8' }) as string[]).filter((name) =>
    /alice(\.key|\.crt)?$/.test(name),
  );

beforeAll(async () => {
  cluster = await startFakeCluster({ now: () => new Date() });
  dir = mkdtempSync(join(tmpdir(), 'teleshift-logout-'));
  origin = join(dir, 'origin');
  mkdirSync(origin);
  home = origin;
  const { status, stderr } = await tsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice']);
  if (status !== 0) throw new Error(stderr);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  home = mkdtempSync(join(dir, 'home-'));
  cpSync(join(origin, '.tsh'), join(home, '.tsh'), { recursive: true });
});

describe('U11 tsh logout', () => {
  test.each<[string, string[], Record<string, string>]>([
    ['plain', [], {}],
    ['TELEPORT_PROXY, as "tsh env" sets it', [], { TELEPORT_PROXY: 'localhost:3080' }],
    ['--proxy', ['--proxy=localhost'], {}],
    ['--proxy with a scheme', ['--proxy=https://localhost:3080'], {}],
    ['--proxy, as a browser shows it', ['--proxy=https://localhost:3080/'], {}],
    ['--proxy in capitals', ['--proxy=LocalHost:3080'], {}],
    ['TELEPORT_USER', [], { TELEPORT_USER: 'alice' }],
    ['--user', ['--user=alice'], {}],
    ['both flags', ['--proxy=localhost:1', '--user=alice'], {}],
    ['both variables', [], { TELEPORT_PROXY: 'localhost', TELEPORT_USER: 'alice' }],
    ['TELEPORT_CLUSTER', [], { TELEPORT_CLUSTER: 'elsewhere.example.com' }],
    ['TELEPORT_CLUSTER and TELEPORT_PROXY', [], { TELEPORT_CLUSTER: 'x', TELEPORT_PROXY: 'localhost:3080' }],
    ['an identity file of the environment', [], { TELEPORT_IDENTITY_FILE: '/nonexistent' }],
  ])('%s: the keys are gone, status 0', async (_, words, vars) => {
    expect(keys().length).toBe(3);
    const { status, stdout, stderr } = await tsh(['logout', ...words], vars);
    expect([status, stderr, keys()]).toEqual([0, '', []]);
    expect(stdout).toMatch(/^Logged out (all users from all proxies|alice from localhost)\.\n$/);
  });

  test('TELEPORT_HOME names the folder', async () => {
    cpSync(join(home, '.tsh'), join(home, 'other'), { recursive: true });
    expect((await tsh(['logout'], { TELEPORT_HOME: join(home, 'other') })).status).toBe(0);
    expect([keys(join(home, 'other')), keys().length]).toEqual([[], 3]);
  });

  test.each<[string, string[], Record<string, string>]>([
    ['another proxy', ['--proxy=other.example.com'], {}],
    ['another proxy of the environment', [], { TELEPORT_PROXY: 'other.example.com:443' }],
    ['another user', ['--user=bob'], {}],
    ['another user of the environment', [], { TELEPORT_USER: 'bob' }],
    ['another user at this proxy', ['--user=bob'], { TELEPORT_PROXY: 'localhost' }],
    ['this user at another proxy', ['--proxy=other.example.com', '--user=alice'], {}],
    ['an AWS profile', ['--aws-profile=dev'], {}],
  ])('%s: nothing matches, which is said with status 1', async (_, words, vars) => {
    const { status, stdout, stderr } = await tsh(['logout', ...words], vars);
    expect([status, keys().length]).toEqual([1, 3]);
    expect(stdout + stderr).toMatch(/already logged out|nobody is logged in at other|bob is not logged in/);
  });

  test.each([':3080', 'https://', '/', ','])('a proxy without a host (%j) is not everybody', async (proxy) => {
    const { status, stdout, stderr } = await tsh(['logout'], { TELEPORT_PROXY: proxy });
    expect([status, stdout, keys().length]).toEqual([1, '', 3]);
    expect(stderr).toContain(`ERROR: invalid proxy address: ${JSON.stringify(proxy)}\n`);
  });

  test('who is logged in is named where nobody was meant', async () => {
    const { stderr } = await tsh(['logout'], { TELEPORT_PROXY: 'other.example.com' });
    expect(stderr).toBe(
      'ERROR: nobody is logged in at other.example.com\nLogged in: alice at localhost. "tsh logout" without --proxy, --user, TELEPORT_PROXY and TELEPORT_USER logs out of all.\n\n',
    );
  });

  test('one of several users: the others stay', async () => {
    for (const name of ['.crt', '.key', '']) {
      cpSync(join(home, `.tsh/keys/localhost/alice${name}`), join(home, `.tsh/keys/localhost/bob${name}`));
    }
    expect((await tsh(['logout', '--user=bob'])).stdout).toBe('Logged out bob from localhost.\n');
    expect([keys().length, existsSync(join(home, '.tsh/keys/localhost/bob.key'))]).toEqual([3, false]);
  });

  test.each<[string, (base: string) => void]>([
    ['a profile that is no YAML', (base) => writeFileSync(join(base, 'localhost.yaml'), '{ not: [yaml')],
    ['a profile without a proxy', (base) => writeFileSync(join(base, 'localhost.yaml'), 'user: alice\n')],
    ['an empty profile', (base) => writeFileSync(join(base, 'localhost.yaml'), '')],
    ['no profile', (base) => rmSync(join(base, 'localhost.yaml'))],
    [
      'a profile that is a folder',
      (base) => {
        rmSync(join(base, 'localhost.yaml'));
        mkdirSync(join(base, 'localhost.yaml'));
      },
    ],
    [
      'a current profile that is not there',
      (base) => writeFileSync(join(base, 'current-profile'), 'gone.example.com\n'),
    ],
    [
      'a current profile that is a folder',
      (base) => {
        rmSync(join(base, 'current-profile'));
        mkdirSync(join(base, 'current-profile'));
      },
    ],
    ['no certificate', (base) => rmSync(join(base, 'keys/localhost/alice.crt'))],
    ['a broken certificate', (base) => writeFileSync(join(base, 'keys/localhost/alice.crt'), 'x')],
    [
      'a broken SSH certificate',
      (base) => {
        for (const name of readdirSync(join(base, 'keys/localhost/alice-ssh')))
          writeFileSync(join(base, 'keys/localhost/alice-ssh', name), 'x');
      },
    ],
  ])('%s: everything is removed', async (_, damage) => {
    for (const [words, vars] of [
      [[], {}],
      [[], { TELEPORT_PROXY: 'localhost' }],
    ] as const) {
      rmSync(join(home, '.tsh'), { recursive: true });
      cpSync(join(origin, '.tsh'), join(home, '.tsh'), { recursive: true });
      damage(join(home, '.tsh'));
      const { status, stderr } = await tsh(['logout', ...words], vars);
      expect([status, stderr, keys()]).toEqual([0, '', []]);
    }
  });

  testOnSmallDisk.each([
    [['logout'], {}],
    [['logout'], { TELEPORT_PROXY: 'localhost' }],
    [['logout', '--proxy=localhost', '--user=alice'], {}],
  ])('on a full disk the keys go all the same: %j %j', async (words, vars) => {
    const disk = mountSmallDisk(256);
    try {
      cpSync(join(origin, '.tsh'), join(disk.dir, '.tsh'), { recursive: true });
      home = disk.dir;
      disk.fill();
      const { status, stderr } = await tsh(words, vars as Record<string, string>);
      expect([status, stderr, keys()]).toEqual([0, '', []]);
      expect(existsSync(join(home, '.tsh/.lock'))).toBe(false);
      // Nothing new is begun there, and the way out is not that of a folder without the right to write.
      disk.fill();
      const login = await tsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice']);
      expect(login).toMatchObject({ status: 1, stdout: '' });
      expect(login.stderr).toMatch(/: no space left on device\nMake room there, or name another place\.\n\n$/);
    } finally {
      disk.unmount();
    }
  });

  test('nobody is logged in: status 0', async () => {
    await tsh(['logout']);
    expect(await tsh(['logout'])).toEqual({ status: 0, stdout: 'All users logged out.\n', stderr: '' });
  });

  test('an AWS login whose file is broken is removed with its passwords', async () => {
    for (const words of [['logout'], ['logout', '--aws'], ['logout', '--aws-profile=dev']]) {
      mkdirSync(join(home, '.tsh/aws-profiles'), { recursive: true });
      mkdirSync(join(home, '.tsh/aws/dev'), { recursive: true });
      writeFileSync(join(home, '.tsh/aws-profiles/dev.json'), '{');
      writeFileSync(join(home, '.tsh/aws/dev/secret'), 'x');
      const { status, stdout } = await tsh(words);
      expect(stdout).toContain('Logged out AWS profile dev.');
      expect(status).toBe(0);
      expect(
        existsSync(join(home, '.tsh/aws-profiles/dev.json')) || existsSync(join(home, '.tsh/aws/dev/secret')),
      ).toBe(false);
    }
  });

  test('a folder that cannot be written: named, with status 1', () => {
    chmodSync(dir, 0o755);
    chmodSync(home, 0o755);
    const base = join(home, '.tsh');
    if (isRoot) {
      for (const name of ['', ...(readdirSync(base, { recursive: true, encoding: 'utf8' }) as string[])])
        chownSync(join(base, name), NOBODY, NOBODY);
    }
    chmodSync(base, 0o500);
    using nobody = new Nobody();
    const run = (words: string[], vars = {}) => nobody.run(['dist/tsh.js', ...words], { HOME: home, ...vars });
    for (const vars of [{}, { TELEPORT_PROXY: 'localhost' }, { TELEPORT_PROXY: 'localhost', TELEPORT_USER: 'alice' }]) {
      const { status, stdout, stderr } = run(['logout'], vars);
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(`ERROR: cannot write ${base}/.lock: permission denied\n`);
      expect(stderr).toContain('TELEPORT_HOME');
    }
    // One folder below: what can be removed is removed, what is left is named.
    chmodSync(base, 0o700);
    chmodSync(join(base, 'keys/localhost/alice-ssh'), 0o500);
    const { status, stderr } = run(['logout']);
    expect([status, keys()]).toEqual([1, []]);
    expect(stderr).toMatch(/^ERROR: cannot remove \S+\/alice-ssh\/\S+: permission denied\n/);
  });
});

describe('U11 one address of a Proxy, however it was pasted', () => {
  test.each(['/', '//', ',3023'])('https://HOST:PORT%s logs in, and out', async (end) => {
    const proxy = `https://localhost:${cluster.port}${end}`;
    rmSync(join(home, '.tsh'), { recursive: true });
    expect(await tsh(['login', `--proxy=${proxy}`, '--user=alice'])).toMatchObject({
      status: 0,
      stderr: expect.not.stringContaining('ERROR'),
    });
    expect(await tsh(['status'], { TELEPORT_PROXY: proxy })).toMatchObject({ status: 0 });
    expect(await tsh(['logout'], { TELEPORT_PROXY: proxy })).toMatchObject({ status: 0, stderr: '' });
    expect(keys()).toEqual([]);
  });

  test('the address of a page is refused in words, with what to write instead', async () => {
    const { status, stderr } = await tsh(['login', `--proxy=https://localhost:${cluster.port}/web`, '--user=alice']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^ERROR: invalid proxy address: ".*"\nWrite --proxy=host or --proxy=host:port\.\n/);
  });
});

describe('U11 tsh db logout', () => {
  test('nothing to log out of is said; where a cluster or an identity file was named, with status 1', async () => {
    expect(await tsh(['db', 'logout'])).toEqual({ status: 0, stdout: 'Not logged into any databases.\n', stderr: '' });
    const other = await tsh(['db', 'logout'], { TELEPORT_CLUSTER: 'leaf.example.com' });
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringContaining('not logged into any databases of cluster'),
    ]);
    const named = await tsh(['db', 'logout', 'sales']);
    expect([named.status, named.stderr]).toEqual([1, 'ERROR: not logged into database "sales"\n\n']);
  });
});
