/**
 * A program read with the code that V8 made of it before. Most of a short command's time goes into compiling: so what its
 * commands used is kept for the next run, in the person's own cache folder, and a command that was not run before adds
 * what it used. Code that is kept is read whole, so each first word (`db`, `version`) has a file of its own, and command
 * lines that begin with something else (an option, an alias) share one. Whatever is wrong with the cache, the program runs
 * without it.
 *
 *     ~/.cache/teleshift/tsh-4F2A….js.db.v22.11.0-x64:   V8's code │ {"commands":["db ls"],"crc":…} │ that text's length, 4 bytes
 *
 * The build's hash of the program is in its file's name, Node's version in the cache's; V8 itself refuses code that another
 * version or other flags of it have made, but looks for no damage: hence the sum. Code is code: only what this user or root has written, and nobody else can
 * write, is run. `NODE_DISABLE_COMPILE_CACHE=1` (Node's own name) switches it off.
 */

interface Cached {
  code: Uint8Array;
  commands: string[];
}

/** What stands behind the code. */
interface Trailer {
  commands: string[];
  /** Of the code. */
  crc: number | undefined;
}

/** Caches of older builds and of other Nodes go after this time; ms. Our own. */
const OLD_MS = 30 * 24 * 3600 * 1000;

/** Not imported: `bin/start.ts` is read by Nodes that do not know `node:` yet. */
const node = {
  fs: () => require('node:fs') as typeof import('node:fs'),
  path: () => require('node:path') as typeof import('node:path'),
  /** Before 20.15 there is no `crc32`. */
  zlib: () => require('node:zlib') as Partial<Pick<typeof import('node:zlib'), 'crc32'>>,
};

/** The files that are loaded, by their paths. */
const loaded = new Map<string, { file: CodeFile; module: { exports: unknown } }>();

/** The path of the command that runs; empty until it is known. */
let command = '';

/** What the commands of a program call, as `Env` of `src/cli/env.ts` says. */
export function commandRuns(path: string): void {
  command = path;
}

/**
 * Load a file of `dist/programs`, as `require` does; what it requires by `./` is loaded like it.
 *
 * @param path  absolute; the file is ASCII: one function expression, called as Node calls a CommonJS module
 * @throws what Node says of a file that cannot be read, and what the file throws
 */
export function load(path: string): unknown {
  const { dirname, join } = node.path();
  const { createRequire } = require('node:module') as typeof import('node:module');
  const known = loaded.get(path);
  if (known) return known.module.exports;
  if (loaded.size === 0) process.once('exit', keepCode);
  const file = new CodeFile(path);
  const module = { exports: {} };
  loaded.set(path, { file, module });
  const others = createRequire(path);
  const beside = (name: string) => (name.startsWith('./') ? load(join(dirname(path), name)) : others(name));
  file.run(module.exports, Object.assign(beside, others), module, path, dirname(path));
  return module.exports;
}

function keepCode(): void {
  for (const { file } of loaded.values()) file.keep(command);
}

/** One file, and the code of it that is kept. */
class CodeFile {
  readonly #script: import('node:vm').Script;
  readonly #path: string;
  /** The commands whose code is kept; undefined where none is. */
  readonly #commands: readonly string[] | undefined;

  constructor(path: string) {
    const { Script } = require('node:vm') as typeof import('node:vm');
    this.#path = path;
    const cached = readCache(cacheFile(path, process.argv[2])) ?? readCache(cacheFile(path));
    // As latin1 each byte is a character, and V8 takes it as it is.
    const source = node.fs().readFileSync(path, 'latin1');
    this.#script = new Script(source, { filename: path, cachedData: cached?.code });
    this.#commands = this.#script.cachedDataRejected ? undefined : cached?.commands;
  }

  run(...args: unknown[]): void {
    this.#script.runInThisContext()(...args);
  }

