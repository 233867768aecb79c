/**
 * Which AWS call makes the password for a Redshift database and user, and with whose rights.
 *
 * | Database | Database user | Call |
 * |---|---|---|
 * | Redshift | `role/NAME` or a role ARN | assume that role, GetClusterCredentialsWithIAM |
 * | Redshift | anything else | GetClusterCredentials |
 * | Redshift Serverless | role name, `role/NAME` or ARN | assume that role, GetCredentials |
 * | either | none: a person's own IAM identity | the same two, nothing assumed |
 *
 * `assume_role_arn` of the database comes before the user's role; `external_id` is used once, on the first of the two,
 * `session_tags` on the last. The session of the user's role is named after who asked.
 * Source: database-service.md 4; for tags and session names, which Teleport has with DynamoDB only, its engine for that.
 */
import { accountOf, parseRoleArn, parseSessionArn } from '../aws/arn.js';
import type { AssumeRole } from '../aws/clients.js';
import { type CredentialCache, credentialKey, type DatabaseCredential } from '../aws/credential-cache.js';
import { TeleportError } from '../errors.js';
import { awsOf, databaseType, isSet } from '../resources/database-type.js';
import { isRoleUser, roleArnOf } from '../resources/database-user.js';
import type { AwsMetadata, Database } from '../resources/types.js';
import { withDeadline } from '../wait.js';

export interface AwsCredential extends DatabaseCredential {
  /** Made before this connection asked: it may have died since. */
  isCached: boolean;
}

/** Who one will be inside the database. */
export interface LoginAs {
  /** Empty: the database user that belongs to the principal's own IAM identity. */
  dbUser: string;
  dbName: string;
  /** GetClusterCredentials only: make the user when there is none, put it into groups for this session. */
  autoCreate?: boolean | undefined;
  dbGroups?: readonly string[] | undefined;
  /** User of the cluster: a role that is taken for them has a session of this name. */
  askedBy?: string | undefined;
}

export interface AwsLogins {
  credential(database: Database, as: LoginAs): Promise<AwsCredential>;
  /** Never again the one that the database refused; without one: whatever is kept. */
  forget(database: Database, as: LoginAs, refused?: AwsCredential): Promise<void>;
  /** What AWS says about a database that does not answer; undefined when that explains nothing. Never rejects. */
  whyDown(database: Database): Promise<TeleportError | undefined>;
}

/** Whose rights the calls are made with, before the roles that database and user name. */
export interface Principal {
  /** Whom a refusal speaks to. */
  asker: 'agent' | 'person';
  /** Profile of the shared files. */
  profile?: string | undefined;
  /** Tells apart whose credentials the default chain finds, for what is cached beyond this process. No secret. */
  source?: string | undefined;
  chain?: readonly AssumeRole[] | undefined;
  /** Who AWS says that it is; a role that it already has is not assumed again. */
  identity?: { arn: string; accountId: string } | undefined;
}

export interface AwsLoginsOptions {
  /** For all tries of all calls together; psql waits meanwhile. Default 25 s. */
  timeoutMs?: number;
}

const WHY_TIMEOUT_MS = 5_000;
const NO_ANSWER =
  'AWS was not reached, or it limits how often it may be asked. Check the network and HTTPS_PROXY, then try again.';

export function createAwsLogins(
  cache: CredentialCache,
  principal: Principal = { asker: 'agent' },
  { timeoutMs = 25_000 }: AwsLoginsOptions = {},
): AwsLogins {
  return {
    async credential(database, as) {
      const key = keyFor(principal, database, as);
      const minting = cache.get(key, () => mint(principal, database, as));
      const { credential, isFresh } = await withDeadline(minting, timeoutMs, awaitedOf(database), NO_ANSWER);
      return { ...credential, isCached: !isFresh };
    },
    forget: (database, as, refused) => cache.drop(keyFor(principal, database, as), refused),
    whyDown: (database) =>
      withDeadline(whyDown(principal, database), WHY_TIMEOUT_MS, 'AWS').catch((): undefined => undefined),
  };
}

/** What a connection waits for, and from where. */
function awaitedOf(database: Database): string {
  return `a password for "${database.metadata.name}" from AWS in ${awsOf(database).region ?? 'an unknown region'}`;
}

async function whyDown({ profile, chain = [] }: Principal, database: Database): Promise<TeleportError | undefined> {
  const { region = '', redshift, redshift_serverless: serverless, ...aws } = awsOf(database);
  const { whyUnavailable } = await import('../aws/availability.js');
  const id = redshift?.cluster_id || serverless?.workgroup_name;
  if (!id) return undefined;
  const kind = redshift?.cluster_id ? 'cluster' : 'workgroup';
  return await whyUnavailable({ region, profile, chain: [...chain, ...ownRoleOf(aws)] }, { kind, id });
}

