// `npm run test:peers`: programs that others wrote, against the doubles of the tests and through our proxies. They come
// from PyPI and Maven Central into folders of their own that git does not see. What cannot be had is said and skipped.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const INSTALL_MS = 300_000;
const cache = resolve('node_modules/.cache/teleshift');
/** The JDBC driver of PostgreSQL, and the plugin that fetches it. */
const PGJDBC = 'org.postgresql:postgresql:42.7.13';
const MAVEN_COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';

const python = { folder: join(cache, 'peers'), wanted: readFileSync(resolve('test/peers/requirements.txt'), 'utf8') };
const java = { folder: join(cache, 'peers-java'), wanted: `${PGJDBC}\n` };
const ignored = ['/node_modules/'];
const isTest = (name) => `/test/peers/${name}\\.test\\.ts$`;

const noPython = install(python, {
  check: () =>
    runs('python3', '-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))')
      ? undefined
      : 'there is no python3, 3.10 or newer and with venv',
  fetch(options) {
    execFileSync('python3', ['-m', 'venv', python.folder], options);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r'];
    execFileSync(join(python.folder, 'bin', 'python'), [...pip, resolve('test/peers/requirements.txt')], options);
  },
});
const noJava = install(java, {
  check: () =>
    !runs('java', '--version')
      ? 'there is no java, 17 or newer'
      : runs('mvn', '--version')
        ? undefined
        : 'there is no mvn',
  fetch(options) {
    execFileSync('mvn', ['-q', '-B', MAVEN_COPY, `-Dartifact=${PGJDBC}`, `-DoutputDirectory=${java.folder}`], options);
  },
});
if (noPython) {
  console.log(`skipped: the aws command line, Amazon's Python driver and libpq: ${noPython}`);
  ignored.push(isTest('(?!pgjdbc)[^/]*'));
}
if (noJava) {
  console.log(`skipped: the JDBC driver of PostgreSQL: ${noJava}`);
  ignored.push(isTest('pgjdbc'));
}
if (noPython && noJava) process.exit(0);
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const only = [
  ...process.argv.slice(2),
  '--roots=test/peers',
  ...ignored.map((one) => `--testPathIgnorePatterns=${one}`),
];
const { status } = spawnSync(process.execPath, [...jest, ...only], { stdio: 'inherit' });
process.exit(status ?? 1);

function runs(program, ...args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** What is wanted, in its folder. Gives what is missing, if anything. */
function install({ folder, wanted }, { check, fetch }) {
  const missing = check();
  if (missing) return missing;
  const stamp = join(folder, 'requirements.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  rmSync(folder, { recursive: true, force: true });
  console.log(`installing ${wanted.trim().replaceAll('\n', ', ')}`);
  try {
    fetch({ stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: INSTALL_MS });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return `it cannot be installed: ${String(error.stderr || error.message)
      .trim()
      .split('\n')
      .at(-1)}`;
  }
  writeFileSync(stamp, wanted);
  return undefined;
}
