/**
 * When searches in AWS last ran and what failed, as the services that run them say it. Kept with an expiry, so that a service
 * which is gone is forgotten.
 */
import { TeleportError } from '../errors.js';
import { keyOf } from '../store/store.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { requireHost, type Who } from './who.js';

const FOLDER = 'searches';
/** How often a report may fail before its host is forgotten. */
const ROUNDS = 3;
const SHORTEST_TTL_MS = 10 * 60_000;
const LONGEST_TTL_MS = 7 * 86_400_000;
/** Of one host: every type in every region, by several matchers. Our own limit. */
const MOST_SEARCHES = 1_000;
/** Of one report as it is kept. */
const MOST_BYTES = 256 * 1_024;

/** @param report  in the form in which it is read back, JSON */
export async function keepSearches(
  state: AuthState,
  who: Who,
  report: { text: string; searches: number; intervalMs: number },
): Promise<void> {
  const { hostId, role } = requireHost(who, 'Discovery', 'Db');
  const { text, searches, intervalMs } = report;
  if (searches > MOST_SEARCHES || Buffer.byteLength(text) > MOST_BYTES) {
    throw new TeleportError(
      'LimitExceeded',
      `the report about searches in AWS is too large: up to ${MOST_SEARCHES} searches and ${MOST_BYTES} bytes are kept`,
    );
  }
  const lifeMs = Math.min(Math.max(ROUNDS * intervalMs, SHORTEST_TTL_MS), LONGEST_TTL_MS);
  const expires = new Date(state.now().getTime() + lifeMs);
  await state.store.put(keyOf(FOLDER, hostId, role), text, { expires });
}

export interface KeptSearches {
  hostId: string;
  role: string;
  text: string;
}

export async function listSearches(state: AuthState, who: Who): Promise<KeptSearches[]> {
  requireRule(who, 'discovery_config', 'list', 'read');
  const items = await state.store.range(`${keyOf(FOLDER)}/`);
  return items.map(({ key, value }) => {
    const [hostId = '', role = ''] = key.split('/').slice(2).map(decodeURIComponent);
    return { hostId, role, text: value };
  });
}
