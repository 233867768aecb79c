/**
 * Where a login keeps its private keys: the flag or its variable, else what the profile remembers, else the settings of
 * `tsh`, else as the current profile has it, else files. Decided and tried before anything is asked.
 */

import type { Env } from '../cli/env.js';
import { printWarning } from '../cli/output.js';
import { waitingFor } from '../cli/progress.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { profileBase } from '../profile/paths.js';
import type { CredentialStoreKind } from '../profile/secret.js';
import { openSecrets } from '../profile/secret-store.js';
import type { ProfileStore } from '../profile/store.js';
import { readTshConfig } from '../profile/tsh-config.js';
import { proxyHostOf } from '../profile/typed-proxy.js';
import { forgetServices } from './logout.js';

export interface CredentialStoreArgs {
  proxy?: string | undefined;
  /** `--credential-store` or TELEPORT_CREDENTIAL_STORE. */
  credentialStore?: CredentialStoreKind | undefined;
}

/**
 * Make the place ready for the login that follows: keys that are there already are moved, and the profile remembers it.
 *
 * @throws TeleportError `AccessDenied` when it is to be the keychain and that refuses: nothing has changed then
 */
export async function prepareCredentialStore(env: Env, store: ProfileStore, args: CredentialStoreArgs): Promise<void> {
  const name = await profileOf(store, args);
  if (name === undefined) return;
  const before = await store.credentialStore(name);
  const kind = await chosenStore(env, store, name, args);
  if (kind === 'file' && before === 'file' && args.credentialStore === undefined) return;
  const left = await waitingFor(env, 'the system keychain', store.setCredentialStore(name, kind));
  if (left) warnOfLeftKeys(env, left);
  if (kind === 'keychain' && before === 'file') await forgetKeyFiles(env, store, name);
}

function warnOfLeftKeys(env: Env, why: TeleportError): void {
  printWarning(env, `keys are left in the keychain until "tsh logout" can reach it: ${messageOf(why.cause ?? why)}`);
}

/** @throws TeleportError `BadParameter` for a file with a private key where keys are to be in the keychain */
export async function refuseKeyFile(env: Env, store: ProfileStore, args: CredentialStoreArgs): Promise<void> {
  const name = await profileOf(store, args);
  if (name === undefined || (await chosenStore(env, store, name, args)) === 'file') return;
  throw new TeleportError('BadParameter', '--out writes a private key into a file, and keys belong into the keychain', {
    hint: 'To write this one file all the same, add --credential-store=file.',
  });
}

async function profileOf(store: ProfileStore, { proxy }: CredentialStoreArgs): Promise<string | undefined> {
  return proxy ? proxyHostOf(proxy) : await store.currentName();
}

/**
 * For an AWS login, whose passwords of databases are the secrets. What was cached in the other place is forgotten.
 *
 * @param before  the same identity as it was remembered
 * @returns what to remember; undefined: files, and nobody has chosen
 * @throws TeleportError `AccessDenied` when it is to be the keychain and that refuses
 */
export async function prepareAwsStore(
  env: Env,
  args: CredentialStoreArgs,
  before: AwsIdentity | undefined,
): Promise<CredentialStoreKind | undefined> {
  const base = profileBase(env.vars, env.home);
  const kind = args.credentialStore ?? before?.credentialStore ?? (await readTshConfig(base, env.vars)).credentialStore;
  if (kind === 'keychain') {
    const secrets = await openSecrets(kind, base, { signal: env.signal, vars: env.vars });
    await waitingFor(env, 'the system keychain', secrets.check());
  }
  if (before && (kind ?? 'file') !== (before.credentialStore ?? 'file')) {
    const { forgetAws } = await import('./logout-aws.js');
    await forgetAws(env, before).catch((error: unknown) => {
      // A keychain that is out of reach must not keep anybody from going back to files.
      if (kind === 'keychain' || !isTeleportError(error, 'AccessDenied')) throw error;
      warnOfLeftKeys(env, error);
    });
  }
  return kind;
}

async function chosenStore(
  env: Env,
  store: ProfileStore,
  name: string,
  args: CredentialStoreArgs,
): Promise<CredentialStoreKind> {
  if (args.credentialStore) return args.credentialStore;
  const own = (await store.readProfile(name))?.credentialStore;
  if (own) return own;
  const { credentialStore } = await readTshConfig(profileBase(env.vars, env.home), env.vars);
  if (credentialStore) return credentialStore;
  const current = await store.currentName();
  return (current === undefined ? undefined : (await store.readProfile(current))?.credentialStore) ?? 'file';
}

/** Sections of `~/.pg_service.conf` that name key files which are gone. */
async function forgetKeyFiles(env: Env, store: ProfileStore, name: string): Promise<void> {
  const profile = await store.readProfile(name);
  if (profile?.user) await forgetServices(env, name, profile.user);
}
