// Bundle the three programs into dist/: one small entry each, everything else in chunks that are read when used.
// Packages with a native part stay outside. `mainFields` matters: with esbuild's default order a dynamic import of an
// AWS client has no named exports.
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const REQUIRE_FOR_COMMONJS =
  "import{createRequire as teleshiftCreateRequire}from'node:module';const require=teleshiftCreateRequire(import.meta.url);";

export const NATIVE = ['libsql', '@node-rs/argon2', 'keytar'];

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: ['bin/tsh.ts', 'bin/tctl.ts', 'bin/teleport.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  minify: true,
  keepNames: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  // The same for yaml, whose ES modules hide behind its browser entry.
  alias: { yaml: resolve('node_modules/yaml/browser/index.js') },
  external: NATIVE,
  banner: { js: REQUIRE_FOR_COMMONJS },
  chunkNames: 'chunks/[name]-[hash]',
  legalComments: 'linked',
  logLevel: 'warning',
});
