/**
 * Where secrets are kept: private keys and cached credentials, each under a name of its own. Two places answer: files
 * under `~/.tsh` (here) and the system's keychain (`keychain-secrets.ts`). Whoever keeps a secret asks for one of the two
 * and never learns which it is. Certificates are no secrets and are not kept here.
 *
 * The name of a secret, its account, is the path that the file has or would have, relative to the base folder, with `/`
 * on every system: `keys/PROXY/USER.key`, `aws/PROFILE/…`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import type { KeychainOptions } from './keychain.js';
import { readIfThere, writeWhole } from './lock.js';
import { SECRET_MODE } from './paths.js';
import { wipe } from './wipe.js';

export const CREDENTIAL_STORES = ['file', 'keychain'] as const;

/** Words of `--credential-store`. */
export type CredentialStoreKind = (typeof CREDENTIAL_STORES)[number];

export interface SecretStore {
  readonly kind: CredentialStoreKind;
  /** @throws TeleportError `AccessDenied` with the reason when nothing can be kept here; leaves no trace */
  check(): Promise<void>;
  /** @returns undefined when there is none. @throws TeleportError `AccessDenied` when it cannot be read, never a substitute */
  get(account: string): Promise<string | undefined>;
  /** Put or replace, whole or not at all. The secret comes back from `get` as it went in. */
  set(account: string, secret: string): Promise<void>;
  /** @returns false when there was none */
  delete(account: string): Promise<boolean>;
  /** Accounts in this folder and below it (`aws`, `keys/PROXY`), sorted; '' for all. */
  list(folder: string): Promise<string[]>;
}

/** Folders of a base folder that may hold secrets of ours. */
const SECRET_FOLDERS = ['aws', 'keys'];

/**
 * The place where secrets of this base folder are kept; of the keychain's code nothing is read before it is chosen.
 *
 * @param options  for the keychain
 */
export async function openSecrets(
  kind: CredentialStoreKind,
  base: string,
  options: KeychainOptions = {},
): Promise<SecretStore> {
  if (kind === 'file') return fileSecrets(base);
  const { keychainSecrets } = await import('./keychain-secrets.js');
  const { openKeychain } = await import('./keychain.js'); // which the other has loaded
  return keychainSecrets(base, openKeychain(options));
}

/** Secrets as files of mode 0600 in folders of mode 0700; a deleted one is overwritten. */
export function fileSecrets(base: string): SecretStore {
  const path = (account: string) => join(base, ...parts(account));
  return {
    kind: 'file',
    check: async () => {},
    get: async (account) => await readIfThere(path(account)),
    set: async (account, secret) => await writeWhole(path(account), secret, SECRET_MODE),
    delete: async (account) => await wipe(path(account)),
    async list(folder) {
      const folders = folder === '' ? SECRET_FOLDERS : [folder];
      return (await Promise.all(folders.map((one) => filesBelow(base, parts(one))))).flat().sort();
    },
  };
}

/**
 * An account as the components of a path.
 *
 * @throws TeleportError `BadParameter` for one that could lead out of the base folder
 */
export function parts(account: string): string[] {
  const found = account.split('/');
  for (const part of found) {
    if (part === '' || part === '.' || part.includes('..') || /[\\\0\n]/.test(part)) {
      throw new TeleportError('BadParameter', `${JSON.stringify(account)} cannot be the name of a secret`);
    }
  }
  return found;
}

async function filesBelow(base: string, folder: readonly string[]): Promise<string[]> {
  let entries: Awaited<ReturnType<typeof entriesOf>>;
  try {
    entries = await entriesOf(join(base, ...folder));
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT' || nodeCodeOf(error) === 'ENOTDIR') return [];
    throw fileError('read', join(base, ...folder), error);
  }
  const below = entries.map(async (entry) => {
    const path = [...folder, entry.name];
    return entry.isDirectory() ? await filesBelow(base, path) : entry.isFile() ? [path.join('/')] : [];
  });
  return (await Promise.all(below)).flat();
}

const entriesOf = async (folder: string) => await readdir(folder, { withFileTypes: true });
