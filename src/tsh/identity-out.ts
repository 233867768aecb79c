/** `tsh login --out`: certificates as a file for programs. Spec: login-and-profile.md 7.1. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { connectRoot } from '../access/login/client.js';
import { fetchHostCas } from '../access/login/host-cas.js';
import { leftOutWarning, type SignedIn } from '../access/login/sign-in.js';
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';
import { waitingFor } from '../cli/progress.js';
import { confirm } from '../cli/prompt.js';
import { TeleportError } from '../errors.js';
import { encodeIdentityFile } from '../identity/identity-file.js';
import { memoryStore } from '../profile/memory-store.js';
import { SECRET_MODE } from '../profile/paths.js';
import { type Profile, profileName } from '../profile/profile.js';
import { sessionOf } from '../profile/session.js';
import { assertCanWrite, writeWhole } from '../profile/whole-file.js';

export type IdentityFormat = 'file' | 'openssh';

/** @throws TeleportError `BadParameter` for a word that is none, `NotImplemented` for `kubernetes` */
export function identityFormat(word: string): IdentityFormat {
  if (word === 'file' || word === 'openssh') return word;
  if (word === 'kubernetes') throw new TeleportError('NotImplemented', 'identity format kubernetes is not supported');
  throw new TeleportError('BadParameter', `invalid identity format: ${word}`);
}

/** Before a person is asked for a password: whether the files can be written. @throws as `writeIdentity` */
export async function checkPlaces(env: Env, target: { out: string; format: IdentityFormat }): Promise<void> {
  for (const path of filesOf(target)) await assertCanWrite(resolve(env.cwd, path));
}

function filesOf({ out, format }: { out: string; format: IdentityFormat }): string[] {
  return format === 'file' ? [out] : [out, `${out}-cert.pub`];
}

/** Write the file or the two files, after asking when they exist. Authorities are those that the cluster trusts. */
export async function writeIdentity(
  env: Env,
  target: { out: string; format: IdentityFormat; overwrite: boolean },
  login: { profile: Profile; signedIn: SignedIn; insecure: boolean },
): Promise<void> {
  const { keys } = login.signedIn;
  const hostCas = await allHostCas(env, login);
  const text = encodeIdentityFile({
    privateKeyPem: keys.tlsKeyPem,
    ...(keys.sshCert ? { sshCertLine: keys.sshCert } : {}),
    tlsCertPem: keys.tlsCertPem,
    sshCaLines: hostCas.flatMap(({ knownHosts = [] }) => knownHosts),
    tlsCaPems: hostCas.flatMap(({ tlsPems }) => tlsPems),
  });
  const files = filesOf(target);
  const contents = target.format === 'file' ? [text] : [keys.sshKeyPem, `${keys.sshCert}\n`];
  const paths = files.map((path) => resolve(env.cwd, path));
  const existing = paths.filter((path) => existsSync(path));
  if (existing.length > 0 && !target.overwrite) {
    const names = files.filter((path) => existsSync(resolve(env.cwd, path)));
    if (!(await confirm(env, `Destination file(s) ${names.join(', ')} exist. Overwrite?`))) {
      throw new TeleportError('AlreadyExists', `not overwriting destination files ${names.join(', ')}`);
    }
  }
  for (const [i, content] of contents.entries()) await writeWhole(paths[i]!, content, SECRET_MODE);
  printLine(env);
  printLine(env, `The certificate has been written to ${files.join(',')}`);
}

async function allHostCas(env: Env, login: { profile: Profile; signedIn: SignedIn; insecure: boolean }) {
  const { user, cluster, keys, hostCas } = login.signedIn;
  const profile = { ...login.profile, user, cluster };
  const name = profileName(profile);
  const session = await sessionOf(memoryStore({ profile, keys, hostCas }), name, profile);
  await using client = await connectRoot(env, session, login.insecure);
  const found = await waitingFor(env, 'the cluster', fetchHostCas(client.api, name, leftOutWarning(env)));
  return found.length > 0 ? found : hostCas;
}
