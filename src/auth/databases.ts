/**
 * Databases as resources, and the offers of them by agents. A user sees and changes only what the label rules of her
 * roles select. Texts of refusals: cli.md 6; visibility: database-service.md 1 and 3.
 */
import { TeleportError } from '../errors.js';
import { hostOf } from '../host-port.js';
import { oncePerKind } from '../rbac/alike.js';
import { matchesDatabase } from '../rbac/match.js';
import { redactValue } from '../redact.js';
import { endpointOf } from '../resources/database-uri.js';
import { withDefaults } from '../resources/defaults.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import { readRedshiftHost } from '../resources/redshift-host.js';
import { checkServed } from '../resources/served.js';
import type { Database, DatabaseServer } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { checkBinding } from './hosts.js';
import { checkOfferSizes } from './offers.js';
import { recorded, type Said } from './recorded.js';
import type { Page } from './records.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { expanded, nameOf, requireHost, type Who } from './who.js';

/**
 * Does some role of the caller select this database, and none exclude it? Hosts see everything; a Discovery Service sees what
 * such services have made, and nothing else.
 */
export function sees(who: Who): (database: Database) => boolean {
  if (who.kind === 'host' && who.role === 'Discovery') return isOfCloud;
  if (who.kind !== 'user') return () => who.kind === 'host';
  const roles = expanded(who.roles, who.user);
  const { traits } = who.identity;
  return oncePerKind(
    roles,
    (database) =>
      !roles.some(({ spec }) => matchesDatabase(spec.deny, database, 'deny', traits)) &&
      roles.some(({ spec }) => matchesDatabase(spec.allow, database, 'allow', traits)),
  );
}

const isOfCloud = ({ metadata }: Database): boolean => metadata.labels?.[ORIGIN_LABEL] === 'cloud';

export async function getDatabase(state: AuthState, who: Who, name: string): Promise<Database> {
  requireRule(who, 'db', 'read');
  const database = await state.databases.get(name);
  if (database === undefined || !sees(who)(database)) throw notFound(name);
  return database;
}

export async function listDatabases(state: AuthState, who: Who, limit: number, start: string): Promise<Page<Database>> {
  requireRule(who, 'db', 'list', 'read');
  const { items, next } = await state.databases.page(limit, start);
  return { items: items.filter(sees(who)), next };
}

export async function createDatabase(state: AuthState, who: Who, database: Database): Promise<void> {
  requireRule(who, 'db', 'create');
  const wanted = checkedDatabase(who, database);
  const taken = new TeleportError('AlreadyExists', `database "${database.metadata.name}" already exists`);
  if ((await state.databases.get(database.metadata.name)) !== undefined) throw taken;
  await recorded(state, databaseSaid(who, 'db.create', wanted), async () => {
    await state.databases.create(wanted).catch((error: { code?: string }) => {
      throw error.code === 'AlreadyExists' ? taken : error;
    });
  });
}

export async function updateDatabase(state: AuthState, who: Who, database: Database): Promise<void> {
  requireRule(who, 'db', 'update');
  await getDatabase(state, who, database.metadata.name);
  const wanted = checkedDatabase(who, database);
  // As in Teleport: whatever revision the caller has read, this one counts.
  await recorded(state, databaseSaid(who, 'db.update', wanted), () => state.databases.replace(wanted));
}

export async function deleteDatabase(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'db', 'delete');
  const database = await state.databases.get(name);
  if (database === undefined || !sees(who)(database)) throw notFound(name);
  await recorded(state, databaseSaid(who, 'db.delete', database), () => state.databases.delete(name));
}

function checkedDatabase(who: Who, database: Database): Database {
  const whole = withDefaults<Database>({ ...database, kind: 'db' });
  checkResource(whole);
  checkServed(whole);
  if (who.kind === 'host' && who.role === 'Discovery') checkDiscovered(whole);
  if (sees(who)(whole)) return whole;
  throw new TeleportError(
    'AccessDenied',
    `access to db "${database.metadata.name}" denied: no role of yours selects its labels`,
  );
}

