/** One target in a thread of its own: `test/tools/fuzz.mjs` bundles this with instrumented sources, and watches. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { type FileCounters, fuzz } from './fuzzer.js';
import { TARGETS } from './targets.js';

interface Work {
  target: string;
  seconds: number;
  seed: number;
  /** Inputs are read from all, new ones are written to the last. */
  folders: string[];
  /** Length and bytes of the input that runs, for whoever finds that it never ends. */
  shown: SharedArrayBuffer;
}

const { target, seconds, seed, folders, shown } = workerData as Work;
const [length, bytes] = [new Int32Array(shown, 0, 2), new Uint8Array(shown, 8)];
const end = performance.now() + seconds * 1000;
const filesIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name)));
mkdirSync(folders.at(-1)!, { recursive: true });

const { runs, kept, find } = fuzz({
  run: TARGETS[target]!,
  counters: () => (globalThis as unknown as { __coverage__: Record<string, FileCounters> }).__coverage__,
  seeds: folders.flatMap(filesIn),
  seed,
  maxBytes: bytes.length,
  isOver: () => performance.now() > end,
  onInput(input) {
    bytes.set(input);
    Atomics.store(length, 0, input.length);
    Atomics.add(length, 1, 1);
  },
  onNew: (input) =>
    writeFileSync(join(folders.at(-1)!, createHash('sha256').update(input).digest('hex').slice(0, 16)), input),
});
const error = find && (find.error instanceof Error ? (find.error.stack ?? find.error.message) : String(find.error));
parentPort!.postMessage({ runs, kept, ...(find ? { find: { input: find.input, error } } : {}) });
