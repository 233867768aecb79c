/** A Redshift database as AWS tells of it, as it was pasted and as it is stored, all made into a `db` resource. Pure. */
import { notReady, unavailable } from '../../aws/availability.js';
import type { FoundDatabase } from '../../aws/discover.js';
import { TeleportError } from '../../errors.js';
import type { StoredAwsDatabase } from '../../profile/aws-identity.js';
import type { Database } from '../../resources/types.js';
import type { AccessibleDatabase, ActiveDatabase, Route } from '../access.js';

/** How a database is, by AWS's own word. */
export const STATUS_LABEL = 'teleport.dev/status';
/** A stored login does not run out: its password is made anew. Far enough away to be shown as no end. */
const NEVER = new Date(8_640_000_000_000_000);
/** Who may enter as whom is decided by AWS when it is asked, not before. */
const UNKNOWN = { allowed: [], denied: [], unknown: true };

export function ofFound(found: FoundDatabase, caPem: string | undefined): AccessibleDatabase {
  const { description, uri, serverName, aws, status, defaultDatabase } = found;
  const labels = { ...found.labels, [STATUS_LABEL]: status };
  const database: Database = {
    kind: 'db',
    version: 'v3',
    metadata: { name: nameOf(found), description, labels },
    spec: { protocol: 'postgres', uri, aws: { ...aws }, ...tlsOf(serverName, caPem) },
  };
  return {
    database,
    users: UNKNOWN,
    names: UNKNOWN,
    dbRoles: [],
    ...(defaultDatabase ? { suggested: { dbName: defaultDatabase } } : {}),
  };
}

/** The form of a name that is not an option, an endpoint or a path. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/i;

/** A tag may give the name, and whoever may tag writes it; one that is none leaves AWS's own id. */
function nameOf({ name, aws }: FoundDatabase): string {
  if (NAME.test(name)) return name;
  const { workgroup_name: workgroup, endpoint_name: endpoint } = aws.redshift_serverless ?? {};
  return aws.redshift?.cluster_id ?? [workgroup, endpoint].filter(Boolean).join('-');
}

export function pasted(
  text: string,
  uri: string,
  aws: Database['spec']['aws'],
  caPem: string | undefined,
): AccessibleDatabase {
  const database: Database = {
    kind: 'db',
    version: 'v3',
    metadata: { name: text, labels: {} },
    spec: { protocol: 'postgres', uri, ...(aws ? { aws } : {}), ...tlsOf(undefined, caPem) },
  };
  return { database, users: UNKNOWN, names: UNKNOWN, dbRoles: [] };
}

export function ofStored(one: StoredAwsDatabase, caPem: string | undefined): Database {
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name: one.name },
    spec: { protocol: 'postgres', uri: one.uri, aws: one.aws, ...tlsOf(one.serverName, caPem) },
  };
}

export function ofRoute({ database, dbUser, dbName, autoCreate, dbGroups }: Route): StoredAwsDatabase {
  const serverName = database.spec.tls?.server_name;
  return {
    name: database.metadata.name,
    uri: database.spec.uri,
    aws: { ...database.spec.aws },
    dbUser,
    dbName,
    ...given({ serverName, autoCreate, dbGroups }),
  };
}

export function activeOf({ name, uri, dbUser, dbName }: StoredAwsDatabase): ActiveDatabase {
  return { name, uri, protocol: 'postgres', dbUser, isUserOptional: true, dbName, dbRoles: [], expiresAt: NEVER };
}

function tlsOf(serverName: string | undefined, caPem: string | undefined): Pick<Database['spec'], 'tls'> {
  const tls = given({ server_name: serverName, ca_cert: caPem });
  return Object.keys(tls).length > 0 ? { tls } : {};
}

/** @throws ConnectionProblem for a database that nobody can enter now */
export function checkAvailable({ metadata, spec }: Database): void {
  const status = metadata.labels?.[STATUS_LABEL];
  if (status === undefined && spec.uri !== '') return;
  // Another command has logged out of it meanwhile.
  if (status === undefined) throw new TeleportError('NotFound', `not logged into database "${metadata.name}"`);
  const { region = '', redshift, redshift_serverless: serverless } = spec.aws ?? {};
  const one = redshift?.cluster_id
    ? ({ kind: 'cluster', id: redshift.cluster_id } as const)
    : ({ kind: 'workgroup', id: serverless?.workgroup_name ?? metadata.name } as const);
  const error = unavailable(one, status, region) ?? (spec.uri === '' ? notReady(one, status, region) : undefined);
  if (error) throw error;
}

/** Without the members that nobody gave. */
export function given<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
