/**
 * What the scanner costs, in MB/s of relayed bytes, for the flows that a session really has. Bundle and run:
 *
 *     npx esbuild src/pg/scan.bench.ts --bundle --platform=node --format=esm | node --input-type=module
 */

import { encodeBackend, encodeFrontend } from './encode.js';
import { tagByte } from './messages.js';
import { createScanner, type ScannerOptions } from './scan.js';

const CHUNK_BYTES = 65_536;
const ROUNDS = 3;
const MIN_MS = 300;

const dataRow = (bytes: number) => encodeBackend({ type: 'DataRow', values: [Buffer.alloc(bytes, 'x')] });
const statement = Buffer.concat([
  encodeFrontend({ type: 'Parse', statement: '', query: 'select * from t where id = $1', parameterTypes: [] }),
  encodeFrontend({
    type: 'Bind',
    portal: '',
    statement: '',
    parameterFormats: [],
    parameters: [Buffer.from('42')],
    resultFormats: [],
  }),
  encodeFrontend({ type: 'Execute', portal: '', maxRows: 0 }),
  encodeFrontend({ type: 'Sync' }),
]);

const cases: [name: string, side: ScannerOptions['side'], message: Buffer][] = [
  ['server: DataRow of 10 bytes', 'backend', dataRow(10)],
  ['server: DataRow of 100 bytes', 'backend', dataRow(100)],
  ['server: DataRow of 1 KiB', 'backend', dataRow(1024)],
  ['server: CopyData of 60 bytes', 'backend', encodeBackend({ type: 'CopyData', data: Buffer.alloc(60) })],
  ['server: DataRow of 16 MiB', 'backend', dataRow(16 * 1024 * 1024)],
  ['client: Parse Bind Execute Sync, bodies kept', 'frontend', statement],
];

/** As the database service asks: bodies of statements, heads of the answers. */
const WANTED: Record<ScannerOptions['side'], Record<string, number>> = {
  frontend: { Q: 65_536, P: 65_536, B: 65_536, E: 1024, C: 1024, F: 65_536, X: 0 },
  backend: { Z: 1, C: 128, E: 4096 },
};

for (const [name, side, message] of cases) {
  const chunks = cut(Buffer.concat(Array(Math.max(1, Math.ceil((4 * 1024 * 1024) / message.length))).fill(message)));
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) best = Math.max(best, run(chunks, side));
  console.log(`${name.padEnd(48)} ${best.toFixed(0).padStart(9)} MB/s`);
}

function run(chunks: Buffer[], side: ScannerOptions['side']): number {
  const caps = new Map(Object.entries(WANTED[side]).map(([letter, cap]) => [tagByte(letter), cap]));
  let reported = 0;
  const scanner = createScanner({ side, wanted: (tag) => caps.get(tag), onMessage: () => reported++ });
  let bytes = 0;
  const start = performance.now();
  let elapsedMs = 0;
  while (elapsedMs < MIN_MS) {
    for (const chunk of chunks) {
      scanner.push(chunk);
      bytes += chunk.length;
    }
    elapsedMs = performance.now() - start;
  }
  return bytes / 1000 / elapsedMs;
}

function cut(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.subarray(at, at + CHUNK_BYTES));
  return chunks;
}
