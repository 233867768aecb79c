/**
 * The system's keychain through keytar's interface: four calls, begun when first used, each with a time limit. It fails
 * closed: where there is no keychain, or it is locked, or it hangs, the caller gets an error and never a file instead.
 *
 * keytar runs in a child process (`keychain-child.ts`): a call that never comes back (a mute bus, a question to the person
 * that nobody answers) holds a thread of its process, and such a process cannot even exit. A child can be ended.
 */

import { inSeconds, messageOf, TeleportError } from '../errors.js';
import { inTime } from '../wait.js';
import { keychainRefusal } from './keychain-refusal.js';
import type { KeytarModule, OpenKeytar } from './keytar.js';

export interface Keychain {
  /** The secret of an account, or undefined. */
  get(account: string): Promise<string | undefined>;
  /** @throws TeleportError `LimitExceeded` for a secret longer than an entry may be */
  set(account: string, secret: string): Promise<void>;
  /** True when there was one. */
  delete(account: string): Promise<boolean>;
  /** All accounts of our service. */
  list(): Promise<string[]>;
}

export interface KeychainOptions {
  /** Name under which entries are kept. Default `teleshift`. */
  service?: string;
  /** Default 30 s: the system may be asking the person to unlock it. */
  timeoutMs?: number;
  /** Gives up what is under way. */
  signal?: AbortSignal | undefined;
  /** The bus is found through these. */
  vars: Record<string, string | undefined>;
  platform?: NodeJS.Platform;
  /** Default: a child process. */
  open?: () => Promise<OpenKeytar>;
}

/** Windows' CRED_MAX_CREDENTIAL_BLOB_SIZE, 5 × 512 (wincred.h); others have no limit that we know: 64 KiB was tried. */
const MOST_BYTES_WINDOWS = 2560;
const MOST_BYTES = 65_536;

/** A keychain; nothing is loaded or asked before the first call. */
export function openKeychain(options: KeychainOptions): Keychain {
  const { service = 'teleshift', timeoutMs = 30_000, signal, vars, platform = process.platform } = options;
  const open = options.open ?? (async () => (await import('./keychain-process.js')).keytarInChild(vars));
  let opening: Promise<OpenKeytar> | undefined;
  const ask = async <T>(what: 'read' | 'written', call: (keytar: KeytarModule) => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    opening ??= open();
    const mine = opening;
    const giveUp = () => {
      if (opening === mine) opening = undefined;
      mine.then((opened) => opened.abandon()).catch(() => {});
    };
    const work = mine.then(({ keytar }) => withRetry(() => call(keytar)));
    work.catch(() => {});
    const late = () => new Error(`no answer within ${inSeconds(timeoutMs)}`);
    try {
      return await inTime(work, timeoutMs, late, signal);
    } catch (cause) {
      // libsecret stays with the service that it found first, also when that has ended and a new one has begun.
      giveUp();
      signal?.throwIfAborted();
      throw keychainRefusal(what, cause, platform);
    }
  };
  return {
    get: (account) => ask('read', async (k) => (await k.getPassword(service, account)) ?? undefined),
    async set(account, secret) {
      const most = platform === 'win32' ? MOST_BYTES_WINDOWS : MOST_BYTES;
      const bytes = Buffer.byteLength(secret);
      if (bytes > most) {
        throw new TeleportError('LimitExceeded', `a keychain entry holds ${most} bytes, ${account} needs ${bytes}`, {
          hint: 'Log in with --credential-store=file.',
        });
      }
      await ask('written', (k) => k.setPassword(service, account, secret));
    },
    delete: (account) => ask('written', (k) => k.deletePassword(service, account)),
    list: () => ask('read', async (k) => (await k.findCredentials(service)).map((entry) => entry.account)),
  };
}

/** Another process has deleted an entry that libsecret was just looking at. Seen with gnome-keyring 42.1. */
const VANISHED = /No such interface .*Secret\.Item|does not exist at path .*\/collection\/[^/]+\/\d+/;
const TRIES = 3;

async function withRetry<T>(call: () => Promise<T>): Promise<T> {
  for (let left = TRIES - 1; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0 || !VANISHED.test(messageOf(error))) throw error;
    }
  }
}
