/** How many files and sockets this process may have open. Read once; Node has raised the soft limit to the hard one. */
import { readFileSync } from 'node:fs';

/** Where the system does not say: what macOS gives a process. */
const USUAL = 10_240;
/** More than this is not planned with: each connection also costs memory. */
const MOST = 200_000;

export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return Math.min(soft === 'unlimited' ? MOST : Number(soft ?? USUAL), MOST);
  } catch {
    return USUAL;
  }
}
