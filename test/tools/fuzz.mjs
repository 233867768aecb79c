// `npm run fuzz [-- TARGET...] [--seconds=120] [--seed=N]`: the parsers that read a stranger's bytes, under inputs that go
// where none has been. The time is for all targets together. Inputs that reach something new are kept in
// node_modules/.cache and used again; `test/fuzz/corpus` has those that every run begins with. What is found is printed
// and written beside them; put it into test/fuzz/corpus with the change that mends it.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build, transform } from 'esbuild';
import { createInstrumenter } from 'istanbul-lib-instrument';

/** Longest input, in bytes. */
const MAX_BYTES = 16_384;
/** What takes longer is a find: everything here reads some kilobytes. */
const HANG_MS = 3_000;
const CACHE = resolve('node_modules/.cache/teleshift/fuzz');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '120' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));

/** Our own sources count what they run. */
const counted = {
  name: 'counted',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, 'utf8'), { loader: 'ts', target: 'node20' });
      const instrumenter = createInstrumenter({ esModules: true, compact: true });
      return { contents: instrumenter.instrumentSync(code, path), loader: 'js' };
    });
  },
};

await mkdir(CACHE, { recursive: true });
const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
};
await build({
  ...common,
  entryPoints: ['test/fuzz/worker.ts'],
  outfile: join(CACHE, 'worker.mjs'),
  plugins: [counted],
});
await build({ ...common, entryPoints: ['test/fuzz/targets.ts'], outfile: join(CACHE, 'targets.mjs') });
const { TARGETS } = await import(join(CACHE, 'targets.mjs'));

const unknown = positionals.filter((name) => !(name in TARGETS));
if (unknown.length > 0) {
  console.error(`There is no target ${unknown.join(', ')}. Targets: ${Object.keys(TARGETS).join(', ')}`);
  process.exit(2);
}
const targets = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const atOnce = Math.min(2, availableParallelism(), targets.length);
const seconds = (Number(values.seconds) * atOnce) / targets.length;
console.log(`Seed ${seed}, ${targets.length} targets, ${seconds.toFixed(1)} s for each.`);
let finds = 0;
const waiting = [...targets];
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) await one(target);
  }),
);
console.log(`${targets.length - finds} passed, ${finds} failed`);
process.exitCode = finds > 0 ? 1 : 0;

async function one(target) {
  const shown = new SharedArrayBuffer(8 + MAX_BYTES);
  const folder = join(CACHE, target);
  const folders = [resolve('test/fuzz/corpus', target), folder];
  const worker = new Worker(join(CACHE, 'worker.mjs'), { workerData: { target, seconds, seed, folders, shown } });
  const result = await new Promise((done) => {
    const progress = new Int32Array(shown, 0, 2);
    let last = -1;
    const watch = setInterval(() => {
      const now = Atomics.load(progress, 1);
      if (now === last && now > 0) {
        const input = Buffer.from(new Uint8Array(shown, 8, Atomics.load(progress, 0)));
        done({ runs: now, find: { input, error: `took longer than ${HANG_MS} ms` } });
      }
      last = now;
    }, HANG_MS);
    worker
      .once('message', done)
      .once('error', (error) => done({ runs: 0, find: { input: Buffer.alloc(0), error: error.stack } }));
    worker.once('exit', () => clearInterval(watch));
  });
  await worker.terminate();
  if (!result.find) return console.log(`${target}: ${result.runs} inputs, ${result.kept} kept`);
  finds += 1;
  const input = Buffer.from(result.find.input);
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'find');
  await writeFile(file, input);
  console.log(
    `${target}: FOUND after ${result.runs} inputs, in ${file}: ${input.toString('base64')}\n${result.find.error}`,
  );
}
