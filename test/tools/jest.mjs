// Jest with the flags that it needs here: `node test/tools/jest.mjs [arguments of Jest]`. Its exit status is Jest's.
import { spawn } from 'node:child_process';

/** The oldest Node that every test passes on: up to 20.18.0 a TLS server resets where it should send an ALPN alert. */
const OLDEST = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(`The tests need Node ${OLDEST.join('.')} or newer, and ${process.execPath} is ${process.version}.`);
  process.exit(1);
}
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = spawn(process.execPath, [...flags, 'node_modules/jest/bin/jest.js', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// Jest ends itself, what it has started, and then us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => jest.kill(signal));
jest.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