  /** @param command  that has run; its code is kept with that of others */
  keep(command: string): void {
    if (this.#commands?.includes(command)) return;
    // Only words that are commands: whoever mistypes one leaves no file of that name.
    const isTyped = command.split(' ')[0] === process.argv[2];
    const at = cacheFile(this.#path, isTyped ? process.argv[2] : undefined);
    if (at === undefined) return;
    writeCache(at, { code: this.#script.createCachedData(), commands: [...(this.#commands ?? []), command] });
  }
}

/**
 * Where the code of a program lies; undefined where it is switched off, or there is no folder for it.
 *
 * @param word  the first of the command line, as it was typed
 */
function cacheFile(program: string, word = ''): string | undefined {
  const { env, platform, version, arch } = process;
  if (env.NODE_DISABLE_COMPILE_CACHE) return undefined;
  const { join, basename, isAbsolute } = node.path();
  const under = (folder: string | undefined, ...more: string[]) =>
    folder && isAbsolute(folder) ? join(folder, ...more) : undefined;
  let folder = under(env.XDG_CACHE_HOME) ?? under(env.HOME, '.cache');
  if (platform === 'darwin') folder = under(env.HOME, 'Library', 'Caches');
  if (platform === 'win32') folder = under(env.LOCALAPPDATA);
  const own = /^[a-z]{1,16}$/.test(word) ? `.${word}` : '';
  return under(folder, 'teleshift', `${basename(program)}${own}.${version}-${arch}`);
}

function readCache(file: string | undefined): Cached | undefined {
  if (file === undefined) return undefined;
  const { openSync, closeSync, lstatSync, fstatSync, readFileSync, constants } = node.fs();
  let fd: number | undefined;
  try {
    const folder = lstatSync(node.path().dirname(file));
    if (!folder.isDirectory() || !isOurs(folder)) return undefined;
    // A pipe in its place is not waited for.
    fd = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const facts = fstatSync(fd);
    if (!facts.isFile() || !isOurs(facts)) return undefined;
    const bytes = readFileSync(fd);
    const end = bytes.length - 4;
    const start = end - bytes.readUInt32LE(end);
    const { commands, crc } = JSON.parse(bytes.toString('utf8', start, end)) as Trailer;
    const code = bytes.subarray(0, start);
    return crc === node.zlib().crc32?.(code) ? { code, commands } : undefined;
  } catch {
    return undefined; // none yet, or none that can be used
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whole or not at all: another run may read or write at the same time. */
function writeCache(file: string, { code, commands }: Cached): void {
  const { openSync, writeSync, fsyncSync, closeSync, renameSync, rmSync } = node.fs();
  // Containers that share a home have the same process numbers.
  const fresh = `${file}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  let isOpened = false;
  try {
    const crc = node.zlib().crc32?.(code);
    if (crc === undefined) return;
    makeFolder(node.path().dirname(file));
    const text = Buffer.from(JSON.stringify({ commands, crc } satisfies Trailer));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    const fd = openSync(fresh, 'wx', 0o600);
    isOpened = true;
    try {
      const bytes = Buffer.concat([code, text, length]);
      if (writeSync(fd, bytes) !== bytes.length) throw new Error('the disk is full');
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, file);
    removeOld(node.path().dirname(file));
  } catch {
    if (isOpened) rmSync(fresh, { force: true });
  }
}

/** Not in another person's home: root who runs a command there (`sudo`) leaves nothing that its owner cannot remove. */
function makeFolder(folder: string): void {
  const { existsSync, mkdirSync, lstatSync, statSync } = node.fs();
  const parent = node.path().dirname(folder);
  if (!existsSync(parent)) {
    if (!isMine(statSync(node.path().dirname(parent)))) throw new Error('somebody else\u2019s home');
    mkdirSync(parent, { mode: 0o700 });
  }
  if (!isMine(statSync(parent))) throw new Error('somebody else\u2019s cache');
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  const facts = lstatSync(folder);
  if (!isMine(facts) || !facts.isDirectory()) throw new Error('somebody else\u2019s folder, or a link');
}

function removeOld(folder: string): void {
  const { readdirSync, lstatSync, rmSync } = node.fs();
  for (const name of readdirSync(folder)) {
    const file = node.path().join(folder, name);
    if (Date.now() - lstatSync(file).mtimeMs > OLD_MS) rmSync(file, { force: true });
  }
}

interface Facts {
  uid: number;
  mode: number;
}

function isMine({ uid }: Facts): boolean {
  return process.geteuid === undefined || uid === process.geteuid();
}

/** Whether nobody else can have written it. Where there are no user numbers (Windows), the folder is the person's own. */
function isOurs(facts: Facts): boolean {
  return process.geteuid === undefined || ((isMine(facts) || facts.uid === 0) && (facts.mode & 0o022) === 0);
}
