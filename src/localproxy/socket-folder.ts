/**
 * The folder (0700) of a local socket, which only this person can enter, and what is left of it where nobody could tidy up:
 * a process that was killed leaves folder and socket behind, and a later start removes them.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { lstatSync, rmSync, unlinkSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, TeleportError } from '../errors.js';
import { isOpen, makeFolders, openToOthers, safestFirst } from '../folder.js';
import { withLock } from '../lock.js';
import { isListening } from '../net/unix-socket.js';
import { shellWord } from '../shell-word.js';

export interface SocketFolder {
  path: string;
  /** libpq finds the socket by it; no port of the network. */
  port: number;
  /** Where to listen. */
  socket: string;
  /** Listen there, while no other process tries the same. @param listen  called with the path to bind */
  occupy<L extends AsyncDisposable>(listen: (path: string) => Promise<L>): Promise<L>;
  /** Remove what was made here: a folder of its own with what is in it, at the end of the process at the latest. */
  remove(): void;
}

/** Longest path of a Unix socket on the systems we run on, the final NUL not counted. Source: unix(7), 108 with it. */
const MAX_SOCKET_PATH_BYTES = 103;
/** `tsh-` and six letters of mkdtemp's. */
const FOLDER_NAME = /^tsh-[A-Za-z0-9]{6}$/;
const SOCKET_NAME = /^\.s\.PGSQL\.\d+$/;
/** A younger folder may be of a `tsh` that is about to listen. */
const LEAST_AGE_MS = 60_000;
/**
 * Ports above those that Linux and most services use: whatever makes psql take this port on the network after all (PGHOSTADDR, say),
 * nobody answers there. Source: ip_local_port_range ends at 60999.
 */
const FIRST_PORT = 61_000;
const LAST_PORT = 65_535;

/** @throws TeleportError `BadParameter` where no folder can be made, or its name is too long */
export async function makeSocketFolder(vars: Record<string, string | undefined>): Promise<SocketFolder> {
  const port = randomInt(FIRST_PORT, LAST_PORT + 1);
  const name = `.s.PGSQL.${port}`;
  let problem: unknown;
  for (const parent of await safestFirst(parentsOf(vars))) {
    if (Buffer.byteLength(join(parent, 'tsh-XXXXXX', name)) > MAX_SOCKET_PATH_BYTES) continue;
    try {
      const path = await mkdtemp(join(parent, 'tsh-'));
      // Also where the program ends itself and nothing is closed any more. `db exec` has up to ten at once.
      const remove = () => {
        if (!process.listeners('exit').includes(remove)) return;
        process.off('exit', remove).setMaxListeners(process.getMaxListeners() - 1);
        rmSync(path, { recursive: true, force: true });
      };
      process.setMaxListeners(process.getMaxListeners() + 1).on('exit', remove);
      const socket = join(path, name);
      // Its name is new, so nobody else is there.
      return { path, port, socket, occupy: (listen) => listen(socket), remove };
    } catch (error) {
      problem ??= error;
    }
  }
  throw new TeleportError(
    'BadParameter',
    `no folder for a local socket: ${problem ? messageOf(problem) : 'every name is too long'}`,
    {
      hint: 'Set TMPDIR to a folder that you can write to, with a short name.',
      cause: problem,
    },
  );
}

/**
 * A folder that was named: made where it is missing, and it stays.
 *
 * @throws TeleportError `BadParameter` where others can enter or replace it, it is none, or its name is too long
 */
