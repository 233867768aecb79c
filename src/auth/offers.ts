/** Whether an agent serves a database server, by its heartbeats: it speaks for what it offers and for nothing else. */
import { TeleportError } from '../errors.js';
import { endpointOf } from '../resources/database-uri.js';
import { keyOf } from '../store/store.js';
import { inTime } from '../wait.js';
import type { AuthState } from './state.js';

/** What was offered lately counts too: sessions end, and their users with them, behind the end of an offer. */
export const REMEMBERED = { ms: 86_400_000, most: 10_000 };
/** An agent serves as soon as it has dialled, and its heartbeat may come a moment later. */
const HEARTBEAT_MS = 5_000;

export const offerOf = (hostId: string, endpoint: string): string => JSON.stringify([hostId, endpoint]);

/** @throws TeleportError `AccessDenied` when the host does not say in time that it serves it */
export async function requireOffer(
  state: AuthState,
  hostId: string,
  endpoint: string,
  { signal, waitMs = HEARTBEAT_MS }: { signal: AbortSignal; waitMs?: number },
): Promise<void> {
  const isOffered = async () =>
    state.offered.has(offerOf(hostId, endpoint)) ||
    (await state.servers.list()).some(({ spec }) => spec.host_id === hostId && endpointOf(spec.database) === endpoint);
  if (await isOffered()) return;
  const stop = new AbortController();
  const appears = async () => {
    for await (const _ of state.store.watch(`${keyOf('db_server')}/`, stop.signal)) if (await isOffered()) return;
  };
  const late = () => new TeleportError('AccessDenied', `this host offers no database on ${JSON.stringify(endpoint)}`);
  try {
    await inTime(appears(), waitMs, late, signal);
  } finally {
    stop.abort();
  }
}
