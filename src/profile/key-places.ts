/**
 * The private keys of a proxy in one place or the other: moved when a person chooses, deleted at logout. Whatever happens
 * in between, the place that the profile names has every key, and what is left in the other one is found at logout.
 */
import { existsSync } from 'node:fs';
import { isTeleportError, TeleportError } from '../errors.js';
import type { KeychainOptions } from './keychain.js';
import { basePaths } from './paths.js';
import { type CredentialStoreKind, openSecrets, type SecretStore } from './secret-store.js';
import { wipe } from './wipe.js';

/** Opens each place once; `deleteEntries` needs to know the base folder too. */
export interface SecretOpener {
  (kind: CredentialStoreKind): Promise<SecretStore>;
  readonly base: string;
}

export function secretOpener(base: string, keychain: KeychainOptions = {}): SecretOpener {
  const opened = new Map<CredentialStoreKind, Promise<SecretStore>>();
  const open = async (kind: CredentialStoreKind) => {
    const store = opened.get(kind) ?? openSecrets(kind, base, keychain);
    opened.set(kind, store);
    return await store;
  };
  return Object.assign(open, { base });
}

/** What begins a private key in a file of ours or of real `tsh`, PuTTY's among them. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|^PuTTY-User-Key-File/m;

/**
 * Move all private keys of a folder. First copied, then `record` is told, then removed from the old place.
 *
 * @returns why entries of the keychain are left or could not be read, when files are the new place
 * @throws TeleportError `AccessDenied` when the keychain is the new place and refuses; `record` has not been called
 */
export async function moveKeys(
  folder: string,
  move: { from: SecretStore; to: SecretStore; record: () => Promise<void> },
): Promise<TeleportError | undefined> {
  const { from, to, record } = move;
  if (from.kind === to.kind) {
    await record();
    return undefined;
  }
  try {
    const moved: string[] = [];
    for (const account of await from.list(folder)) {
      const secret = await from.get(account);
      if (secret === undefined || !PRIVATE_KEY.test(secret)) continue;
      await to.set(account, secret);
      moved.push(account);
    }
    await record();
    for (const account of moved) await from.delete(account);
    return undefined;
  } catch (error) {
    // A keychain that is out of reach must not keep anybody from going back to files.
    if (to.kind === 'keychain' || !isTeleportError(error, 'AccessDenied')) throw error;
    await record();
    return error;
  }
}

/**
 * Delete entries of the keychain, if there may be any. When none are left the mark goes too.
 *
 * @returns true when one was deleted
 * @throws TeleportError `AccessDenied` when the keychain refuses
 */
export async function deleteEntries(
  open: SecretOpener,
  folder: string,
  isMeant: (account: string) => boolean,
): Promise<boolean> {
  const { keychainMark } = basePaths(open.base);
  if (!existsSync(keychainMark)) return false;
  let accounts: string[];
  try {
    const secrets = await open('keychain');
    accounts = (await secrets.list(folder)).filter(isMeant);
    for (const account of accounts) await secrets.delete(account);
    if ((await secrets.list('')).length === 0) await wipe(keychainMark);
  } catch (error) {
    throw new TeleportError('AccessDenied', 'keys are left in the system keychain', {
      cause: error,
      hint: 'The files are removed. When the keychain can be reached, remove the rest with "tsh logout".',
    });
  }
  return accounts.length > 0;
}
