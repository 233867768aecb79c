// `npm run test:peers`: programs that others wrote, against the doubles of the tests and through our proxies. They come
// from PyPI into a folder of their own that git does not see. What cannot be had is said and skipped.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const REQUIREMENTS = resolve('test/peers/requirements.txt');
const INSTALL_MS = 300_000;
const folder = resolve('node_modules/.cache/teleshift/peers');
const stamp = join(folder, 'requirements.txt');

const missing = install();
if (missing) {
  console.log(`skipped: ${missing}`);
  process.exit(0);
}
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const only = [...process.argv.slice(2), '--roots=test/peers', '--testPathIgnorePatterns=/node_modules/'];
const { status } = spawnSync(process.execPath, [...jest, ...only], { stdio: 'inherit' });
process.exit(status ?? 1);

/** Gives what is missing, if anything. */
function install() {
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  const version = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';
  if (spawnSync('python3', ['-c', version]).status !== 0) return 'there is no python3, 3.10 or newer and with venv';
  rmSync(folder, { recursive: true, force: true });
  console.log(`installing ${wanted.trim().replaceAll('\n', ', ')}`);
  try {
    const options = { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: INSTALL_MS };
    execFileSync('python3', ['-m', 'venv', folder], options);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS];
    execFileSync(join(folder, 'bin', 'python'), pip, options);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return `the packages cannot be installed: ${String(error.stderr || error.message)
      .trim()
      .split('\n')
      .at(-1)}`;
  }
  writeFileSync(stamp, wanted);
  return undefined;
}
