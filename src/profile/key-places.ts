/**
 * The private keys of a proxy in one place or the other: moved when a person chooses, deleted at logout. Whatever happens
 * in between, the place that the profile names has every key, and what is left in the other one is found at logout.
 */
import { existsSync } from 'node:fs';
import { isTeleportError, TeleportError } from '../errors.js';
import type { KeychainOptions } from './keychain.js';
import { basePaths } from './paths.js';
import type { CredentialStoreKind, SecretStore } from './secret.js';
import { openSecrets } from './secret-store.js';
import { wipe } from './wipe.js';

/** Opens each place once; `deleteEntries` needs to know the base folder too. */
export interface SecretOpener {
  (kind: CredentialStoreKind): Promise<SecretStore>;
  readonly base: string;
}

export function secretOpener(base: string, keychain: KeychainOptions): SecretOpener {
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
 * Move all private keys of a folder. First copied, then `record` is called, then removed from the old place.
 *
 * @returns why entries of the keychain are left or could not be read, when files are the new place
 * @throws TeleportError `AccessDenied` when the keychain is the new place and refuses; `record` has not been called
 */
export async function moveKeys(
  open: SecretOpener,
  folder: string,
  move: { from: CredentialStoreKind; to: CredentialStoreKind; record: () => Promise<void> },
): Promise<TeleportError | undefined> {
  const { from, to, record } = move;
  if (from !== to) {
    try {
      const [source, target] = await Promise.all([open(from), open(to)]);
      const accounts = await keysIn(source, folder);
      for (const account of accounts) await target.set(account, (await source.get(account))!);
      await record();
      for (const account of accounts) await source.delete(account);
      if (from === 'keychain') await forgetMark(open);
      return undefined;
    } catch (error) {
      // A keychain that is out of reach must not keep anybody from going back to files.
      if (to === 'keychain' || !isTeleportError(error, 'AccessDenied')) throw error;
      await record();
      return error;
    }
  }
  await record();
  if (to === 'keychain') {
    // What a crash in the middle of the way left in files.
    const files = await open('file');
    for (const account of await keysIn(files, folder)) await files.delete(account);
  }
  return undefined;
}

async function keysIn(secrets: SecretStore, folder: string): Promise<string[]> {
  const accounts = await secrets.list(folder);
  const isKey = await Promise.all(accounts.map(async (one) => PRIVATE_KEY.test((await secrets.get(one)) ?? '')));
  return accounts.filter((_, i) => isKey[i]);
}

async function forgetMark(open: SecretOpener): Promise<void> {
  if ((await (await open('keychain')).list('')).length === 0) await wipe(open.base, basePaths(open.base).keychainMark);
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
  if (!existsSync(basePaths(open.base).keychainMark)) return false;
  let accounts: string[];
  try {
    const secrets = await open('keychain');
    accounts = (await secrets.list(folder)).filter(isMeant);
    for (const account of accounts) await secrets.delete(account);
    await forgetMark(open);
  } catch (error) {
    throw new TeleportError('AccessDenied', 'keys are left in the system keychain', {
      cause: error,
      hint: 'The files are removed. When the keychain can be reached, remove the rest with "tsh logout".',
    });
  }
  return accounts.length > 0;
}
