// Bundle the three programs into dist/: one small file each that can be started, which then reads the program; everything
// else in chunks that are read when used.
// Packages with a native part stay outside. `mainFields` matters: with esbuild's default order a dynamic import of an
// AWS client has no named exports.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { bundledPackages, installedPackages, notices } from './notices.mjs';

const REQUIRE_FOR_COMMONJS =
  "import{createRequire as teleshiftCreateRequire}from'node:module';const require=teleshiftCreateRequire(import.meta.url);";

const NATIVE = ['libsql', '@node-rs/argon2', 'keytar'];

/**
 * What packages load for things that we never let them do, → who loads it. Commander can run subcommands as programs of
 * their own, and child_process brings net and dgram with it; cli-table3 can colour titles and frames.
 */
const UNUSED = { 'node:child_process': 'commander', '@colors/colors/safe': 'cli-table3' };

const unusedStaysOut = {
  name: 'unused-stays-out',
  setup({ onResolve, onLoad }) {
    for (const [path, loader] of Object.entries(UNUSED)) {
      onResolve({ filter: new RegExp(`^${path}$`) }, ({ importer }) =>
        importer.includes(`node_modules/${loader}/`) ? { path, namespace: 'nothing' } : undefined,
      );
    }
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** What each program is once `bin/start.ts` has begun: the file of `dist/programs` → its source. */
const PROGRAMS = {
  tsh: 'src/tsh/main.ts',
  tctl: 'src/tctl/main.ts',
  teleport: 'src/teleport/main.ts',
  // Not for people: `src/profile/keychain-process.ts` starts it.
  'keychain-child': 'src/profile/keychain-child.ts',
};

/** The files that people start read nothing before their own first line: their program is a file beside them. */
const programsStayOutside = {
  name: 'programs-stay-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/src\// }, ({ path }) => {
      const source = path.replace('../', '').replace(/\.js$/, '.ts');
      const [name] = Object.entries(PROGRAMS).find(([, file]) => file === source);
      return { path: `./programs/${name}.js`, external: true };
    });
  },
};

const common = {
  outdir: 'dist',
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  legalComments: 'linked',
  logLevel: 'warning',
};

await rm('dist', { recursive: true, force: true });
const { metafile } = await build({
  ...common,
  metafile: true,
  entryPoints: Object.fromEntries(Object.entries(PROGRAMS).map(([name, file]) => [`programs/${name}`, file])),
  splitting: true,
  keepNames: true,
  target: 'node20',
  mainFields: ['module', 'main'],
  // The same for yaml, whose ES modules hide behind its browser entry.
  alias: { yaml: resolve('node_modules/yaml/browser/index.js') },
  external: NATIVE,
  plugins: [unusedStaysOut],
  banner: { js: REQUIRE_FOR_COMMONJS },
  chunkNames: 'chunks/[name]-[hash]',
});
await build({
  ...common,
  entryPoints: Object.keys(PROGRAMS).map((name) => `bin/${name}.ts`),
  // An old Node must be able to read the sentence that refuses it.
  target: 'node12.20',
  plugins: [programsStayOutside],
});
await writeFile('THIRD-PARTY-NOTICES', notices(bundledPackages(metafile), installedPackages()));
// For the test that asks whether a package was forgotten.
await mkdir('node_modules/.cache/teleshift', { recursive: true });
await writeFile('node_modules/.cache/teleshift/metafile.json', JSON.stringify(metafile));
