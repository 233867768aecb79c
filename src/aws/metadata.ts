/**
 * What AWS knows of a Redshift cluster or a Serverless workgroup: ids, region, account, endpoint, tags as labels.
 *
 * Source: database-service.md 6.2 and 7.2.
 */

import { parseArn } from './arn.js';
import { type AssumeRole, aws, clientConfig } from './clients.js';

/** The `aws` part of a db resource, as far as this room reads and writes it. */
export interface AwsPlace {
  region?: string;
  account_id?: string;
  assume_role_arn?: string;
  external_id?: string;
  redshift?: { cluster_id?: string };
  redshift_serverless?: { workgroup_name?: string; endpoint_name?: string; workgroup_id?: string };
}

export interface RedshiftMetadata {
  aws: AwsPlace;
  labels: Record<string, string>;
}

/** A key that may be a label: what is else is left out, as Teleport does. */
const LABEL_KEY = /^[a-zA-Z0-9.*_:/-]+$/;

/** @throws TeleportError from AWS */
export async function fetchMetadata(place: AwsPlace): Promise<RedshiftMetadata> {
  const chain: AssumeRole[] = place.assume_role_arn
    ? [{ roleArn: place.assume_role_arn, externalId: place.external_id }]
    : [];
  const region = place.region ?? '';
  const kept: AwsPlace = {
    ...(place.assume_role_arn ? { assume_role_arn: place.assume_role_arn } : {}),
    ...(place.external_id ? { external_id: place.external_id } : {}),
  };
  const clusterId = place.redshift?.cluster_id;
  return clusterId
    ? await clusterMetadata(region, clusterId, chain, kept)
    : await serverlessMetadata(region, place, chain, kept);
}

async function clusterMetadata(
  region: string,
  clusterId: string,
  chain: AssumeRole[],
  kept: AwsPlace,
): Promise<RedshiftMetadata> {
  const { RedshiftClient, DescribeClustersCommand } = await import('./sdk/redshift.js');
  const client = new RedshiftClient(await clientConfig({ region, chain }));
  try {
    const { Clusters } = await aws(() => client.send(new DescribeClustersCommand({ ClusterIdentifier: clusterId })));
    const cluster = Clusters?.[0];
    const arn = parseArn(cluster?.ClusterNamespaceArn ?? '');
    return {
      aws: {
        ...kept,
        region: arn?.region || region,
        ...(arn ? { account_id: arn.accountId } : {}),
        redshift: { cluster_id: cluster?.ClusterIdentifier ?? clusterId },
      },
      labels: {
        ...tagLabels((cluster?.Tags ?? []).map(({ Key, Value }) => [Key, Value])),
        ...placeLabels(arn?.accountId, arn?.region || region),
      },
    };
  } finally {
    client.destroy();
  }
}

async function serverlessMetadata(
  region: string,
  place: AwsPlace,
  chain: AssumeRole[],
  kept: AwsPlace,
): Promise<RedshiftMetadata> {
  const sdk = await import('./sdk/redshift-serverless.js');
  const client = new sdk.RedshiftServerlessClient(await clientConfig({ region, chain }));
  try {
    const endpointName = place.redshift_serverless?.endpoint_name;
    const endpoint = endpointName
      ? (await aws(() => client.send(new sdk.GetEndpointAccessCommand({ endpointName })))).endpoint
      : undefined;
    const workgroupName = endpoint?.workgroupName ?? place.redshift_serverless?.workgroup_name ?? '';
    const { workgroup } = await aws(() => client.send(new sdk.GetWorkgroupCommand({ workgroupName })));
    const arn = parseArn(workgroup?.workgroupArn ?? '');
    const tags = workgroup?.workgroupArn
      ? await aws(() =>
          client.send(new sdk.ListTagsForResourceCommand({ resourceArn: workgroup.workgroupArn! })),
        ).catch(() => undefined)
      : undefined;
    return {
      aws: {
        ...kept,
        region: arn?.region || region,
        ...(arn ? { account_id: arn.accountId } : {}),
        redshift_serverless: {
          workgroup_name: workgroup?.workgroupName ?? workgroupName,
          ...(workgroup?.workgroupId ? { workgroup_id: workgroup.workgroupId } : {}),
          ...(endpointName ? { endpoint_name: endpointName } : {}),
        },
      },
      labels: {
        ...tagLabels((tags?.tags ?? []).map(({ key, value }) => [key, value])),
        ...placeLabels(arn?.accountId, arn?.region || region),
        ...(workgroup?.namespaceName ? { namespace: workgroup.namespaceName } : {}),
      },
    };
  } finally {
    client.destroy();
  }
}

function placeLabels(accountId: string | undefined, region: string): Record<string, string> {
  return { ...(accountId ? { 'account-id': accountId } : {}), region, 'teleport.dev/cloud': 'AWS' };
}

/** AWS tags whose keys can be labels. */
export function tagLabels(
  tags: readonly (readonly [string | undefined, string | undefined])[],
): Record<string, string> {
  return Object.fromEntries(tags.flatMap(([key, value]) => (key && LABEL_KEY.test(key) ? [[key, value ?? '']] : [])));
}
