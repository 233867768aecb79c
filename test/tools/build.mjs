// Bundle the three programs into dist/: for each a small file that can be started, and one with the whole program, which
// `bin/code-cache.ts` reads. One file, because many that are opened one by one cost more than they save, and because a
// command that runs while another version is installed still has its parts. Only what is large and seldom used has a file of
// its own: the AWS SDK, which is as large as all the rest, the ACME client, and what packs the programs.
// Packages with a native part stay outside. `mainFields` matters: with esbuild's default order an import of an AWS client
// has no named exports.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import { bundledPackages, installedPackages, notices } from './notices.mjs';

const NATIVE = ['libsql', '@node-rs/argon2', 'keytar'];

/**
 * What packages load for things that we never let them do, → who loads it. Commander can run subcommands as programs of
 * their own, and child_process brings net and dgram with it; cli-table3 can colour titles and frames; axios has proxies of its
 * own, and gets an agent of ours.
 */
const UNUSED = {
  'node:child_process': 'commander',
  '@colors/colors/safe': 'cli-table3',
  'https-proxy-agent': 'axios',
};

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

/** Folders that have a file of their own: its name → the folder, whose files are the only way to these packages. */
const SELDOM = { aws: 'src/aws/sdk', acme: 'src/acme/library', tar: 'src/proxy/web/tar' };

/** What each program is once `bin/start.ts` has begun: the file of `dist/programs` → its source. */
const PROGRAMS = {
  tsh: 'src/tsh/main.ts',
  tctl: 'src/tctl/main.ts',
  teleport: 'src/teleport/main.ts',
  // Not for people: `src/profile/keychain-process.ts` starts it.
  'keychain-child': 'src/profile/keychain-child.ts',
};

const common = {
  outdir: 'dist',
  bundle: true,
  minify: true,
  format: 'cjs',
  platform: 'node',
  legalComments: 'linked',
  logLevel: 'warning',
  // Read as a script or by an old Node, a program has no `import()`: what it loads is beside it or `require`d.
  supported: { 'dynamic-import': false },
};

/** @param entryPoints  the name of each file in `dist/programs` → its source */
const bundle = async (entryPoints, plugins) =>
  await build({
    ...common,
    metafile: true,
    entryPoints,
    entryNames: 'programs/[name]-[hash]',
    keepNames: true,
    target: 'node20',
    mainFields: ['module', 'main'],
    // The same for yaml, whose ES modules hide behind its browser entry.
    alias: { yaml: resolve('node_modules/yaml/browser/index.js') },
    external: NATIVE,
    plugins: [unusedStaysOut, ...plugins],
    // A function expression, called as Node calls a CommonJS module.
    banner: { js: '(function(exports,require,module,__filename,__dirname){' },
    footer: { js: '})' },
    define: { 'import.meta.url': '__filename' },
  });

/** The files of `folder` as one: its exports are their names, each with what it exports, read when it is asked for. */
const oneOf = (folder) => ({
  name: 'one-of',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^all$/ }, () => ({ path: folder, namespace: 'one-of' }));
    onLoad({ filter: /.*/, namespace: 'one-of' }, async () => ({
      contents: (await readdir(folder))
        .map((name) => `exports[${JSON.stringify(name)}] = () => require('./${name}');`)
        .join('\n'),
      resolveDir: resolve(folder),
    }));
  },
});

/** An import of a file in `folder` is one of `file`, which `oneOf` has made. */
const isIn = (folder, file) => ({
  name: 'is-in',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const source = resolve(resolveDir, path).replace(/\.js$/, '.ts');
      return dirname(source) === resolve(folder) ? { path: basename(source), namespace: folder } : undefined;
    });
    onResolve({ filter: /.*/, namespace: folder }, ({ path }) => ({ path, external: true }));
    onLoad({ filter: /.*/, namespace: folder }, ({ path }) => ({
      contents: `module.exports = require('./${basename(file)}')[${JSON.stringify(path)}]();`,
    }));
  },
});

const entryFiles = ({ metafile: { outputs } }) => Object.keys(outputs).filter((file) => outputs[file].entryPoint);

await rm('dist', { recursive: true, force: true });
const seldom = await Promise.all(
  Object.entries(SELDOM).map(async ([name, folder]) => ({
    folder,
    built: await bundle({ [name]: 'all' }, [oneOf(folder)]),
  })),
);
const programs = await bundle(
  PROGRAMS,
  seldom.map(({ folder, built }) => isIn(folder, entryFiles(built)[0])),
);
const all = [...seldom.map(({ built }) => built), programs];
const metafile = { outputs: Object.assign({}, ...all.map(({ metafile: { outputs } }) => outputs)) };
for (const file of all.flatMap(entryFiles)) {
  const foreign = /.{0,40}[^\x00-\x7f].{0,40}/.exec(await readFile(file, 'utf8'));
  if (foreign) throw new Error(`${file} is read as ASCII, and has: ${foreign[0]}`);
}
/** What the starters import of `src` is a file beside them, loaded by `bin/code-cache.ts`. */
const programsStayOutside = {
  name: 'programs-stay-outside',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.\/src\// }, ({ path }) => {
      const source = path.replace('../', '').replace(/\.js$/, '.ts');
      const file = entryFiles(programs).find((one) => metafile.outputs[one].entryPoint === source);
      return { path: relative('dist', file), namespace: 'program' };
    });
    onLoad({ filter: /.*/, namespace: 'program' }, ({ path }) => ({
      contents: `module.exports = require('./code-cache.js').load(__dirname + ${JSON.stringify(`/${path}`)});`,
      loader: 'ts',
      resolveDir: resolve('bin'),
    }));
  },
};
await build({
  ...common,
  entryPoints: Object.keys(PROGRAMS).map((name) => `bin/${name}.ts`),
  // An old Node must be able to read the sentence that refuses it.
  target: 'node12.20',
  plugins: [programsStayOutside],
});
// Node reads these files as CommonJS, one loader less to start, and looks here for the names that start with #.
await writeFile('dist/package.json', '{"type":"commonjs","imports":{"#keychain-child":"./keychain-child.js"}}\n');
await writeFile('THIRD-PARTY-NOTICES', notices(bundledPackages(metafile), installedPackages()));
// For the test that asks whether a package was forgotten.
await mkdir('node_modules/.cache/teleshift', { recursive: true });
await writeFile('node_modules/.cache/teleshift/metafile.json', JSON.stringify(metafile));
