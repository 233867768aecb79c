/**
 * Secrets as entries of the system's keychain. The entry's account is the whole path that the file would have, so two
 * base folders (`TELEPORT_HOME`) never meet, and a person who looks into the keychain sees whose entry it is.
 *
 * Before the first entry is written a mark is put into the base folder: from then on `tsh logout` looks for entries, even
 * after a crash, or after another program has rewritten or removed the profile. The mark is in `config/`, which is all
 * that a real `tsh logout` leaves.
 */
import { existsSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { TeleportError } from '../errors.js';
import { type Keychain, openKeychain } from './keychain.js';
import { writeWhole } from './lock.js';
import { basePaths, SECRET_MODE } from './paths.js';
import { parts, type SecretStore } from './secret-store.js';

const TRIAL = 'trial';

const MARK = `Private keys of this folder are in the system keychain, under the service "teleshift".
"tsh logout" removes them and this file.
`;

/** Secrets of this base folder in the keychain. Nothing is asked before the first call. */
export function keychainSecrets(base: string, keychain: Keychain = openKeychain()): SecretStore {
  const root = resolve(base);
  const entry = (account: string) => join(root, ...parts(account));
  return {
    kind: 'keychain',
    get: async (account) => await keychain.get(entry(account)),
    async set(account, secret) {
      await putMark(base);
      await keychain.set(entry(account), secret);
    },
    delete: async (account) => await keychain.delete(entry(account)),
    async list(folder) {
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

/**
 * Try whether the keychain takes an entry and gives it back; it is removed at once.
 *
 * @throws TeleportError `AccessDenied` with the reason
 */
export async function tryKeychain(base: string, keychain: Keychain = openKeychain()): Promise<void> {
  const account = join(resolve(base), TRIAL);
  await keychain.set(account, TRIAL);
  if ((await keychain.get(account)) !== TRIAL) {
    throw new TeleportError('AccessDenied', 'the system keychain does not give back what was put into it', {
      hint: 'Unlock the keychain and try again, or log in with --credential-store=file.',
    });
  }
  await keychain.delete(account);
}

async function putMark(base: string): Promise<void> {
  if (!mayHaveEntries(base)) await writeWhole(basePaths(base).keychainMark, MARK, SECRET_MODE);
}
