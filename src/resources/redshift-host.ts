/**
 * What a Redshift host name says about its database: cluster or workgroup, account, region. Fills gaps of a resource
 * when it is made. Source: Teleport 18.3.0, api/utils/aws/endpoint.go (database-service.md 6.1).
 */
import { TeleportError } from '../errors.js';
import type { AwsMetadata } from './types.js';

const CLUSTER = /^([^.]+)\.[^.]+\.([a-z0-9-]+)\.redshift\.amazonaws\.com$/;
const CLUSTER_CHINA = /^([^.]+)\.[^.]+\.redshift\.(cn-[a-z0-9-]+)\.amazonaws\.com\.cn$/;
const SERVERLESS = /^([^.]+)\.(\d{12})\.([a-z0-9-]+)\.redshift-serverless\.amazonaws\.com$/;
const VPC_ENDPOINT = /^(.+)-endpoint-[^-.]+$/;

/**
 * @param host  without port
 * @returns undefined when it is no Redshift host, or a Serverless one in a form that is not known
 * @throws TeleportError `BadParameter` for a provisioned one that cannot be read
 */
export function readRedshiftHost(host: string): AwsMetadata | undefined {
  const name = host.toLowerCase();
  if (!name.includes('.amazonaws.com')) return undefined;
  if (name.includes('.redshift-serverless.')) return readServerless(name);
  if (!name.includes('.redshift.')) return undefined;
  const parts = CLUSTER.exec(name) ?? CLUSTER_CHINA.exec(name);
  if (parts === null) throw new TeleportError('BadParameter', `failed to parse ${host} as Redshift endpoint`);
  return { region: parts[2]!, redshift: { cluster_id: parts[1]! } };
}

function readServerless(name: string): AwsMetadata | undefined {
  const parts = SERVERLESS.exec(name);
  if (parts === null) return undefined;
  const [, first, accountId, region] = parts as unknown as [string, string, string, string];
  const endpoint = VPC_ENDPOINT.exec(first);
  return {
    region,
    account_id: accountId,
    redshift_serverless: endpoint ? { endpoint_name: endpoint[1]! } : { workgroup_name: first },
  };
}
