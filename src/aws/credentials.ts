/**
 * Temporary passwords for Redshift and Redshift Serverless, and what to do when AWS refuses one: the statement that is
 * missing, as JSON to paste.
 *
 * Source: database-service.md 4.1 to 4.4.
 */
import { TeleportError } from '../errors.js';
import { type AssumeRole, assumedConfig, clientConfig } from './clients.js';
import { watchClock } from './clock.js';
import type { DatabaseCredential } from './credential-cache.js';
import { partitionOf } from './endpoint.js';
import { fromAws } from './errors.js';
import { formatPolicy } from './policy-document.js';

interface Place {
  region: string;
  accountId?: string | undefined;
  dbName: string;
  /** Roles to assume; for the two IAM-role calls the last one is the user's. */
  chain: readonly AssumeRole[];
  profile?: string | undefined;
  /** Whom a refusal speaks to: the owner of an agent (default), or the person whose own credentials were used. */
  asker?: 'agent' | 'person' | undefined;
}

/** What AWS gives when it names no end: its default of 15 minutes. */
const DEFAULT_LIFE_MS = 15 * 60_000;

/** `GetClusterCredentials`: an existing database user (or a new one with `autoCreate`). */
export async function redshiftCredentials(
  options: Place & { clusterId: string; dbUser: string; autoCreate?: boolean; dbGroups?: string[] },
): Promise<DatabaseCredential> {
  const { RedshiftClient, GetClusterCredentialsCommand } = await import('@aws-sdk/client-redshift');
  const client = new RedshiftClient(await clientConfig(options));
  const skewMs = watchClock(client);
  try {
    const answer = await client.send(
      new GetClusterCredentialsCommand({
        ClusterIdentifier: options.clusterId,
        DbUser: options.dbUser,
        DbName: options.dbName,
        AutoCreate: options.autoCreate ?? false,
        DbGroups: options.dbGroups ?? [],
      }),
    );
    return credential(answer.DbUser, answer.DbPassword, answer.Expiration, skewMs());
  } catch (error) {
    throw refused(error, [
      'Could not generate Redshift IAM auth token:',
      '',
      `  ${awsText(error)}`,
      '',
      options.asker === 'person'
        ? 'Make sure that your IAM identity has permissions'
        : "Make sure that Teleport database agent's IAM policy is attached and has permissions",
      'to generate Redshift credentials (note that IAM changes may take a few minutes to',
      'propagate):',
      '',
      policyText('redshift:GetClusterCredentials', [
        redshiftArn(options, `dbuser:${options.clusterId || '{cluster_id}'}/*`),
        redshiftArn(options, `dbname:${options.clusterId || '{cluster_id}'}/*`),
        redshiftArn(options, `dbgroup:${options.clusterId || '{cluster_id}'}/*`),
      ]),
    ]);
  } finally {
    client.destroy();
  }
}

/** `GetClusterCredentialsWithIAM`: the database user that maps to the calling IAM identity. */
export async function redshiftIamCredentials(options: Place & { clusterId: string }): Promise<DatabaseCredential> {
  const { RedshiftClient, GetClusterCredentialsWithIAMCommand } = await import('@aws-sdk/client-redshift');
  const config = await assume('Could not generate Redshift IAM role auth token:', options);
  const client = new RedshiftClient(config);
  const skewMs = watchClock(client);
  try {
    const answer = await client.send(
      new GetClusterCredentialsWithIAMCommand({ ClusterIdentifier: options.clusterId, DbName: options.dbName }),
    );
    return credential(answer.DbUser, answer.DbPassword, answer.Expiration, skewMs());
  } catch (error) {
    const policy = policyText('redshift:GetClusterCredentialsWithIAM', [
      redshiftArn(options, `dbname:${options.clusterId || '{cluster_id}'}/*`),
    ]);
    throw refused(error, callText('Could not generate Redshift IAM role auth token:', error, options, policy));
  } finally {
    client.destroy();
  }
}

/** `GetCredentials` of Redshift Serverless: the database user of the calling IAM role. */
export async function serverlessCredentials(
  options: Place & { workgroup: string; workgroupId?: string | undefined },
): Promise<DatabaseCredential> {
  const { RedshiftServerlessClient, GetCredentialsCommand } = await import('@aws-sdk/client-redshift-serverless');
  const config = await assume('Could not generate Redshift Serverless auth token:', options);
  const client = new RedshiftServerlessClient(config);
  const skewMs = watchClock(client);
  try {
    const answer = await client.send(
      new GetCredentialsCommand({ workgroupName: options.workgroup, dbName: options.dbName }),
    );
    return credential(answer.dbUser, answer.dbPassword, answer.expiration, skewMs());
  } catch (error) {
    const policy = policyText('redshift-serverless:GetCredentials', [
      arn(options, 'redshift-serverless', `workgroup/${options.workgroupId || '{workgroup_id}'}`),
    ]);
    throw refused(error, callText('Could not generate Redshift Serverless auth token:', error, options, policy));
  } finally {
    client.destroy();
  }
}

function credential(
  user: string | undefined,
  password: string | undefined,
  expiresAt: Date | undefined,
  skewMs: number | undefined,
): DatabaseCredential {
  if (!user || !password) throw new TeleportError('Protocol', 'AWS answered without a database user or password');
  const end = expiresAt ?? new Date(Date.now() + (skewMs ?? 0) + DEFAULT_LIFE_MS);
  return { user, password, expiresAt: end, skewMs };
}

/** The chain's roles, assumed; a role that cannot be assumed is another thing to mend than one that lacks the permission. */
async function assume(title: string, options: Place) {
  try {
    return await assumedConfig(options);
  } catch (error) {
    const role = JSON.stringify(options.chain.at(-1)?.roleArn ?? '');
    const whom = options.asker === 'person' ? 'your IAM identity' : "Teleport database agent's IAM identity";
    throw refused(error, [
      title,
      '',
      `  ${awsText(error)}`,
      '',
      `Make sure that IAM role ${role} has a trust relationship with ${whom}.`,
    ]);
  }
}

function callText(title: string, error: unknown, { chain, asker }: Place, policy: string): string[] {
  const role = chain.at(-1)?.roleArn;
  const who = role === undefined && asker === 'person' ? 'your IAM identity' : `IAM role ${JSON.stringify(role ?? '')}`;
  return [
    title,
    '',
    `  ${awsText(error)}`,
    '',
    `Make sure that ${who} has permissions to generate credentials. Here is a sample IAM policy:`,
    '',
    policy,
  ];
}

function refused(error: unknown, lines: string[]): TeleportError {
  const { code, hint } = fromAws(error);
  return new TeleportError(code, `${lines.join('\n')}\n`, { cause: error, hint });
}

function awsText(error: unknown): string {
  return fromAws(error).message;
}

function redshiftArn(place: Place, resource: string): string {
  return arn(place, 'redshift', resource);
}

function arn({ region, accountId }: Place, service: string, resource: string): string {
  const partition = region ? partitionOf(region) : '{partition}';
  return `arn:${partition}:${service}:${region || '{region}'}:${accountId || '{account_id}'}:${resource}`;
}

/** A policy with one statement, as `teleport db configure aws print-iam` prints policies. */
function policyText(action: string, resources: string[]): string {
  return formatPolicy([{ effect: 'Allow', actions: [action], resources }]);
}
