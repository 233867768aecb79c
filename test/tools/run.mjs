// Run a TypeScript file of this checkout: `node test/tools/run.mjs test/demo/demo.ts [arguments]`.
// Our own sources are bundled, packages are left where npm put them.
import { rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [entry, ...rest] = process.argv.slice(2);
if (!entry) {
  console.error('usage: node test/tools/run.mjs FILE.ts [arguments]');
  process.exit(2);
}
const { outputFiles } = await build({
  entryPoints: [entry],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
// Inside node_modules, so that packages resolve; named by process, so that two runs do not meet.
const folder = resolve('node_modules/.cache/teleshift');
await mkdir(folder, { recursive: true });
const file = resolve(folder, `run-${process.pid}.mjs`);
await writeFile(file, outputFiles[0].contents);
process.argv = [process.argv[0], resolve(entry), ...rest];
// Also when the file itself ends the process.
process.once('exit', () => rmSync(file, { force: true }));
await import(pathToFileURL(file).href);
