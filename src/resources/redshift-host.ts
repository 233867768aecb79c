/**
 * What a Redshift host name says about its database: cluster or workgroup, account, region. Fills gaps of a resource
 * when it is made.
 *
 *     CLUSTER.HASH.REGION.redshift.SUFFIX                        provisioned, in every partition
 *     NAME-endpoint-HASH.HASH.REGION.redshift.SUFFIX             its VPC endpoint, which looks the same as a cluster
 *     CLUSTER.HASH.redshift.REGION.SUFFIX                        China as Teleport 18 reads it; AWS shows the other one
 *     WORKGROUP.ACCOUNT.REGION.redshift-serverless.SUFFIX        Serverless
 *     NAME-endpoint-HASH.ACCOUNT.REGION.redshift-serverless.SUFFIX   its VPC endpoint
 *
 * Source: Amazon Redshift's "Finding your cluster connection string" and "Connecting to Amazon Redshift Serverless";
 * Teleport 18.3.0 (database-service.md 6.1).
 */
import { isAccountId } from '../aws/arn.js';
import { dnsSuffixOf, isRegion, splitAwsHost } from '../aws/partitions.js';
import { TeleportError } from '../errors.js';
import type { AwsMetadata } from './types.js';

const VPC_ENDPOINT = /^(.+)-endpoint-[^-.]+$/;

/**
 * @param host  without port
 * @returns undefined when it is not a Redshift host, or a Serverless one in a form that is not known
 * @throws TeleportError `BadParameter` for a provisioned one that cannot be read
 */
export function readRedshiftHost(host: string): AwsMetadata | undefined {
  const { labels, suffix } = splitAwsHost(host) ?? { labels: [] };
  const [first = '', second = '', third = '', fourth = ''] = labels;
  const isOfPartition = (region: string) =>
    labels.length === 4 && first !== '' && isRegion(region) && dnsSuffixOf(region) === suffix;
  if (labels.slice(1).includes('redshift-serverless')) {
    const isKnown = fourth === 'redshift-serverless' && isAccountId(second) && isOfPartition(third);
    return isKnown ? serverless(first, second, third) : undefined;
  }
  if (!labels.slice(1).includes('redshift')) return undefined;
  const region = fourth === 'redshift' ? third : third === 'redshift' && fourth.startsWith('cn-') ? fourth : '';
  if (!isOfPartition(region)) throw new TeleportError('BadParameter', `failed to parse ${host} as Redshift endpoint`);
  return { region, redshift: { cluster_id: first } };
}

function serverless(first: string, accountId: string, region: string): AwsMetadata {
  const endpoint = VPC_ENDPOINT.exec(first);
  return {
    region,
    account_id: accountId,
    redshift_serverless: endpoint ? { endpoint_name: endpoint[1]! } : { workgroup_name: first },
  };
}
