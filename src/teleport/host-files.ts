/**
 * Files of the data folder that belong to the process and not to one service: host id, identities, the self-signed web
 * certificate, the pid file. The folder is 0700, secrets are 0600, and nothing half written ever replaces what was good.
 */

import type { KeyObject } from 'node:crypto';
import { access, chmod, constants, rm, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { HostIdentity } from '../api/host-identity.js';
import { isDiskFailure, isDiskFull, messageOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import type { Logger } from '../log.js';
import { certificatesIn } from '../pki/certificate-file.js';
import { generateKey, privateKeyPem, publicHalf, readPrivateKey, sameKey } from '../pki/keys.js';
import { publicKeyOf, readCertificate, selfSignedWebCertificate } from '../pki/x509.js';
import { webCertFiles } from '../resources/default-paths.js';
import { shellWord } from '../shell-word.js';
import { readStateFile, writeStateFile } from '../store/state-files.js';

/**
 * Make the folder, or look whether this user may use it. Changes nothing of a folder that is there.
 *
 * @throws TeleportError with the next step when it cannot be made or used
 */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await makeFolders(dataDir, 0o700);
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new TeleportError(
      isDiskFull(cause) ? 'LimitExceeded' : 'BadParameter',
      `cannot use the data folder ${dataDir}: ${messageOf(cause)}${await ownerOf(dataDir)}`,
      {
        cause,
        hint: 'Choose another one: teleport start --data-dir=DIR (or "data_dir" in the configuration file).',
      },
    );
  }
}

/** Only for its owner from now on; called by the process that has the folder. */
export async function closeDataDir(dataDir: string): Promise<void> {
  try {
    await chmod(dataDir, 0o700);
  } catch (cause) {
    throw new TeleportError(
      'BadParameter',
      `cannot close the data folder ${dataDir} to other users: ${messageOf(cause)}${await ownerOf(dataDir)}`,
      { cause, hint: `Give it to the user that runs teleport: chown -R ${userInfo().uid} ${dataDir}` },
    );
  }
}

async function ownerOf(dataDir: string): Promise<string> {
  const { uid } = userInfo();
  const owner = await stat(dataDir).then(
    (facts) => facts.uid,
    () => uid,
  );
  return owner === uid ? '' : ` (it belongs to user ${owner}, and this process runs as user ${uid})`;
}

/**
 * The identity that was stored when this host joined, or undefined when it has not.
 *
 * @throws TeleportError `BadParameter` for one that cannot be used: not whole, of another role
 */
export async function readIdentity(dataDir: string, role: string): Promise<HostIdentity | undefined> {
  const file = identityFile(dataDir, role);
  const text = await readStateFile(file);
  if (text === undefined) return undefined;
  const bad = (why: string, cause?: unknown) =>
    new TeleportError('BadParameter', `the identity file ${file} cannot be used: ${why}`, {
      cause,
      hint: `Remove it and join again: rm ${shellWord(file)}, then start with a new join token (tctl tokens add --type=${role.toLowerCase()}).`,
    });
  let identity: HostIdentity;
  let fits: boolean;
  try {
    identity = JSON.parse(text) as HostIdentity;
    fits = sameKey(publicKeyOf(identity.certPem), publicHalf(readPrivateKey(identity.keyPem)));
    for (const pem of identity.hostCaPems) readCertificate(pem);
  } catch (cause) {
    throw bad(text.trim() === '' ? 'it is empty' : 'it is damaged', cause);
  }
  const { hostId, clusterName } = identity;
  if (
    ![hostId, clusterName].every((value) => typeof value === 'string' && value !== '') ||
    identity.hostCaPems.length === 0
  )
    throw bad('it is damaged');
  if (!fits) throw bad('the key is not that of the certificate');
  if (identity.role !== role) throw bad(`it is of role ${identity.role}, not ${role}`);
  return identity;
}

export async function saveIdentity(dataDir: string, identity: HostIdentity): Promise<void> {
  await writeStateFile(identityFile(dataDir, identity.role), `${JSON.stringify(identity, null, 2)}\n`);
}

/** Read the self-signed web certificate, or make one for these names (10 years, as Teleport's). */
export async function webCertificate(
  dataDir: string,
  names: string[],
  now: Date,
): Promise<{ certPem: string; keyPem: string }> {
  const { keyFile, certFile } = webCertFiles(dataDir);
  const [certPem, keyPem] = await Promise.all([readStateFile(certFile), readStateFile(keyFile)]);
  if (certPem && keyPem) {
    const nextStep = `Or remove it and ${keyFile}, and start again: a new one is made, which clients must trust.`;
    const [leaf] = certificatesIn(certPem, { source: "the Proxy's own certificate", where: certFile, nextStep });
    if (readCertificate(leaf!).notAfter > now) return { certPem, keyPem };
  }
  const key = await generateKey('ecdsa-p256');
  const made = { certPem: selfSignedWebCertificate({ names, key, now }), keyPem: privateKeyPem(key) };
  await writeStateFile(keyFile, made.keyPem);
  await writeStateFile(certFile, made.certPem);
  return made;
}

/** The web certificate that the configuration names. @throws BadParameter when a file is missing or they do not fit */
export async function readKeypair(files: {
  certFile: string;
  keyFile: string;
}): Promise<{ certPem: string; keyPem: string }> {
  const [chain, keyPem] = await Promise.all([readRequired(files.certFile), readRequired(files.keyFile)]);
  const certPem = certificatesIn(chain, { source: 'https_keypairs', where: files.certFile }).join('');
  if (!sameKey(publicKeyOf(certPem), publicHalf(keyIn(keyPem, files.keyFile)))) {
    throw new TeleportError('BadParameter', `${files.keyFile} is not the key of the certificate ${files.certFile}`);
  }
  return { certPem, keyPem };
}

function keyIn(pem: string, file: string): KeyObject {
  try {
    return readPrivateKey(pem);
  } catch (cause) {
    throw new TeleportError('BadParameter', `https_keypairs: ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'Name the PEM file of the private key that the certificate was issued for, without a passphrase.',
    });
  }
}

async function readRequired(file: string): Promise<string> {
  const text = await readStateFile(file);
  if (text === undefined) throw new TeleportError('BadParameter', `path '${file}' does not exist`);
  return text;
}

/** A full disk does not stop the start: the services work without their pid file. */
export async function writePid(file: string, pid: number, log: Logger): Promise<void> {
  await writeStateFile(file, `${pid}\n`, 0o644).catch((error: unknown) => {
    if (!isDiskFailure((error as TeleportError).cause)) throw error;
    log.error('The pid file cannot be written.', { error });
  });
}

export async function removePid(file: string, log: Logger): Promise<void> {
  await rm(file, { force: true }).catch((error: unknown) => {
    log.error('The pid file cannot be removed.', { error });
  });
}

export function identityFile(dataDir: string, role: string): string {
  return join(dataDir, `identity-${role.toLowerCase()}.json`);
}
