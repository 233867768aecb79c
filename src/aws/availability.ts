/**
 * Why a Redshift database cannot be entered now: it is paused or being changed, or there is none of this name.
 *
 * Source: Redshift API `DescribeClusters` (ClusterStatus), Redshift Serverless API `GetWorkgroup` (status).
 */
import { isTeleportError, TeleportError } from '../errors.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';

export interface AwsDatabase {
  kind: 'cluster' | 'workgroup';
  id: string;
}

const NAMES = { cluster: 'Redshift cluster', workgroup: 'Redshift Serverless workgroup' } as const;
/** Statuses under which connections are refused, and what ends them. Others are short or harmless. */
const WAITS = /^(creating|deleting|rebooting|resuming|pausing|restoring|hardware-failure|incompatible-\S+)$/i;

/** The error of a database of this status, or undefined when it should take connections. */
export function unavailable(database: AwsDatabase, status: string, region: string): TeleportError | undefined {
  const { kind, id } = database;
  if (!/^paused$/i.test(status)) return WAITS.test(status) ? notReady(database, status, region) : undefined;
  return new TeleportError('ConnectionProblem', `${NAMES[kind]} "${id}" in ${region} is ${status.toLowerCase()}`, {
    hint: `Resume it: aws redshift resume-cluster --cluster-identifier ${id} --region ${region}`,
  });
}

/** The error of a database that AWS has given no address yet, or that takes no connections for a while. */
export function notReady(database: AwsDatabase, status: string, region: string): TeleportError {
  const { kind, id } = database;
  const look =
    kind === 'cluster'
      ? `aws redshift describe-clusters --cluster-identifier ${id} --region ${region}`
      : `aws redshift-serverless get-workgroup --workgroup-name ${id} --region ${region}`;
  const text = `${NAMES[kind]} "${id}" in ${region} is ${status.toLowerCase()}`;
  return new TeleportError('ConnectionProblem', text, { hint: `Wait until it is available: ${look}` });
}

/** There is no such database in the regions that were looked in. */
export function absent(
  missing: AwsDatabase & { regions: readonly string[]; profile?: string | undefined; cause?: unknown },
): TeleportError {
  const { kind, id, regions, profile, cause } = missing;
  const [region = 'REGION'] = regions;
  const own = profile ? ` --profile ${profile}` : '';
  const look =
    kind === 'cluster'
      ? `aws redshift describe-clusters --region ${region}${own}`
      : `aws redshift-serverless list-workgroups --region ${region}${own}`;
  return new TeleportError('NotFound', `${NAMES[kind]} "${id}" was not found. Looked in: ${regions.join(', ')}.`, {
    cause,
    hint: `It may be in another region or account. See what is there: ${look}`,
  });
}

/**
 * Ask AWS whether a database that did not answer is to blame.
 *
 * @returns undefined when it should take connections, or when AWS does not say
 */
export async function whyUnavailable(
  options: ClientOptions,
  database: AwsDatabase,
): Promise<TeleportError | undefined> {
  const { region } = options;
  try {
    const status = await (database.kind === 'cluster' ? clusterStatus : workgroupStatus)(options, database.id);
    return status === undefined ? undefined : unavailable(database, status, region);
  } catch (error) {
    if (!isTeleportError(error, 'NotFound')) return undefined;
    return absent({ ...database, regions: [region], profile: options.profile, cause: error });
  }
}

async function clusterStatus(options: ClientOptions, id: string): Promise<string | undefined> {
  const { RedshiftClient, DescribeClustersCommand } = await import('./sdk/redshift.js');
  const client = new RedshiftClient(await clientConfig(options));
  try {
    const answer = await aws(() => client.send(new DescribeClustersCommand({ ClusterIdentifier: id })));
    return answer.Clusters?.[0]?.ClusterStatus;
  } finally {
    client.destroy();
  }
}

async function workgroupStatus(options: ClientOptions, workgroupName: string): Promise<string | undefined> {
  const { RedshiftServerlessClient, GetWorkgroupCommand } = await import('./sdk/redshift-serverless.js');
  const client = new RedshiftServerlessClient(await clientConfig(options));
  try {
    const answer = await aws(() => client.send(new GetWorkgroupCommand({ workgroupName })));
    return answer.workgroup?.status;
  } finally {
    client.destroy();
  }
}
