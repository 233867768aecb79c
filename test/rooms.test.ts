/**
 * The rules of the house: who may import whom, which package has its door where, and what a start may load.
 * The table is `docs/architecture.md` as data.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const SRC = resolve('src');

/** Files of `src/` itself. */
const EVERYBODYS = new Set(['errors', 'folder', 'log', 'node-modules', 'redact']);

/** Room → rooms it may import, besides itself and the files that everybody may. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  cli: [],
  net: ['pki'],
  pki: [],
  pg: [],
  aws: ['net', 'pki'],
  store: [],
  audit: [],
  resources: ['aws', 'pki'],
  identity: ['pki', 'resources'],
  rbac: ['aws', 'resources', 'identity'],
  profile: ['pki', 'identity'],
  api: ['resources', 'identity', 'net', 'pki'],
  webapi: ['api', 'profile', 'resources', 'net', 'pki'],
  tunnel: ['api', 'pg', 'net'],
  localproxy: ['net', 'pg', 'cli'],
  dbserver: ['aws', 'resources', 'pg', 'net'],
  access: ['access/cluster', 'access/aws', 'access/login', 'profile', 'aws', 'resources', 'cli'],
  'access/login': ['webapi', 'profile', 'api', 'identity', 'net', 'pki', 'cli'],
  'access/cluster': [
    'access',
    'access/login',
    'webapi',
    'profile',
    'api',
    'resources',
    'rbac',
    'localproxy',
    'net',
    'pg',
    'pki',
    'cli',
  ],
  'access/aws': ['access', 'dbserver', 'profile', 'aws', 'resources', 'rbac', 'localproxy', 'net', 'pg', 'pki', 'cli'],
  auth: ['api', 'rbac', 'identity', 'resources', 'pki', 'net', 'store', 'audit'],
  proxy: ['tunnel', 'api', 'identity', 'pg', 'net', 'pki', 'resources'],
  db: ['tunnel', 'api', 'rbac', 'identity', 'resources', 'aws', 'dbserver', 'pg', 'pki', 'net', 'audit'],
  tsh: [
    'cli',
    'net',
    'pki',
    'pg',
    'aws',
    'resources',
    'identity',
    'rbac',
    'profile',
    'api',
    'webapi',
    'localproxy',
    'access',
    'access/aws',
    'access/cluster',
    'access/login',
  ],
  tctl: ['cli', 'net', 'pki', 'pg', 'aws', 'resources', 'identity', 'rbac', 'profile', 'api', 'access/cluster'],
  teleport: [
    'cli',
    'net',
    'pki',
    'pg',
    'aws',
    'store',
    'audit',
    'resources',
    'identity',
    'rbac',
    'api',
    'webapi',
    'auth',
    'proxy',
    'db',
  ],
};

/** Outside thing → the only rooms that may import it. */
const DOORS: Record<string, readonly string[]> = {
  commander: ['cli'],
  chalk: ['cli'],
  'cli-table3': ['cli'],
  execa: ['localproxy', 'cli'],
  'node-forge': ['pki'],
  '@aws-sdk/': ['aws'],
  '@smithy/': ['aws'],
  '@connectrpc/': ['api', 'auth', 'proxy'],
  keytar: ['profile'],
  libsql: ['store'],
  '@node-rs/argon2': ['auth'],
  otpauth: ['auth'],
  qrcode: ['proxy'],
  ws: ['net'],
  yaml: ['resources', 'cli', 'profile', 'teleport', 'tsh', 'tctl'],
};

/** Sub-room → its files that other rooms may enter by. */
const SUB_ROOM_DOORS: Record<string, readonly string[]> = {
  'access/aws': ['open'],
  'access/cluster': ['access', 'calls', 'open', 'reissue', 'requests'],
  'access/login': ['client', 'headless', 'host-cas', 'relogin', 'session', 'sign-in'],
};

/** What a start of a program may load besides Node's own modules: nothing else statically. */
const START_ROOMS = new Set(['cli', ...EVERYBODYS]);
const START_PACKAGES = new Set(['commander']);

interface Import {
  from: string;
  target: string;
  typeOnly: boolean;
  dynamic: boolean;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(path);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.bench.ts') && !entry.name.endsWith('.d.ts')
      ? [path]
      : [];
  });
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found: Import[] = [];
  for (const m of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)) {
    found.push({ from: file, target: m[2]!, typeOnly: m[1] !== undefined, dynamic: false });
  }
  for (const m of text.matchAll(/\bimport\('([^']+)'\)/g)) {
    found.push({ from: file, target: m[1]!, typeOnly: false, dynamic: true });
  }
  return found;
}

function resolveOwn(from: string, target: string): string | undefined {
  if (!target.startsWith('.')) return undefined;
  const path = resolve(dirname(from), target).replace(/\.js$/, '.ts');
  return existsSync(path) ? path : undefined;
}

