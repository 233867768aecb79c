/**
 * The sealed answer of a single sign-on login: JSON `{"ciphertext","nonce"}` in base64, AES-256-GCM, 12 bytes of nonce, the
 * tag behind the ciphertext, no additional data. Only who was given the key can have made it. Spec: login-and-profile.md
 * 3.1. Pure.
 */
import { createDecipheriv } from 'node:crypto';
import { TeleportError } from '../../errors.js';

export const SEAL_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * @param key  32 bytes
 * @returns the plain text
 * @throws TeleportError `BadParameter` `failed to decrypt response: …`; what came is never repeated
 */
export function openSealed(key: Buffer, sealed: string): string {
  const { ciphertext, nonce } = parts(sealed);
  if (nonce.length !== NONCE_BYTES || ciphertext.length < TAG_BYTES) throw refused('it is not complete');
  const opener = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  opener.setAuthTag(ciphertext.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([opener.update(ciphertext.subarray(0, -TAG_BYTES)), opener.final()]).toString('utf8');
  } catch (cause) {
    throw refused('cipher: message authentication failed', cause);
  }
}

function parts(sealed: string): { ciphertext: Buffer; nonce: Buffer } {
  try {
    const { ciphertext, nonce } = JSON.parse(sealed) as Record<string, unknown>;
    if (typeof ciphertext === 'string' && typeof nonce === 'string') {
      return { ciphertext: Buffer.from(ciphertext, 'base64'), nonce: Buffer.from(nonce, 'base64') };
    }
  } catch {
    // said below
  }
  throw refused('it is not a sealed answer');
}

function refused(why: string, cause?: unknown): TeleportError {
  return new TeleportError('BadParameter', `failed to decrypt response: ${why}`, { cause });
}
