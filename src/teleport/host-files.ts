/**
 * Files of the data folder that belong to the process and not to one service: host id, identities, the self-signed web
 * certificate, the pid file. The folder is 0700, secrets are 0600, and nothing half written ever replaces what was good.
 */
import { type KeyObject, randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostIdentity } from '../api/host-identity.js';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { certificatesIn } from '../pki/certificate-file.js';
import { generateKey, privateKeyPem, publicHalf, readPrivateKey, sameKey } from '../pki/keys.js';
import { publicKeyOf, readCertificate, selfSignedWebCertificate } from '../pki/x509.js';
import { webCertFiles } from './config.js';

/** @throws BadParameter with the next step when the folder cannot be made or written */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await chmod(dataDir, 0o700);
  } catch (cause) {
    throw new TeleportError('BadParameter', `cannot use the data folder ${dataDir}: ${messageOf(cause)}`, {
      cause,
      hint: 'Choose another one: teleport start --data-dir=DIR (or "data_dir" in the configuration file).',
    });
  }
}

/** The UUID of this host: made once, then always the same. */
export async function hostId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'host_uuid');
  const known = (await readIfThere(file))?.trim();
  if (known) return known;
  const id = randomUUID();
  await writeWhole(file, `${id}\n`);
  return id;
}

export async function readIdentity(dataDir: string, role: string): Promise<HostIdentity | undefined> {
  const file = identityFile(dataDir, role);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as HostIdentity;
  } catch (cause) {
    throw new TeleportError('BadParameter', `the identity file ${file} cannot be read: ${messageOf(cause)}`, {
      cause,
      hint: `Remove it and start with a join token again: rm ${file}`,
    });
  }
}

export async function saveIdentity(dataDir: string, identity: HostIdentity): Promise<void> {
  await writeWhole(identityFile(dataDir, identity.role), `${JSON.stringify(identity, null, 2)}\n`);
}

/** Read the self-signed web certificate, or make one for these names (10 years, as Teleport's). */
export async function webCertificate(
  dataDir: string,
  names: string[],
  now: Date,
): Promise<{ certPem: string; keyPem: string }> {
  const { keyFile, certFile } = webCertFiles(dataDir);
  const [certPem, keyPem] = await Promise.all([readIfThere(certFile), readIfThere(keyFile)]);
  if (certPem && keyPem && readCertificate(certPem).notAfter > now) return { certPem, keyPem };
  const key = await generateKey('ecdsa-p256');
  const made = { certPem: selfSignedWebCertificate({ names, key, now }), keyPem: privateKeyPem(key) };
  await writeWhole(keyFile, made.keyPem);
  await writeWhole(certFile, made.certPem);
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
  const text = await readIfThere(file);
  if (text === undefined) throw new TeleportError('BadParameter', `path '${file}' does not exist`);
  return text;
}

export async function writePid(file: string, pid: number): Promise<void> {
  await writeWhole(file, `${pid}\n`, 0o644);
}

export async function removePid(file: string): Promise<void> {
  await rm(file, { force: true });
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return undefined;
    throw new TeleportError('BadParameter', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const half = join(dirname(file), `.${randomUUID()}.tmp`);
  try {
    await using handle = await open(half, 'wx', mode);
    await handle.writeFile(text);
    await handle.sync();
    await rename(half, file);
  } catch (cause) {
    await rm(half, { force: true });
    throw new TeleportError('BadParameter', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

function identityFile(dataDir: string, role: string): string {
  return join(dataDir, `identity-${role.toLowerCase()}.json`);
}