async function mint(principal: Principal, database: Database, as: LoginAs) {
  const { dbUser, dbName, autoCreate, dbGroups, askedBy } = as;
  const aws = awsOf(database);
  const region = required(aws.region, 'aws.region', database);
  const credentials = await import('../aws/credentials.js');
  const { sessionNameOf } = await import('../aws/session-name.js');
  const { asker, profile, chain = [], identity } = principal;
  const ownRole = [...chain, ...ownRoleOf(aws)];
  const withUserRole = async (): Promise<AssumeRole[]> => {
    if (dbUser === '' && asker === 'person') return ownRole;
    const known = aws.account_id ?? accountOf(aws.assume_role_arn ?? '') ?? identity?.accountId;
    const accountId = known ?? (await callerAccount(principal, region, ownRole));
    const roleArn = roleArnOf(dbUser, { region, accountId });
    if (identity && isSessionOf(identity.arn, roleArn)) return ownRole;
    const externalId = aws.assume_role_arn ? undefined : aws.external_id || undefined;
    return [...ownRole, { roleArn, externalId, sessionName: askedBy && sessionNameOf(askedBy) }];
  };
  const tagged = (steps: AssumeRole[]) =>
    steps.map((step, at) =>
      isSet(aws.session_tags) && at === steps.length - 1 ? { ...step, tags: aws.session_tags } : step,
    );
  const place = { region, accountId: aws.account_id, dbName, asker, profile };
  if (databaseType(database) === 'redshift-serverless') {
    return credentials.serverlessCredentials({
      ...place,
      workgroup: aws.redshift_serverless?.workgroup_name ?? '',
      workgroupId: aws.redshift_serverless?.workgroup_id,
      chain: tagged(await withUserRole()),
    });
  }
  const clusterId = required(aws.redshift?.cluster_id, 'aws.redshift.cluster_id', database);
  if (isRole(database, dbUser) || (dbUser === '' && asker === 'person')) {
    return credentials.redshiftIamCredentials({ ...place, clusterId, chain: tagged(await withUserRole()) });
  }
  return credentials.redshiftCredentials({
    ...place,
    clusterId,
    dbUser,
    chain: tagged(ownRole),
    ...(autoCreate ? { autoCreate } : {}),
    ...(dbGroups ? { dbGroups: [...dbGroups] } : {}),
  });
}

function keyFor(principal: Principal, database: Database, as: LoginAs): string {
  const { dbUser, dbName, autoCreate, dbGroups, askedBy } = as;
  const aws = awsOf(database);
  return credentialKey([
    principal.profile,
    principal.source,
    principal.chain,
    principal.identity?.arn,
    aws.region,
    aws.redshift?.cluster_id,
    aws.redshift_serverless?.workgroup_name,
    aws.assume_role_arn,
    aws.external_id,
    aws.session_tags,
    dbUser,
    dbName,
    autoCreate ?? false,
    [...(dbGroups ?? [])].sort(),
    isRole(database, dbUser) ? askedBy : undefined,
  ]);
}

/** Whether the database user is an IAM role that is taken for this login. */
function isRole(database: Database, dbUser: string): boolean {
  return databaseType(database) === 'redshift-serverless' || isRoleUser(dbUser);
}

/** The role that the database itself names. */
function ownRoleOf(aws: AwsMetadata): AssumeRole[] {
  if (!aws.assume_role_arn) return [];
  return [{ roleArn: aws.assume_role_arn, ...(aws.external_id ? { externalId: aws.external_id } : {}) }];
}

/** Last resort for `role/NAME`: the account that the principal itself is in. */
async function callerAccount({ profile }: Principal, region: string, chain: AssumeRole[]): Promise<string> {
  const { callerIdentity } = await import('../aws/sts.js');
  return (await callerIdentity({ region, chain, profile })).accountId;
}

/** Whether `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION` is a session of `arn:aws:iam::ACCOUNT:role/PATH/NAME`. */
function isSessionOf(sessionArn: string, roleArn: string): boolean {
  const [session, role] = [parseSessionArn(sessionArn), parseRoleArn(roleArn)];
  return (
    session !== undefined &&
    session.name === role?.name &&
    session.accountId === role.accountId &&
    session.partition === role.partition
  );
}

function required(value: string | undefined, key: string, database: Database): string {
  if (value) return value;
  throw new TeleportError('BadParameter', `database "${database.metadata.name}" has no ${key}`, {
    hint: `Set ${key} in the configuration of the database, or let the agent read it: it needs redshift:DescribeClusters.`,
  });
}
