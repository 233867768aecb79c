/**
 * The key with which Auth signs its audit log, and the last checkpoint: both outside of the folder of the log, so that who
 * can edit the log alone is found out.
 */
import type { KeyObject } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { headIn, type SealOptions } from '../audit/seal.js';
import { TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { generateKey, privateKeyPem, readPrivateKey } from '../pki/keys.js';
import { readStateFile, writeStateFile } from '../store/state-files.js';

export interface AuditKeyPlace {
  /** PEM, made when there is none. */
  keyFile: string;
  headFile: string;
  logFolder: string;
  log: Logger;
}

/** @throws TeleportError `BadParameter` for a key beside the log, or one that is not an Ed25519 private key */
export async function openSeal({ keyFile, headFile, logFolder, log }: AuditKeyPlace): Promise<SealOptions> {
  const known = await readAuditKey({ keyFile, logFolder });
  const last = headOf(await readStateFile(headFile), headFile, log);
  if (known) chmodSync(keyFile, 0o600);
  const key = known ?? (await newKey(keyFile));
  if (known === undefined && last) {
    log.warn('The key that signed the audit log is gone; a new one signs from now on.', { file: keyFile });
  }
  return { key, headFile, head: last?.head, isEnded: last?.isEnded ?? false, write: writeStateFile };
}

/** The key, or undefined where there is none yet. @throws as `openSeal` */
export async function readAuditKey({
  keyFile,
  logFolder,
}: Pick<AuditKeyPlace, 'keyFile' | 'logFolder'>): Promise<KeyObject | undefined> {
  if (`${resolve(dirname(keyFile))}/`.startsWith(`${resolve(logFolder)}/`)) {
    throw new TeleportError('BadParameter', `the key that signs the audit log must not lie beside it: ${keyFile}`, {
      hint: 'Name another place in auth_service.audit_signing_key.',
    });
  }
  const known = await readStateFile(keyFile);
  return known === undefined ? undefined : keyOf(known, keyFile);
}

async function newKey(file: string): Promise<KeyObject> {
  const key = await generateKey('ed25519');
  await writeStateFile(file, privateKeyPem(key));
  return key;
}

function keyOf(pem: string, file: string): KeyObject {
  const wrong = (cause?: unknown) =>
    new TeleportError('BadParameter', `${file} is not an Ed25519 private key`, {
      cause,
      hint: 'Make one with "openssl genpkey -algorithm ed25519", or remove the file and Auth makes one.',
    });
  let key: KeyObject;
  try {
    key = readPrivateKey(pem);
  } catch (error) {
    throw wrong(error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw wrong();
  return key;
}

/** A file that cannot be read is as good as none: the log itself goes on, and its chain with it. */
function headOf(text: string | undefined, file: string, log: Logger) {
  if (text === undefined) return undefined;
  const head = headIn(text);
  if (head) return head;
  log.warn('The last checkpoint of the audit log cannot be read.', { file });
  return undefined;
}
