/** Token buckets, one for each who asks: so many at once, and so many in the long run. */
import { TeleportError } from '../errors.js';
import { networkOf } from '../ip.js';

export interface RateLimit {
  perMinute: number;
  burst: number;
}

/** Addresses remembered; beyond it the full buckets, which say nothing, are forgotten. Our own limit. */
const MAX_ADDRESSES = 10_000;

/**
 * By network, so that whoever has a thousand IPv6 addresses has one bucket.
 *
 * @returns a function that takes one token of an address, or throws TeleportError `LimitExceeded`
 */
export function createLimiter({ perMinute, burst }: RateLimit, nowMs: () => number): (address: string) => void {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const perMs = perMinute / 60_000;
  const prune = (now: number): void => {
    for (const [address, bucket] of buckets) {
      if (bucket.tokens + (now - bucket.atMs) * perMs >= burst) buckets.delete(address);
    }
    // Still full: somebody owns very many addresses. The oldest goes.
    if (buckets.size >= MAX_ADDRESSES) buckets.delete(buckets.keys().next().value!);
  };
  return (address) => {
    const now = nowMs();
    const network = networkOf(address);
    if (!buckets.has(network) && buckets.size >= MAX_ADDRESSES) prune(now);
    const last = buckets.get(network) ?? { tokens: burst, atMs: now };
    const tokens = Math.min(burst, last.tokens + (now - last.atMs) * perMs);
    if (tokens < 1) {
      const waitSeconds = Math.max(1, Math.ceil((1 - tokens) / perMs / 1000));
      throw new TeleportError('LimitExceeded', `rate limit exceeded, try again in ${waitSeconds}s`);
    }
    buckets.set(network, { tokens: tokens - 1, atMs: now });
  };
}
