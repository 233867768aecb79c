/**
 * Hosts that have joined: which ids are taken, and what the token of each one bound it to. A token makes new hosts; it is not a
 * way to become one that is there already.
 */
import { TeleportError } from '../errors.js';
import { ipOf, networkOf } from '../ip.js';
import { matchesLabels, matchesValue } from '../rbac/labels.js';
import { allLabels } from '../rbac/match.js';
import type { Database, ProvisionToken } from '../resources/types.js';
import { keyOf } from '../store/store.js';
import { registeredProxies } from './proxies.js';
import { changeJson } from './records.js';
import type { AuthState } from './state.js';

/** Databases that an agent may offer; each that is set must hold. */
export type Binding = Pick<ProvisionToken['spec'], 'databases' | 'db_labels'>;

interface HostRecord extends Binding {
  roles?: string[];
  /** Digest of its token. */
  token?: string;
  /** Network it joined from. */
  network?: string;
  /** RFC 3339. */
  joined?: string;
  /** End of its last certificate, RFC 3339; from then on the id is free. */
  expires?: string;
}

/** How long one process may take to join as each of its services, with one token and one id. */
const SAME_HOST_MS = 10 * 60_000;
/** RFC 9562. */
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

const keyFor = (hostId: string) => keyOf('host', hostId.toLowerCase());

export interface Claim extends Binding {
  hostId: string;
  role: string;
  /** Digest. */
  token: string;
  remoteAddr: string;
  expires: Date;
}

/** Take an id for a host that joins. @throws TeleportError `BadParameter` for one that is not a UUID, `AccessDenied` for one in use */
export async function claimHost(state: AuthState, claim: Claim): Promise<void> {
  const { hostId, role, token, expires, databases, db_labels } = claim;
  if (!UUID.test(hostId)) throw new TeleportError('BadParameter', 'the host id must be a UUID');
  const network = networkOf(ipOf(claim.remoteAddr) ?? claim.remoteAddr);
  const now = state.now();
  const isServing = await isKnownToServe(state, hostId);
  await changeJson<HostRecord>(state.store, keyFor(hostId), {}, (known) => {
    const isTaken = known.expires !== undefined && new Date(known.expires) > now;
    const roles = isTaken ? (known.roles ?? []) : [];
    const isSameHost =
      known.token === token &&
      known.network === network &&
      known.joined !== undefined &&
      now.getTime() - Date.parse(known.joined) < SAME_HOST_MS;
    if (isTaken ? !isSameHost || roles.includes(role) : isServing) throw inUse(hostId);
    return {
      roles: [...roles, role],
      token,
      network,
      joined: isTaken ? known.joined! : now.toISOString(),
      expires: expires.toISOString(),
      ...(databases?.length ? { databases } : {}),
      ...(db_labels && Object.keys(db_labels).length > 0 ? { db_labels } : {}),
    };
  });
}

/** A host has made itself a new certificate. */
export async function renewHost(state: AuthState, hostId: string, expires: Date): Promise<void> {
  await changeJson<HostRecord>(state.store, keyFor(hostId), {}, (known) => ({
    ...known,
    expires: expires.toISOString(),
  }));
}

/** What the token of this host bound it to; undefined for a host that may offer any database. */
export async function bindingOf(state: AuthState, hostId: string): Promise<Binding | undefined> {
  const item = await state.store.get(keyFor(hostId));
  const { databases, db_labels } = item ? (JSON.parse(item.value) as HostRecord) : {};
  return databases === undefined && db_labels === undefined
    ? undefined
    : { ...(databases && { databases }), ...(db_labels && { db_labels }) };
}

/** @throws TeleportError `AccessDenied` naming the database */
export async function checkBinding(state: AuthState, hostId: string, database: Database): Promise<void> {
  const binding = await bindingOf(state, hostId);
  if (binding === undefined) return;
  const { name } = database.metadata;
  const { databases, db_labels: selector } = binding;
  const isNamed = databases === undefined || databases.some((pattern) => matchesValue(pattern, name));
  if (isNamed && (selector === undefined || matchesLabels(selector, allLabels(database)))) return;
  throw new TeleportError(
    'AccessDenied',
    `database ${JSON.stringify(name)} is not one of those that the join token of this host allows`,
  );
}

/** Hosts of an older store, and this one. */
async function isKnownToServe(state: AuthState, hostId: string): Promise<boolean> {
  if (hostId.toLowerCase() === state.hostId.toLowerCase()) return true;
  const proxies = await registeredProxies(state);
  if (proxies.some((proxy) => proxy.hostId.toLowerCase() === hostId.toLowerCase())) return true;
  return (await state.servers.list(hostId)).length > 0;
}

function inUse(hostId: string): TeleportError {
  return new TeleportError(
    'AccessDenied',
    `the host id ${hostId} is in use: remove host_uuid from the data_dir of the new host`,
  );
}
