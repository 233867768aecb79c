/**
 * The built programs as npm puts them, with a package left out: `npm install --omit=optional`, or another machine's.
 * Tests: src/node-modules.ts
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BuiltProgram, startProgram } from '../support/program-process.js';

/** What stays outside of our bundles, with what it needs itself. */
const PACKAGES = ['@node-rs', 'libsql', '@libsql', '@neon-rs', 'detect-libc', 'keytar', 'node-addon-api'];

let prefix: string;
beforeAll(() => {
  prefix = mkdtempSync(join(tmpdir(), 'prefix-'));
  cpSync('dist', join(prefix, 'dist'), { recursive: true });
  cpSync('package.json', join(prefix, 'package.json'));
  for (const name of PACKAGES) {
    const from = join('node_modules', name);
    if (existsSync(from)) cpSync(from, join(prefix, 'node_modules', name), { recursive: true });
  }
  writeFileSync(
    join(prefix, 'teleport.yaml'),
    JSON.stringify({
      version: 'v3',
      teleport: { nodename: 'localhost', data_dir: join(prefix, 'data') },
      auth_service: { enabled: 'yes', listen_addr: '127.0.0.1:0', cluster_name: 'test.example.com' },
      proxy_service: { enabled: 'yes', web_listen_addr: '127.0.0.1:0' },
    }),
  );
});
afterAll(() => rmSync(prefix, { recursive: true, force: true, maxRetries: 3 }));

const parts = (scope: string, start: string) =>
  readdirSync(join('node_modules', scope))
    .filter((name) => name.startsWith(start))
    .map((name) => `${scope}/${name}`);

const START = ['start', '--config=teleport.yaml'];
const KEYCHAIN = ['login', '--proxy=localhost:1', '--user=alice', '--credential-store=keychain'];

async function runWithout(names: string[], program: BuiltProgram, args: string[], broken = false): Promise<string> {
  const away = mkdtempSync(join(prefix, 'away-'));
  for (const name of names) {
    mkdirSync(dirname(join(away, name)), { recursive: true });
    renameSync(join(prefix, 'node_modules', name), join(away, name));
    if (broken) cpSync(join(away, name), join(prefix, 'node_modules', name), { recursive: true });
    for (const file of broken ? readdirSync(join(away, name)).filter((one) => one.endsWith('.node')) : []) {
      writeFileSync(join(prefix, 'node_modules', name, file), 'of another machine');
    }
  }
  try {
    await using running = startProgram(
      program,
      args.map((arg) => arg.replace('teleport.yaml', join(prefix, 'teleport.yaml'))),
      {
        dist: join(prefix, 'dist'),
        home: prefix,
      },
    );
    expect(await running.ended).toBe(1);
    expect(running.text()).not.toMatch(/^\s+at |Require stack|node:internal|npm has a bug|Error \[/m);
    return running.text().slice(running.text().indexOf('ERROR: '));
  } finally {
    for (const name of names) {
      rmSync(join(prefix, 'node_modules', name), { recursive: true, force: true });
      renameSync(join(away, name), join(prefix, 'node_modules', name));
    }
  }
}

const HINT = 'Install teleshift again on this machine, without "--omit=optional": npm install -g teleshift-VERSION.tgz';
const notInstalled = (name: string) =>
  `ERROR: the package ${name} cannot be loaded: it, or its part for ${process.platform}-${process.arch}, is not installed\n${HINT}\n\n`;

describe('N8 a package that is not there is said in one sentence with the next step', () => {
  test.each([
    ['argon2', '@node-rs/argon2', ['@node-rs/argon2']],
    ['the part of argon2 for this machine', '@node-rs/argon2', parts('@node-rs', 'argon2-')],
    ['libsql', 'libsql', ['libsql']],
    ['the part of libsql for this machine', 'libsql', parts('@libsql', '')],
    ['what libsql loads its part with', 'libsql', ['@neon-rs/load']],
  ])('%s', async (_, name, gone) => {
    expect(await runWithout(gone, 'teleport', START)).toBe(notInstalled(name));
  });

  test.each([
    ['argon2', '@node-rs/argon2', parts('@node-rs', 'argon2-')],
    ['libsql', 'libsql', parts('@libsql', '')],
  ])("a part of %s for another machine: the system's own words", async (_, name, taken) => {
    const text = await runWithout(taken, 'teleport', START, true);
    expect(text).toMatch(/^ERROR: the package \S+ cannot be loaded: [^\n]*\.node[^\n]*\n[^\n]+\n\n$/);
    expect(text).toContain(`package ${name} `);
    expect(text).toContain(HINT);
  });

  test('keytar', async () => {
    if (!existsSync('node_modules/keytar')) return;
    const text = await runWithout(['keytar'], 'tsh', KEYCHAIN);
    expect(text).toMatch(
      /^ERROR: the system keychain cannot be [^\n]*keytar[^\n]*\n[^\n]*--credential-store=file[^\n]*\n\n$/,
    );
  });

  test('with all of them in place the services start', async () => {
    await using teleport = startProgram('teleport', ['start', `--config=${join(prefix, 'teleport.yaml')}`], {
      dist: join(prefix, 'dist'),
      home: prefix,
    });
    await teleport.untilSaid('Proxy Service is listening');
  });
});
