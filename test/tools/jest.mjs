// Jest with the flags that it needs here: `node test/tools/jest.mjs [arguments of Jest]`. Its exit status is Jest's, or 1
// when Node warned of something in Jest, its workers or a program under test: a leak of listeners, a deprecated call.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { warningsIn } from './warnings.mjs';

/** The oldest Node that every test passes on: up to 20.18.0 a TLS server resets where it should send an ALPN alert. */
const OLDEST = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(`The tests need Node ${OLDEST.join('.')} or newer, and ${process.execPath} is ${process.version}.`);
  process.exit(1);
}

/** Settings of the person and the machine, which programs under test would obey. A test that is about one sets it itself. */
const SETTINGS = [
  /^(TELEPORT|PG|PSQL|AWS|SSL_CERT|DBUS|LC)_?/,
  /_proxy$/i,
  /^(NODE_OPTIONS|NODE_EXTRA_CA_CERTS|(NO|FORCE)_COLOR|CLICOLOR(_FORCE)?|LANGUAGE|EDITOR|VISUAL|PAGER)$/,
];
const vars = Object.entries(process.env).filter(([name]) => !SETTINGS.some((one) => one.test(name)));
const env = {
  ...Object.fromEntries(vars),
  LANG: process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8',
  TELEPORT_GLOBAL_TSH_CONFIG: '/nonexistent/tsh.yaml', // instead of the one in /etc
  // Every process of the run adds its warnings to this file instead of its standard error.
  NODE_REDIRECT_WARNINGS: join(mkdtempSync(join(tmpdir(), 'warnings-')), 'warnings'),
};
const flags = ['--experimental-vm-modules', '--trace-warnings'];
// Half of a test's time is waiting, so a worker for each core; Jest's own default leaves one of them idle.
const workers = `--maxWorkers=${availableParallelism()}`;
const jest = spawn(process.execPath, [...flags, 'node_modules/jest/bin/jest.js', workers, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env,
});
// Jest ends itself, what it has started, and then us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => jest.kill(signal));
jest.on('exit', (code, signal) => {
  const file = env.NODE_REDIRECT_WARNINGS;
  const found = existsSync(file) ? warningsIn(readFileSync(file, 'utf8')) : [];
  rmSync(dirname(file), { recursive: true, force: true });
  if (found.length > 0) console.error(`Node warned in this run, which fails it:\n${found.join('\n')}`);
  process.exitCode = signal || found.length > 0 ? code || 1 : code;
});
