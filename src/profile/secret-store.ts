/**
 * Where secrets are kept: private keys and cached credentials, each under a name of its own. Two places answer: files
 * under `~/.tsh` (here) and the system's keychain (`keychain-secrets.ts`). Whoever keeps a secret asks for one of the two
 * and never learns which it is. Certificates are not secret and are not kept here.
 *
 * The name of a secret, its account, is the path that the file has or would have, relative to the base folder, with `/`
 * on every system: `keys/PROXY/USER.key`, `aws/PROFILE/…`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, nodeCodeOf } from '../errors.js';
import { readIfThere } from '../small-file.js';
import { writeWithin } from './base-folder.js';
import type { KeychainOptions } from './keychain.js';
import { SECRET_MODE } from './paths.js';
import { type CredentialStoreKind, parts, type SecretStore } from './secret.js';
import { leftoverOf } from './whole-file.js';
import { wipe } from './wipe.js';

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
  options: KeychainOptions,
): Promise<SecretStore> {
  if (kind === 'file') return fileSecrets(base);
  const { keychainSecrets } = await import('./keychain-secrets.js');
  const { openKeychain } = await import('./keychain.js');
  return keychainSecrets(base, openKeychain(options));
}

/** Secrets as files of mode 0600 in folders of mode 0700; a deleted one is overwritten. */
export function fileSecrets(base: string): SecretStore {
  const path = (account: string) => join(base, ...parts(account));
  return {
    kind: 'file',
    check: async () => {},
    get: async (account) => await readIfThere(path(account)),
    set: async (account, secret) => await writeWithin(base, path(account), secret, SECRET_MODE),
    delete: async (account) => await wipe(base, path(account)),
    async list(folder) {
      const folders = folder === '' ? SECRET_FOLDERS : [folder];
      return (await Promise.all(folders.map((one) => filesBelow(base, parts(one))))).flat().sort();
    },
  };
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
    return entry.isDirectory()
      ? await filesBelow(base, path)
      : entry.isFile() && leftoverOf(entry.name) === undefined
        ? [path.join('/')]
        : [];
  });
  return (await Promise.all(below)).flat();
}

const entriesOf = async (folder: string) => await readdir(folder, { withFileTypes: true });
