/** Values of messages as the files of the subjects want them. Pure. */
import { TeleportError } from '../errors.js';

const NANOS_PER_MS = 1_000_000n;

export const bytes = (text: string) => Buffer.from(text, 'utf8');
export const msOf = (nanos: bigint) => Number(nanos / NANOS_PER_MS);

/** @throws BadParameter `missing parameter x` */
export function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TeleportError('BadParameter', `missing parameter ${name}`);
  return value;
}
