/** How often an address may ask. Figures: login-and-profile.md 1.1 (lib/defaults/defaults.go). */
import type { RateLimit } from '../../net/rate-limit.js';

export const RATE_LIMITS = {
  normal: { perMinute: 20, burst: 40 },
  high: { perMinute: 120, burst: 480 },
  /** Ours, for whatever is asked, a path that is not there included: as many as there may be new connections. */
  any: { perMinute: 6_000, burst: 1_000 },
} as const satisfies Record<string, RateLimit>;

export type LimitClass = keyof typeof RATE_LIMITS;
