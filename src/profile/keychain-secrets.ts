/**
 * Secrets as entries of the system's keychain. The entry's account is the whole path that the file would have, so two
 * base folders (`TELEPORT_HOME`) never meet, and a person who looks into the keychain sees whose entry it is.
 *
 * Before the first entry is written a mark is put into the base folder: from then on `tsh logout` looks for entries, even
 * after a crash, or after another program has rewritten or removed the profile. The mark is in `config/`, which is all
 * that a real `tsh logout` leaves.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { TeleportError } from '../errors.js';
import { writeWithin } from './base-folder.js';
import type { Keychain } from './keychain.js';
import { basePaths, SECRET_MODE } from './paths.js';
import { parts, type SecretStore } from './secret.js';

/** Content of an entry, and how its account begins, that shows whether the keychain can be used. */
const TRIAL = 'trial';

const MARK = `Private keys of this folder are in the system keychain, under the service "teleshift".
"tsh logout" removes them and this file.
`;

/** Secrets of this base folder in the keychain. Nothing is asked before the first call. */
export function keychainSecrets(base: string, keychain: Keychain): SecretStore {
  const root = resolve(base);
  const entry = (account: string) => join(root, ...parts(account));
  const check = async () => {
    // A name of its own, so that two at once do not take it from each other.
    const account = entry(`${TRIAL}-${randomUUID()}`);
    await keychain.set(account, TRIAL);
    const back = await keychain.get(account);
    await keychain.delete(account);
    if (back !== TRIAL) throw new TeleportError('AccessDenied', 'the system keychain does not give back what it took');
  };
  let opened: Promise<void> | undefined;
  /** A locked keychain answers as if it were empty: its "nothing" counts once it has taken an entry. */
  const surely = async <T>(nothing: T): Promise<T> => {
    opened ??= check();
    await opened.catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return nothing;
  };
  return {
    kind: 'keychain',
    check,
    get: async (account) => (await keychain.get(entry(account))) ?? (await surely(undefined)),
    async set(account, secret) {
      await putMark(base);
      await keychain.set(entry(account), secret);
    },
    delete: async (account) => (await keychain.delete(entry(account))) || (await surely(false)),
    async list(folder) {
      await surely(undefined);
      const start = folder === '' ? root + sep : entry(folder) + sep;
      const accounts = (await keychain.list()).filter((account) => account.startsWith(start));
      return accounts.map((account) => account.slice(root.length + 1).replaceAll(sep, '/')).sort();
    },
  };
}

/** True when there may be entries of this base folder. Asks no keychain. */
export function mayHaveEntries(base: string): boolean {
  return existsSync(basePaths(base).keychainMark);
}

async function putMark(base: string): Promise<void> {
  if (!mayHaveEntries(base)) await writeWithin(base, basePaths(base).keychainMark, MARK, SECRET_MODE);
}
