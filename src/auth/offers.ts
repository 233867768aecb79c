/** Whether an agent serves a database server, by its heartbeats: it speaks for what it offers and for nothing else. */
import { TeleportError } from '../errors.js';
import { endpointOf } from '../resources/database-uri.js';
import type { DatabaseServer } from '../resources/types.js';
import { checkSizes } from '../resources/validate-database.js';
import { keyOf } from '../store/store.js';
import { inTime } from '../wait.js';
import type { AuthState } from './state.js';

/** An agent serves as soon as it has dialled, and its heartbeat may come a moment later. */
const HEARTBEAT_MS = 5_000;

/** Of one offer, its labels not counted, as JSON: the certificates of all regions of AWS have room. */
const MAX_OFFER_CHARS = 2 ** 19;

/** What every offer costs whoever lists databases. @throws TeleportError `BadParameter` */
export function checkOfferSizes(server: DatabaseServer): void {
  checkSizes(server.spec.database);
  const { labels: _, ...metadata } = server.spec.database.metadata;
  const { dynamic_labels: __, ...spec } = server.spec.database.spec;
  const chars = JSON.stringify({ ...server, spec: { ...server.spec, database: { metadata, spec } } }).length;
  if (chars <= MAX_OFFER_CHARS) return;
  const name = JSON.stringify(metadata.name);
  throw new TeleportError(
    'BadParameter',
    `the offer of database ${name} has ${chars} characters, and ${MAX_OFFER_CHARS} are the most`,
  );
}

/** @throws TeleportError `AccessDenied` when the host does not say in time that it serves it */
export async function requireOffer(
  state: AuthState,
  hostId: string,
  endpoint: string,
  { signal, waitMs = HEARTBEAT_MS }: { signal: AbortSignal; waitMs?: number },
): Promise<void> {
  const isOffered = async () =>
    state.offered.has(hostId, endpoint) ||
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
