/** `tctl get`: resources as YAML, JSON or a table. Source: cli.md 6.3. */

import type { AuthClient } from '../api/client.js';
import { fromMessage, fromMessages, type MessageOfKind } from '../api/convert.js';
import { unreadFields } from '../api/fields.js';
import { listDatabases } from '../api/list-databases.js';
import type { Env } from '../cli/env.js';
import { labelsText, print, printTctlJson, printTctlYaml, type Table, tableFor } from '../cli/output.js';
import { TeleportError } from '../errors.js';
import { adminUserOf } from '../rbac/auto-users.js';
import { isSettings } from '../resources/cluster-settings.js';
import { DISCOVERED_NAME_LABEL, ORIGIN_LABEL } from '../resources/labels.js';
import { printable } from '../resources/printable.js';
import { parseRefs, type ResourceRef } from '../resources/ref.js';
import {
  type AnyResource,
  CA_TYPES,
  type CaType,
  type Database,
  type DatabaseServer,
  type Kind,
  type Lock,
  type RemoteCluster,
  type ResourceOfKind,
  type Role,
  type TrustedCluster,
} from '../resources/types.js';
import { fetchSettings } from './cluster-settings.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { listDatabaseServers, listRoles, listTokens, listUsers } from './lists.js';

export interface GetArgs extends AdminArgs {
  resources: string;
  format: string;
  withSecrets: boolean;
  verbose: boolean;
}

export async function run(env: Env, args: GetArgs): Promise<void> {
  if (!['yaml', 'json', 'text'].includes(args.format)) throw new TeleportError('BadParameter', 'unsupported format');
  const refs = parseRefs(args.resources);
  const kinds = new Set(refs.map(({ kind }) => kind));
  if (kinds.size > 1 && args.format === 'text') {
    throw new TeleportError('BadParameter', 'mixed resource types only support YAML and JSON formatting');
  }
  await using client = await connectAdmin(env, args);
  const found = (await Promise.all(refs.map((ref) => fetchResources(client, ref, args)))).flat();
  const resources = args.resources === 'all' ? found.filter(isWritten) : found;
  if (args.format === 'json') printTctlJson(env, resources.map(printable));
  else if (args.format === 'yaml') await printTctlYaml(env, resources.map(printable));
  else print(env, await textOf(env, refs[0]!.kind, resources, args));
}

/** By people: not settings that nobody has set, nor a database that a Discovery Service has found and keeps up to date. */
function isWritten({ kind, metadata }: AnyResource): boolean {
  const origin = metadata.labels?.[ORIGIN_LABEL];
  return isSettings(kind) ? origin === 'dynamic' : kind !== 'db' || origin !== 'cloud';
}

export interface FetchOptions {
  withSecrets: boolean;
  /** To be written back: refuse what has fields that would get lost on the way. */
  whole?: boolean;
}

/**
 * What a reference means: one, or all of a kind.
 *
 * @throws NotFound for a name that is not there; with `whole` NotImplemented for fields that this version does not know
 */
export async function fetchResources(
  client: AuthClient,
  { kind, subKind, name }: ResourceRef,
  { withSecrets, whole = false }: FetchOptions,
): Promise<AnyResource[]> {
  const read = <K extends Kind>(of: K, message: MessageOfKind[K]): ResourceOfKind[K] => {
    const unread = whole ? unreadFields(of, message).filter((field) => field !== 'spec.local_auth') : [];
    if (unread.length === 0) return fromMessage(of, message);
    throw new TeleportError('NotImplemented', `${kind} "${name}": this version does not know ${unread.join('; ')}`, {
      hint: 'Use the tctl of the version of the cluster: written back from here, that would be lost.',
    });
  };
  switch (kind) {
    case 'user': {
      if (!name) return await listUsers(client);
      const { user } = await client.users.getUser({ name, withSecrets });
      return [read('user', user!)];
    }
    case 'role':
      return name ? [read('role', await client.auth.getRole({ name }))] : await listRoles(client);
    case 'db':
      if (name && whole) {
        // By its whole name, which a discovered one is not always given by.
        const [found] = named(await listDatabases(client), name, 'database');
        return [read('db', await client.auth.getDatabase({ name: found!.metadata.name }))];
      }
      return named(await listDatabases(client), name, 'database');
    case 'db_server':
      return named(await listDatabaseServers(client), name, 'database server');
    case 'token':
      return name ? [read('token', await client.auth.getToken({ name }))] : await listTokens(client);
    case 'lock': {
      const { locks } = await client.auth.getLocks({});
      return named(fromMessages('lock', locks), name, 'lock');
    }
    case 'trusted_cluster': {
      if (name) return [read('trusted_cluster', await client.auth.getTrustedCluster({ name }))];
      return fromMessages('trusted_cluster', (await client.auth.getTrustedClusters({})).trustedClusters);
    }
    case 'remote_cluster': {
      if (name) return [read('remote_cluster', await client.presence.getRemoteCluster({ name }))];
      return fromMessages('remote_cluster', (await client.presence.listRemoteClusters({})).remoteClusters);
    }
    case 'cluster_auth_preference':
    case 'cluster_networking_config':
    case 'session_recording_config':
      if (name) throw new TeleportError('BadParameter', `only simple \`tctl get ${kind}\` can be used`);
      return [await fetchSettings(client, kind)];
    case 'cert_authority': {
      const types = subKind ? [subKind] : name && isCaType(name) ? [name] : CA_TYPES;
      const wanted = subKind || (name && !isCaType(name)) ? name : undefined;
      const lists = await Promise.all(types.map((type) => client.trust.getCertAuthorities({ type })));
      const found = lists.flatMap(({ certAuthoritiesV2 }) => fromMessages('cert_authority', certAuthoritiesV2));
      return named(found, wanted, 'cert authority');
    }
    default:
      throw new TeleportError('NotImplemented', `getting resources of type "${kind}" is not supported`);
  }
}

