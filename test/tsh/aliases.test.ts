/** Tests: src/cli/child.ts, src/tsh/flags.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aliasWords, expandAlias } from '../../src/tsh/aliases.js';
import { runTsh } from '../../src/tsh/main.js';
import { memoryEnv } from '../support/env.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'aliases-'));
  mkdirSync(join(home, '.tsh/config'), { recursive: true });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const config = (text: string) => writeFileSync(join(home, '.tsh/config/config.yaml'), text);
const env = () => memoryEnv({ home, vars: { TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none') } });

test('arguments go to their places, the others to the end', () => {
  expect(aliasWords('l', '$TSH login --proxy=p --user=$0', ['alice', 'leaf'])).toEqual([
    '$TSH',
    'login',
    '--proxy=p',
    '--user=alice',
    'leaf',
  ]);
  expect(aliasWords('q', `$TSH db exec 'select "1"' "a b"`, [])).toEqual(['$TSH', 'db', 'exec', 'select "1"', 'a b']);
  expect(() => aliasWords('l', '$TSH login $0', [])).toThrow(
    'tsh alias "l" requires 1 arguments, but was invoked with 0',
  );
});

test('an alias may shadow a command, lead to another alias, and is noticed when it leads to itself', async () => {
  config('aliases:\n  status: $TSH status -f json\n  st: $TSH status\n  rec: $TSH rec\n');
  expect(await expandAlias(['status'], env())).toMatchObject({ argv: ['status', '-f', 'json'] });
  expect(await expandAlias(['--debug', 'st', 'x'], env())).toMatchObject({
    argv: ['--debug', 'status', '-f', 'json', 'x'],
  });
  await expect(expandAlias(['rec'], env())).rejects.toThrow(
    'recursive alias "rec"; correct alias definition and try again',
  );
  expect(await expandAlias(['login'], env())).toMatchObject({ argv: ['login'] });
});

test('another program that is not there, or fails', async () => {
  config('aliases:\n  x: /nowhere/at-all\n  f: sh -c "exit 5"\n');
  await expect(expandAlias(['x'], env())).rejects.toThrow('failed to find the executable "/nowhere/at-all"');
  const failing = env();
  expect(await runTsh(['f'], failing)).toBe(1);
  expect(failing.err()).toContain('exit status 5');
});

test('a broken configuration names its file', async () => {
  config('aliases: [\n');
  const broken = env();
  expect(await runTsh(['version', '--client'], broken)).toBe(1);
  expect(broken.err()).toContain(join(home, '.tsh/config/config.yaml'));
});
