// Bundle the three programs into dist/: one small entry each, everything else in chunks that are read when used.
// Packages with a native part stay outside. `mainFields` matters: with esbuild's default order a dynamic import of an
// AWS client has no named exports.
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const REQUIRE_FOR_COMMONJS =
  "import{createRequire as teleshiftCreateRequire}from'node:module';const require=teleshiftCreateRequire(import.meta.url);";

export const NATIVE = ['libsql', '@node-rs/argon2', 'keytar'];

/** Commander can run subcommands as programs of their own, for which it loads child_process and, with it, net and dgram. */
const commanderRunsNothing = {
  name: 'commander-runs-nothing',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('node_modules/commander/') ? { path: 'child_process', namespace: 'nothing' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {};' }));
  },
};

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    tsh: 'bin/tsh.ts',
    tctl: 'bin/tctl.ts',
    teleport: 'bin/teleport.ts',
    // Not for people: `src/profile/keychain-process.ts` starts it.
    'keychain-child': 'src/profile/keychain-child.ts',
  },
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
  plugins: [commanderRunsNothing],
  banner: { js: REQUIRE_FOR_COMMONJS },
  chunkNames: 'chunks/[name]-[hash]',
  legalComments: 'linked',
  logLevel: 'warning',
});
