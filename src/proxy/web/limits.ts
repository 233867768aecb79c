/** Token buckets per client address. Figures and text: login-and-profile.md 1.1 (lib/defaults/defaults.go). */
import { TeleportError } from '../../errors.js';

export interface RateLimit {
  perMinute: number;
  burst: number;
}

export const RATE_LIMITS = {
  normal: { perMinute: 20, burst: 40 },
  high: { perMinute: 120, burst: 480 },
} as const satisfies Record<string, RateLimit>;

export type LimitClass = keyof typeof RATE_LIMITS;

/** Addresses remembered; beyond it the full buckets, which say nothing, are forgotten. Our own limit. */
const MAX_ADDRESSES = 10_000;

/** @returns a function that takes one token, or throws TeleportError `LimitExceeded` */
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
    if (!buckets.has(address) && buckets.size >= MAX_ADDRESSES) prune(now);
    const last = buckets.get(address) ?? { tokens: burst, atMs: now };
    const tokens = Math.min(burst, last.tokens + (now - last.atMs) * perMs);
    if (tokens < 1) {
      const waitSeconds = Math.max(1, Math.ceil((1 - tokens) / perMs / 1000));
      throw new TeleportError('LimitExceeded', `rate limit exceeded, try again in ${waitSeconds}s`);
    }
    buckets.set(address, { tokens: tokens - 1, atMs: now });
  };
}
