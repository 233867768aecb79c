/**
 * Is there such a thing as a lock is meant for? A lock on a name with a slip in it locks nobody, which is found out too
 * late. What the caller may not read, or the cluster does not tell, is not doubted: in an emergency the lock comes first.
 */
import { findAccessRequest } from '../access/cluster/requests.js';
import type { AuthClient } from '../api/client.js';
import { fromMessages } from '../api/convert.js';
import { closest, isTeleportError, messageOf } from '../errors.js';
import { isRemoteName } from '../identity/remote.js';
import type { LockTarget } from '../resources/types.js';
import { listDatabaseServers, listRoles, listTokens, listUsers } from './lists.js';

export interface TargetCheck {
  /** One sentence for each thing that is not there. */
  missing: string[];
  /** One sentence for each that could not be looked up. */
  unknown: string[];
}

export async function checkTarget(client: AuthClient, target: LockTarget): Promise<TargetCheck> {
  const check: TargetCheck = { missing: [], unknown: [] };
  for (const [field, value] of Object.entries(target)) {
    const look = LOOKS[field];
    if (!value || look === undefined) continue;
    try {
      const found = await look.find(client, value);
      if (found === true) continue;
      if ('unknown' in found) check.unknown.push(cannotTell(look, value, found.unknown));
      else check.missing.push(`${look.what} ${JSON.stringify(value)} does not exist${meant(found)}`);
    } catch (error) {
      if (isTeleportError(error, 'NotImplemented')) check.missing.push(`this cluster has no ${look.what}s`);
      else check.unknown.push(cannotTell(look, value, messageOf(error)));
    }
  }
  return check;
}

const cannotTell = ({ what }: Look, value: string, why: string): string =>
  `cannot tell whether ${what} ${JSON.stringify(value)} exists: ${why}`;

/** True, or what there is instead that looks like it, or why it cannot be known. */
type Found = true | { like?: string | undefined } | { unknown: string };

interface Look {
  what: string;
  /** @throws NotImplemented where a cluster has no such things at all */
  find(client: AuthClient, value: string): Promise<Found>;
}

const LOOKS: Record<string, Look> = {
  user: { what: 'user', find: findUser },
  role: { what: 'role', find: async (client, name) => among(name, namesOf(await listRoles(client))) },
  login: { what: 'login', find: findLogin },
  mfa_device: { what: 'MFA device', find: async (_, id) => isUuid(id) || {} },
  windows_desktop: { what: 'Windows desktop', find: (client, name) => findServer(client, 'windows_desktop', name) },
  access_request: { what: 'access request', find: findRequest },
  device: { what: 'trusted device', find: findDevice },
  server_id: { what: 'server', find: findHost },
  bot_instance_id: { what: 'bot instance', find: findBotInstance },
  join_token: { what: 'join token', find: async (client, name) => among(name, namesOf(await listTokens(client))) },
};

/** A user of a root is known over there only. */
async function findUser(client: AuthClient, name: string): Promise<Found> {
  const root = isRemoteName(name) ? await rootIn(client, name) : undefined;
  if (root !== undefined) return { unknown: `she is of the cluster ${JSON.stringify(root)}` };
  return among(name, namesOf(await listUsers(client)));
}

/** The root whose name a user's name ends with, whether she is there or not. */
async function rootIn(client: AuthClient, name: string): Promise<string | undefined> {
  const { trustedClusters } = await client.auth.getTrustedClusters({});
  return namesOf(fromMessages('trusted_cluster', trustedClusters)).find((root) => name.endsWith(`-${root}`));
}

/** Roles list logins, and users bring them as traits. */
async function findLogin(client: AuthClient, login: string): Promise<Found> {
  const roles = (await listRoles(client)).flatMap(({ spec }) => spec.allow.logins ?? []);
  const traits = (await listUsers(client)).flatMap(({ spec }) =>
    Object.values(spec.traits).flatMap((values) => values ?? []),
  );
  return roles.includes(login) || traits.includes(login) || among(login, roles);
}

async function findRequest(client: AuthClient, id: string): Promise<Found> {
  try {
    await findAccessRequest(client, id);
    return true;
  } catch (error) {
    if (isTeleportError(error, 'NotFound')) return {};
    throw error;
  }
}

async function findDevice(client: AuthClient, id: string): Promise<Found> {
  const { devices } = await client.devices.findDevices({ idOrTag: id });
  return devices.length > 0 || {};
}

async function findBotInstance(client: AuthClient, id: string): Promise<Found> {
  const { botInstances } = await client.botInstances.listBotInstances({ pageSize: 100, filterSearchTerm: id });
  return botInstances.some(({ spec }) => spec?.instanceId === id) || {};
}

/** A Database Service by its host; a node by its name, which is its UUID. */
async function findHost(client: AuthClient, id: string): Promise<Found> {
  const hosts = new Set((await listDatabaseServers(client)).map(({ spec }) => spec.host_id));
  return hosts.has(id) || (await findServer(client, 'node', id)) === true || among(id, [...hosts]);
}

async function findServer(client: AuthClient, resourceType: string, name: string): Promise<Found> {
  const predicateExpression = `name == ${JSON.stringify(name)}`;
  const page = await client.auth.listResources({ resourceType, namespace: 'default', limit: 1, predicateExpression });
  return page.resources.length > 0 || {};
}

function among(name: string, names: readonly string[]): Found {
  return names.includes(name) || { like: closest(name, names) };
}

function namesOf(resources: readonly { metadata: { name: string } }[]): string[] {
  return resources.map(({ metadata }) => metadata.name);
}

function meant({ like }: { like?: string | undefined }): string {
  return like === undefined ? '' : `, did you mean ${JSON.stringify(like)}?`;
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
