/**
 * Temporary passwords for Redshift and Redshift Serverless. What is said when AWS refuses one: `refusal.ts`.
 *
 * Source: database-service.md 4.1 to 4.4.
 */
import { isTeleportError, TeleportError } from '../errors.js';
import { absent } from './availability.js';
import { type AssumeRole, assumedConfig } from './clients.js';
import { watchClock } from './clock.js';
import type { DatabaseCredential } from './credential-cache.js';
import { fromAws } from './errors.js';
import { type Asker, lacksPermission, notAssumed, policyText, refused, resourceArn } from './refusal.js';

interface Place {
  region: string;
  accountId?: string | undefined;
  dbName: string;
  /** Roles to assume; for the two IAM-role calls the last one is the user's. */
  chain: readonly AssumeRole[];
  profile?: string | undefined;
  /** Default: `agent`. */
  asker?: Asker | undefined;
}

/** What AWS gives when it names no end: its default of 15 minutes. */
const DEFAULT_LIFE_MS = 15 * 60_000;

/** A person's password lives as long as AWS allows: it is kept for the next command. An agent takes AWS's default. */
const PERSONS_SECONDS = 3600;

/** `GetClusterCredentials`: an existing database user (or a new one with `autoCreate`). */
export async function redshiftCredentials(
  options: Place & { clusterId: string; dbUser: string; autoCreate?: boolean; dbGroups?: string[] },
): Promise<DatabaseCredential> {
  const { clusterId, autoCreate = false, dbGroups = [] } = options;
  const title = 'Could not generate Redshift IAM auth token:';
  const { RedshiftClient, GetClusterCredentialsCommand } = await import('./sdk/redshift.js');
  const client = new RedshiftClient(await assume(title, options));
  const awsTime = watchClock(client);
  try {
    const answer = await client.send(
      new GetClusterCredentialsCommand({
        ClusterIdentifier: clusterId,
        DbUser: options.dbUser,
        DbName: options.dbName,
        AutoCreate: autoCreate,
        ...(dbGroups.length > 0 ? { DbGroups: dbGroups } : {}),
        ...(options.asker === 'person' ? { DurationSeconds: PERSONS_SECONDS } : {}),
      }),
    );
    return credential(answer.DbUser, answer.DbPassword, answer.Expiration, awsTime());
  } catch (error) {
    throwAbsent(error, options, 'cluster', clusterId);
    const actions = [
      'redshift:GetClusterCredentials',
      ...(autoCreate ? ['redshift:CreateClusterUser'] : []),
      ...(dbGroups.length > 0 ? ['redshift:JoinGroup'] : []),
    ];
    const resources = ['dbuser', 'dbname', 'dbgroup'].map((kind) =>
      resourceArn(options, 'redshift', `${kind}:${clusterId || '{cluster_id}'}/*`),
    );
    throw refused(title, error, [
      options.asker === 'person'
        ? 'Make sure that your IAM identity has permissions'
        : "Make sure that Teleport database agent's IAM policy is attached and has permissions",
      'to generate Redshift credentials (note that IAM changes may take a few minutes to',
      'propagate):',
      '',
      policyText(actions, resources),
    ]);
  } finally {
    client.destroy();
  }
}

/** `GetClusterCredentialsWithIAM`: the database user that maps to the calling IAM identity. */
export async function redshiftIamCredentials(options: Place & { clusterId: string }): Promise<DatabaseCredential> {
  const { clusterId } = options;
  const title = 'Could not generate Redshift IAM role auth token:';
  const { RedshiftClient, GetClusterCredentialsWithIAMCommand } = await import('./sdk/redshift.js');
  const client = new RedshiftClient(await assume(title, options));
  const awsTime = watchClock(client);
  try {
    const answer = await client.send(
      new GetClusterCredentialsWithIAMCommand({
        ClusterIdentifier: clusterId,
        DbName: options.dbName,
        ...(options.asker === 'person' ? { DurationSeconds: PERSONS_SECONDS } : {}),
      }),
    );
    return credential(answer.DbUser, answer.DbPassword, answer.Expiration, awsTime());
  } catch (error) {
    throwAbsent(error, options, 'cluster', clusterId);
    const resource = resourceArn(options, 'redshift', `dbname:${clusterId || '{cluster_id}'}/*`);
    throw lacksPermission(title, error, options, policyText(['redshift:GetClusterCredentialsWithIAM'], [resource]));
  } finally {
    client.destroy();
  }
}

/** `GetCredentials` of Redshift Serverless: the database user of the calling IAM role. */
export async function serverlessCredentials(
  options: Place & { workgroup: string; workgroupId?: string | undefined },
): Promise<DatabaseCredential> {
  const { workgroup, workgroupId } = options;
  const title = 'Could not generate Redshift Serverless auth token:';
  const { RedshiftServerlessClient, GetCredentialsCommand } = await import('./sdk/redshift-serverless.js');
  const client = new RedshiftServerlessClient(await assume(title, options));
  const awsTime = watchClock(client);
  try {
    const answer = await client.send(
      new GetCredentialsCommand({
        workgroupName: workgroup,
        dbName: options.dbName,
        ...(options.asker === 'person' ? { durationSeconds: PERSONS_SECONDS } : {}),
      }),
    );
    return credential(answer.dbUser, answer.dbPassword, answer.expiration, awsTime());
  } catch (error) {
    throwAbsent(error, options, 'workgroup', workgroup);
    const resource = resourceArn(options, 'redshift-serverless', `workgroup/${workgroupId || '{workgroup_id}'}`);
    throw lacksPermission(title, error, options, policyText(['redshift-serverless:GetCredentials'], [resource]));
  } finally {
    client.destroy();
  }
}

function credential(
  user: string | undefined,
  password: string | undefined,
  expiresAt: Date | undefined,
  answeredAt: Date | undefined,
): DatabaseCredential {
  if (!user || !password) throw new TeleportError('Protocol', 'AWS answered without a database user or password');
  const end = expiresAt ?? new Date((answeredAt?.getTime() ?? Date.now()) + DEFAULT_LIFE_MS);
  return { user, password, expiresAt: end, answeredAt };
}

/** A configuration with every role of the chain assumed. */
async function assume(title: string, options: Place) {
  try {
    return await assumedConfig(options);
  } catch (error) {
    throw options.chain.length > 0 ? notAssumed(title, error, options) : refused(title, error, []);
  }
}

/** A person may have mistyped the name; no policy helps then. An agent's error keeps the form that Teleport gives it. */
function throwAbsent(error: unknown, { asker, region, profile }: Place, kind: 'cluster' | 'workgroup', id: string) {
  if (asker !== 'person' || !isTeleportError(fromAws(error), 'NotFound')) return;
  throw absent({ kind, id, regions: [region], profile, cause: error });
}
