/** SHA-256 as hexadecimal digits, by the quickest way that this Node has: a statement has two of them. */
import crypto from 'node:crypto';

/** Since Node 20.12: without an object for each sum. */
const { hash } = crypto as { hash?: (algorithm: string, data: string | Uint8Array, encoding: 'hex') => string };

/** @param data  text counts as UTF-8 */
export const sha256: (data: string | Uint8Array) => string = hash
  ? (data) => hash('sha256', data, 'hex')
  : (data) => crypto.createHash('sha256').update(data).digest('hex');
