/**
 * What a cluster may be called. Its name stands in certificates, in patterns of `known_hosts`, in names of files and in
 * those of its users elsewhere, so it has no character that means something there. Our own rule: Teleport takes any text.
 */
import { TeleportError } from '../errors.js';

/** In characters. */
const LONGEST = 128;
const SYNTAX = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;

export const isClusterName = (name: string): boolean =>
  name.length <= LONGEST && SYNTAX.test(name) && !name.includes('..');

/**
 * @param source  what says the name
 * @throws TeleportError `BadParameter`
 */
export function checkClusterName(name: string, source: string): void {
  if (isClusterName(name)) return;
  throw new TeleportError('BadParameter', `${source}: ${JSON.stringify(name)} cannot be the name of a cluster`, {
    hint: `Use letters, digits, ".", "_" and "-", at most ${LONGEST} characters, for example example.com.`,
  });
}

/** Whether two names are of one cluster: names of servers and of users on Redshift do not tell capital letters from small ones. */
export const isSameCluster = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
