/** Tests: src/cli/find-program.ts. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBrowser } from '../../src/cli/browser.js';
import { memoryEnv } from '../support/env.js';
import { placeOpener } from '../support/opener.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'browser-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['linux', 'xdg-open', 'http://127.0.0.1:1/x'],
  ['darwin', 'open', 'http://127.0.0.1:1/x'],
  ['win32', 'rundll32.exe', 'url.dll,FileProtocolHandler http://127.0.0.1:1/x'],
] as const)('on %s %s gets the address', async (platform, program, args) => {
  const called = placeOpener(folder, program);
  const env = memoryEnv({ platform, vars: { PATH: `${folder}:/usr/bin:/bin` } });
  expect(await openBrowser(env, 'http://127.0.0.1:1/x')).toBeUndefined();
  expect((await called).args).toBe(args);
});

test('the browser sees the desktop and the way to the internet, and no secret of the environment', async () => {
  const called = placeOpener(folder, 'xdg-open');
  const wanted = { DISPLAY: ':0', BROWSER: 'firefox', KDE_FULL_SESSION: 'true', https_proxy: 'http://proxy:3128' };
  const secrets = {
    AWS_SECRET_ACCESS_KEY: 'key',
    PGPASSWORD: 'word',
    TELEPORT_IDENTITY_FILE: '/id',
    MY_TOKEN: 'token',
  };
  await openBrowser(
    memoryEnv({ vars: { PATH: `${folder}:/usr/bin:/bin`, ...wanted, ...secrets } }),
    'http://127.0.0.1:1/x',
  );
  const lines = (await called).env.split('\n');
  expect(lines).toEqual(expect.arrayContaining(Object.entries(wanted).map(([name, value]) => `${name}=${value}`)));
  expect(lines.filter((line) => Object.keys(secrets).some((name) => line.startsWith(`${name}=`)))).toEqual([]);
});

test('where there is no such program nothing happens; one that cannot be started says why', async () => {
  expect(await openBrowser(memoryEnv({ vars: { PATH: folder } }), 'http://x')).toBeUndefined();
  expect(await openBrowser(memoryEnv(), 'http://x')).toBeUndefined();
  const broken = join(folder, 'xdg-open');
  writeFileSync(broken, '#!/no/such/interpreter\n');
  chmodSync(broken, 0o755);
  expect(await openBrowser(memoryEnv({ vars: { PATH: folder } }), 'http://x')).toContain('ENOENT');
});