/**
 * Whoever has the certificate of a Discovery Service must not lead people, and the passwords that agents fetch for them, to a
 * server of his own.
 */
function checkDiscovered({ metadata, spec }: Database): void {
  const { tls = {} } = spec;
  const isVerified = !spec.ca_cert && !tls.ca_cert && (tls.mode === undefined || tls.mode === 'verify-full');
  if (isVerified && readRedshiftHost(hostOf(spec.uri)) !== undefined) return;
  throw new TeleportError(
    'AccessDenied',
    `access to db "${metadata.name}" denied: a Discovery Service registers only Redshift, under AWS's own host names and certificates`,
  );
}

function databaseSaid(who: Who, event: 'db.create' | 'db.update' | 'db.delete', { metadata, spec }: Database): Said {
  return [
    event,
    {
      name: metadata.name,
      user: nameOf(who),
      db_protocol: spec.protocol,
      db_uri: redactValue(spec.uri),
      db_labels: metadata.labels,
      db_origin: metadata.labels?.[ORIGIN_LABEL],
    },
  ];
}

const notFound = (name: string) => new TeleportError('NotFound', `database "${name}" not found`);

// Offers

/** How long an offer lives that names no end, and the longest it may name. */
const SERVER_TTL_MS = 10 * 60_000;

/** An agent's heartbeat. @returns until when it counts */
export async function upsertServer(state: AuthState, who: Who, server: DatabaseServer): Promise<Date> {
  const { hostId } = mayOffer(who, server.spec.host_id);
  const name = server.metadata.name || server.spec.database?.metadata.name;
  if (!name || !server.spec.database) throw new TeleportError('BadParameter', 'missing database in database server');
  // Every list goes by the database's own name: one offer without it would break the list for everybody.
  if (server.spec.database.metadata?.name !== name) {
    throw new TeleportError('BadParameter', 'a database server must have the name of its database');
  }
  checkOfferSizes(server);
  await checkBinding(state, hostId, server.spec.database);
  const latest = state.now().getTime() + SERVER_TTL_MS;
  const asked = server.metadata.expires ? Date.parse(server.metadata.expires) : latest;
  const expires = new Date(Math.min(asked, latest));
  await state.servers.put({
    ...server,
    metadata: { ...server.metadata, name, expires: expires.toISOString() },
    spec: { ...server.spec, host_id: server.spec.host_id || hostId },
  });
  state.offered.add(server.spec.host_id || hostId, endpointOf(server.spec.database));
  return expires;
}

/** The offer counts longer; nothing happens when it is gone already. */
export async function keepServer(
  state: AuthState,
  who: Who,
  hostId: string,
  name: string,
  expires: Date,
): Promise<void> {
  mayOffer(who, hostId);
  const server = await state.servers.get(hostId, name);
  if (server === undefined) throw new TeleportError('NotFound', `database server "${name}" not found`);
  await upsertServer(state, who, { ...server, metadata: { ...server.metadata, expires: expires.toISOString() } });
}

export async function deleteServer(state: AuthState, who: Who, hostId: string, name: string): Promise<void> {
  if (who.kind === 'user') requireRule(who, 'db_server', 'delete');
  else mayOffer(who, hostId);
  const absent = new TeleportError('NotFound', `database server "${name}" not found`);
  if ((await state.servers.get(hostId, name)) === undefined) throw absent;
  const remove = async () => {
    if (!(await state.servers.delete(hostId, name))) throw absent;
  };
  // An agent that takes its own offer back changes what it offers, and nothing that an administrator has set.
  if (who.kind === 'host' && who.role === 'Db') await remove();
  else await recorded(state, ['db_server.delete', { name, user: nameOf(who), server_id: hostId }], remove);
}

/** An agent speaks for itself only. */
function mayOffer(who: Who, hostId: string) {
  const host = requireHost(who, 'Db');
  if (host.role === 'Db' && hostId !== host.hostId) throw new TeleportError('AccessDenied', 'access denied');
  return host;
}
