/**
 * Signatures over the chain. A checkpoint says "up to here, so": the number and the sum of the record before it. Signed with
 * a key that is not in the folder of the log, and kept once more outside of it, it vouches for all records before it
 * against whoever can edit the log alone. A farewell is the same over days that were deleted because they were old.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { Link } from './chain.js';

/** What a signature may be for. One that was made for the one is worth nothing for the other. */
export type Purpose = 'checkpoint' | 'farewell';

/** As it stands in an event, and in the files that hold the last one. */
export interface Sealed {
  cluster_name: string;
  time: string;
  /** Number and sum of the last record that is vouched for. */
  last_n: number;
  last_sum: string;
  /** Raw Ed25519 key, base64. */
  public_key: string;
  /** base64. */
  signature: string;
}

export interface SealOptions {
  /** Ed25519, private. */
  key: KeyObject;
  /** Where the last checkpoint is kept: not in the folder of the log. */
  headFile: string;
  /** The last checkpoint, of an earlier run. */
  head: Sealed | undefined;
  /** Whether that run ended in order, so that nothing can stand behind it. */
  isEnded?: boolean;
  /** Writes a small file so that it is whole or not there. */
  write(path: string, text: string): Promise<void>;
}

/** The text of the file with the last checkpoint. Who can edit the log cannot write it: what is not signed in it counts too. */
export const headText = (head: Sealed, isEnded: boolean): string =>
  `${JSON.stringify(isEnded ? { ...head, ended: true } : head)}\n`;

/** Undefined for what is not such a text. */
export function headIn(text: string): Pick<SealOptions, 'head' | 'isEnded'> | undefined {
  try {
    const members = JSON.parse(text) as { ended?: unknown };
    const head = sealedOf(members);
    return head && { head, isEnded: members.ended === true };
  } catch {
    return undefined;
  }
}

const SEALED_KEYS = ['cluster_name', 'time', 'last_n', 'last_sum', 'public_key', 'signature'] as const;

export function sealed(
  purpose: Purpose,
  key: KeyObject,
  { n, sum }: Link,
  { cluster_name, time }: Pick<Sealed, 'cluster_name' | 'time'>,
): Sealed {
  const facts = { cluster_name, time, last_n: n, last_sum: sum, public_key: publicKeyText(key) };
  return { ...facts, signature: sign(null, textOf(purpose, facts), key).toString('base64') };
}

/** Whether this key signed it for this purpose. */
export function isSealed(purpose: Purpose, what: Sealed, key: KeyObject): boolean {
  return verify(null, textOf(purpose, what), key, Buffer.from(what.signature, 'base64'));
}

/** The members of a seal, out of an event or a file. Undefined where one is missing. */
export function sealedOf(record: object): Sealed | undefined {
  const members = record as Record<string, unknown>;
  const isWhole = SEALED_KEYS.every((key) =>
    key === 'last_n' ? Number.isSafeInteger(members[key]) : typeof members[key] === 'string',
  );
  if (!isWhole) return undefined;
  return Object.fromEntries(SEALED_KEYS.map((key) => [key, members[key]])) as unknown as Sealed;
}

/** The raw 32 bytes in base64: short enough to be compared by a person. */
export function publicKeyText(key: KeyObject): string {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  return Buffer.from(x!, 'base64url').toString('base64');
}

/** @throws for what is not such a text */
export function publicKeyOf(text: string): KeyObject {
  const x = Buffer.from(text, 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** One line each, so that no two sets of facts have one text. */
const textOf = (purpose: Purpose, { cluster_name, time, last_n, last_sum }: Omit<Sealed, 'signature'>) =>
  Buffer.from(`teleshift audit ${purpose} 1\n${JSON.stringify(cluster_name)}\n${time}\n${last_n}\n${last_sum}\n`);