export async function ownSocketFolder(path: string, port: number): Promise<SocketFolder> {
  const socket = join(path, `.s.PGSQL.${port}`);
  const refused = (why: string, hint: string) =>
    new TeleportError('BadParameter', `cannot listen on unix:${path}: ${why}`, { hint });
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH_BYTES) {
    throw refused(`${socket} is longer than ${MAX_SOCKET_PATH_BYTES} bytes`, 'Name a folder with a shorter path.');
  }
  await makeFolders(path, 0o700).catch((cause: unknown) => {
    throw refused(messageOf(cause), 'Name a folder that you can write to.');
  });
  const { uid, mode } = await stat(path);
  if (uid !== process.geteuid?.()) throw refused('the folder is not yours', 'Name one that is made, or that is yours.');
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw refused(`others can enter the folder (mode ${octal})`, `Name another one, or: chmod 700 ${shellWord(path)}`);
  }
  const open = await openToOthers(path);
  if (open !== undefined) {
    throw refused(`others can put another folder in its place, by ${open}`, 'Name one in your home, for example.');
  }
  const place = new NamedPlace(path, port);
  return { path, port, socket, occupy: (listen) => place.occupy(listen), remove: () => place.leave() };
}

/** What a process that was killed in `occupy` leaves. */
const NEW_SOCKET = /^\.tsh-[0-9a-f]{6}$/;

/**
 * The name of a socket that several processes may want. Who comes first has it; it is there only while somebody listens; and a
 * socket of another process is never taken away.
 */
class NamedPlace {
  readonly #folder: string;
  readonly #socket: string;
  readonly #lock: string;
  /** Of our socket. */
  #inode: number | undefined;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#socket = join(folder, `.s.PGSQL.${port}`);
    this.#lock = join(folder, `.tsh-${port}.lock`);
  }

  async occupy<L extends AsyncDisposable>(listen: (path: string) => Promise<L>): Promise<L> {
    return await withLock(this.#lock, async () => {
      await this.#assertFree();
      for (const name of await readdir(this.#folder)) {
        if (NEW_SOCKET.test(name)) await unlink(join(this.#folder, name)).catch(() => {});
      }
      // Under another name first: in its place it is one that listens, and is for its owner alone.
      const fresh = join(this.#folder, `.tsh-${randomBytes(3).toString('hex')}`);
      const listener = await listen(fresh);
      try {
        this.#inode = (await lstat(fresh)).ino;
        await rename(fresh, this.#socket);
        return listener;
      } catch (error) {
        await listener[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  leave(): void {
    try {
      if (lstatSync(this.#socket).ino === this.#inode) unlinkSync(this.#socket);
    } catch {} // somebody has tidied up
  }

  async #assertFree(): Promise<void> {
    const facts = await lstat(this.#socket).catch(() => undefined);
    if (facts === undefined) return;
    if (!facts.isSocket()) {
      throw new TeleportError('BadParameter', `cannot listen on ${this.#socket}: something else is there`, {
        hint: `Move it away: mv ${shellWord(this.#socket)} ${shellWord(`${this.#socket}.old`)}`,
      });
    }
    if (await isListening(this.#socket)) {
      throw new TeleportError('AlreadyExists', `listen unix ${this.#socket}: bind: address already in use`);
    }
  }
}

/** Remove what killed processes of this person left: only folders that look like ours, and where nobody listens. */
export async function sweepSocketFolders(vars: Record<string, string | undefined>): Promise<void> {
  for (const parent of new Set(parentsOf(vars))) {
    // There a folder could become another one while we look.
    if (await isOpen(parent)) continue;
    const names = await readdir(parent).catch(() => []);
    for (const name of names.filter((one) => FOLDER_NAME.test(one))) {
      await sweep(join(parent, name)).catch(() => {}); // somebody else is at it, or it is not ours to remove
    }
  }
}

async function sweep(folder: string): Promise<void> {
  const facts = await lstat(folder);
  const isOurs = facts.isDirectory() && facts.uid === process.getuid?.() && (facts.mode & 0o777) === 0o700;
  if (!isOurs || Date.now() - facts.mtimeMs < LEAST_AGE_MS) return;
  const [name, ...others] = await readdir(folder);
  if (name === undefined || !SOCKET_NAME.test(name) || others.length > 0) return;
  const socket = join(folder, name);
  if (!(await lstat(socket)).isSocket() || (await isListening(socket))) return;
  await unlink(socket);
  await rmdir(folder);
}

function parentsOf(vars: Record<string, string | undefined>): string[] {
  return [vars.XDG_RUNTIME_DIR, tmpdir(), '/tmp'].filter((parent): parent is string => Boolean(parent));
}