function isCaType(word: string): word is CaType {
  return (CA_TYPES as readonly string[]).includes(word);
}

/** All without a name; else those of this name or discovered name. */
function named<R extends { metadata: { name: string; labels?: Record<string, string> } }>(
  resources: R[],
  name: string | undefined,
  what: string,
): R[] {
  if (!name) return resources;
  const found = resources.filter(
    ({ metadata }) => metadata.name === name || metadata.labels?.[DISCOVERED_NAME_LABEL] === name,
  );
  if (found.length === 0) throw new TeleportError('NotFound', `${what} "${name}" not found`);
  return found;
}

/** Whether a table shows everything. */
export interface TableForm {
  verbose: boolean;
}

/** `tctl get --format=text`. */
export async function textOf(
  env: Pick<Env, 'columns'>,
  kind: ResourceRef['kind'],
  resources: AnyResource[],
  form: TableForm,
): Promise<string> {
  const table = tableOf(kind, resources, form);
  if (table === undefined) return `${resources.map(({ metadata }) => metadata.name).join('\n')}\n`;
  return `${(await tableFor(env, table)).text}${kind === 'user' ? '\n' : ''}`;
}

function tableOf(kind: ResourceRef['kind'], resources: AnyResource[], form: TableForm): Table | undefined {
  switch (kind) {
    case 'user':
      return { titles: ['User'], rows: resources.map(({ metadata }) => [metadata.name]) };
    case 'role':
      return {
        titles: ['Role', 'Allowed to login as', 'Node Labels', 'Access to resources'],
        cut: ['Node Labels', 'Access to resources'],
        rows: (resources as Role[]).map(({ metadata, spec }) => [
          metadata.name,
          (spec.allow.logins ?? []).join(','),
          '',
          (spec.allow.rules ?? []).map((rule) => `${rule.resources.join(',')}:${rule.verbs.join(',')}`).join(','),
        ]),
      };
    case 'db': {
      const rows = (resources as Database[]).map(({ metadata, spec }) => [
        metadata.name,
        spec.protocol,
        spec.uri,
        labelsText(metadata.labels, form),
      ]);
      return shaped(['Name', 'Protocol', 'URI', 'Labels'], rows, form);
    }
    case 'db_server':
      return databaseServerTable(resources as DatabaseServer[], form);
    case 'lock':
      return {
        titles: ['ID', 'Target', 'Message', 'Expires'],
        cut: ['Message'],
        copied: ['ID'],
        rows: (resources as Lock[]).map(({ metadata, spec }) => [
          metadata.name,
          Object.entries(spec.target)
            .map(([key, value]) => `${key[0]!.toUpperCase()}${key.slice(1)}:"${value}"`)
            .join(' '),
          spec.message ?? '',
          shortTime(spec.expires, 'never'),
        ]),
      };
    case 'trusted_cluster':
      return {
        titles: ['Name', 'Enabled', 'Token', 'Proxy Address', 'Reverse Tunnel Address', 'Role Map'],
        cut: ['Role Map'],
        rows: (resources as TrustedCluster[]).map(({ metadata, spec }) => [
          metadata.name,
          String(spec.enabled),
          spec.token,
          spec.web_proxy_addr,
          spec.tunnel_addr,
          spec.role_map.map(({ remote, local }) => `${remote}:[${local.join(' ')}]`).join(' '),
        ]),
      };
    case 'remote_cluster':
      return {
        titles: ['Name', 'Status', 'Last Heartbeat'],
        rows: (resources as RemoteCluster[]).map(({ metadata, status }) => [
          metadata.name,
          status.connection,
          shortTime(status.last_heartbeat, 'not available'),
        ]),
      };
    default:
      return undefined;
  }
}

/** `tctl db ls` and `tctl get db_server --format=text`. With `-v` also who makes automatic users, where a database has one. */
export function databaseServerTable(servers: DatabaseServer[], form: TableForm): Table {
  const showsAdmin = form.verbose && servers.some(({ spec }) => adminUserOf(spec.database));
  const rows = servers.map(({ spec: { hostname, database, version } }) => [
    hostname,
    database.metadata.name,
    database.spec.protocol,
    database.spec.uri,
    ...(showsAdmin ? [adminUserOf(database) ?? ''] : []),
    labelsText(database.metadata.labels, form),
    version,
  ]);
  const admin = showsAdmin ? ['Admin User'] : [];
  return shaped(['Host', 'Name', 'Protocol', 'URI', ...admin, 'Labels', 'Version'], rows, form);
}

function shaped(titles: string[], rows: string[][], { verbose }: TableForm): Table {
  return { titles, rows, cut: ['Labels', 'Version', 'Protocol'], isWhole: verbose };
}

/** `Sat Nov 21 02:49 UTC`. */
function shortTime(at: string | undefined, otherwise: string): string {
  const parts = at && /^(\w+), (\d+) (\w+) \d+ (\d\d:\d\d)/.exec(new Date(at).toUTCString());
  return parts ? `${parts[1]} ${parts[3]} ${parts[2]} ${parts[4]} UTC` : otherwise;
}
