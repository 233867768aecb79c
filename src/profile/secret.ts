/** What a place for secrets is, and how a secret in it is called. */
import { TeleportError } from '../errors.js';

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