/** `src/pg/decode.ts` → `pg`; `src/access/aws/open.ts` → `access/aws`; `src/errors.ts` → `errors`. */
function roomOf(file: string): string {
  const path = relative(SRC, file).split('/');
  const inner = `${path[0]}/${path[1]}`;
  return inner in MAY_IMPORT ? inner : path[0]!.replace(/\.ts$/, '');
}

const files = filesUnder(SRC);
const imports = files.flatMap(importsOf);

test('imports point down: every room imports only what its row allows', () => {
  const wrong = imports.flatMap(({ from, target }) => {
    const own = resolveOwn(from, target);
    if (!own) return [];
    const [room, other] = [roomOf(from), roomOf(own)];
    if (room === other || EVERYBODYS.has(other)) return [];
    return (MAY_IMPORT[room] ?? []).includes(other) ? [] : [`${relative(SRC, from)} imports ${relative(SRC, own)}`];
  });
  expect(wrong).toEqual([]);
});

test('a sub-room is entered by its doors', () => {
  const wrong = imports.flatMap(({ from, target }) => {
    const own = resolveOwn(from, target);
    const room = own && roomOf(own);
    if (!room || room === roomOf(from) || !(room in SUB_ROOM_DOORS)) return [];
    const name = relative(join(SRC, room), own).replace(/\.ts$/, '');
    return SUB_ROOM_DOORS[room]!.includes(name) ? [] : [`${relative(SRC, from)} imports ${relative(SRC, own)}`];
  });
  expect(wrong).toEqual([]);
});

test('every room has a row', () => {
  const rooms = new Set(files.map(roomOf));
  expect([...rooms].filter((room) => !EVERYBODYS.has(room) && !(room in MAY_IMPORT))).toEqual([]);
});

test('each outside package has one door', () => {
  const wrong = imports.flatMap(({ from, target, typeOnly }) => {
    if (typeOnly) return [];
    const door = Object.entries(DOORS).find(
      ([name]) => target === name || target.startsWith(name.endsWith('/') ? name : `${name}/`),
    );
    if (!door || door[1].includes(roomOf(from))) return [];
    return [`${relative(SRC, from)} imports ${target}`];
  });
  expect(wrong).toEqual([]);
});

test('F15 no text for people counts in milliseconds', () => {
  const wrong = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, at) =>
        /\$\{[^}]*\}\s+ms\b/.test(line) ? [`${relative(SRC, file)}:${at + 1}: ${line.trim()}`] : [],
      ),
  );
  expect(wrong).toEqual([]);
});

test('relative imports lead to files that exist', () => {
  const wrong = imports.filter(({ from, target }) => target.startsWith('.') && !resolveOwn(from, target));
  expect(wrong.map(({ from, target }) => `${relative(SRC, from)}: ${target}`)).toEqual([]);
});

test.each(['tsh', 'tctl', 'teleport'])('a start of %s loads only the table and the command-line room', (program) => {
  const seen = new Map<string, string>();
  const heavy: string[] = [];
  const walk = (file: string, path: string): void => {
    if (seen.has(file)) return;
    seen.set(file, path);
    for (const { target, typeOnly, dynamic } of importsOf(file)) {
      if (typeOnly || dynamic) continue;
      const own = resolveOwn(file, target);
      if (own) {
        const room = roomOf(own);
        const isTable = room === program && /\/(main|commands|commands-[\w-]+|flags)\.ts$/.test(own);
        if (file !== own && !START_ROOMS.has(room) && !isTable) heavy.push(`${path} → ${relative(SRC, own)}`);
        else walk(own, `${path} → ${relative(SRC, own)}`);
      } else if (!target.startsWith('node:') && !START_PACKAGES.has(target)) {
        heavy.push(`${path} → ${target}`);
      }
    }
  };
  walk(resolve('src', program, 'main.ts'), `${program}/main.ts`);
  expect(heavy).toEqual([]);
});

test('a process begins with bin/start.ts, which imports nothing, and reads its program after that', () => {
  const atStart = ['tsh', 'tctl', 'teleport', 'keychain-child'].map((name) => importsOf(resolve('bin', `${name}.ts`)));
  expect(atStart.map((found) => found.filter(({ dynamic }) => !dynamic).map(({ target }) => target))).toEqual(
    atStart.map(() => ['./start.js']),
  );
  expect(importsOf(resolve('bin/start.ts')).filter(({ dynamic }) => !dynamic)).toEqual([]);
});

test('N8 a package with a part for each machine is loaded where its absence is explained', () => {
  const wrong = files.filter((file) =>
    // keytar is loaded in a process of its own, and `profile/keychain.ts` explains what came of it.
    [...readFileSync(file, 'utf8').matchAll(/^.*\bimport\('(libsql|@node-rs\/argon2)'\).*$/gm)].some(
      ([line, name]) => !line!.includes(`loadNative('${name}', `),
    ),
  );
  expect(wrong).toEqual([]);
});
