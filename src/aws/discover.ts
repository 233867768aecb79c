/**
 * Which Redshift databases there are in a region: clusters, Serverless workgroups and their VPC endpoints, each with the
 * name, address and labels that Teleport's discovery gives it.
 *
 * Source: database-service.md sections 7.1 (limits) and 7.2.
 */
import { isTeleportError } from '../errors.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';
import { parseArn } from './endpoint.js';
import { type AwsPlace, tagLabels } from './metadata.js';

export interface FoundDatabase {
  name: string;
  description: string;
  protocol: 'postgres';
  /** `host:port`. */
  uri: string;
  /** For TLS, where it is not the host. */
  serverName?: string;
  aws: AwsPlace;
  labels: Record<string, string>;
  /** AWS's word for how it is. */
  status: string;
  /** Database that AWS made with the cluster. */
  defaultDatabase?: string;
}

/** Pages of one listing that are read; the rest is left out, as Teleport does. */
const MAX_PAGES = 10;
const CLUSTER_SKIPPED = new Set(['creating', 'deleting', 'hardware-failure', 'paused', 'incompatible-network']);
const WORKGROUP_SKIPPED = new Set(['CREATING', 'DELETING']);

/** @throws TeleportError from AWS */
export async function discoverRedshift(options: ClientOptions): Promise<FoundDatabase[]> {
  const { region } = options;
  const sdk = await import('@aws-sdk/client-redshift');
  const client = new sdk.RedshiftClient(await clientConfig(options));
  try {
    const clusters = await pages(async (Marker: string | undefined) => {
      const answer = await aws(() => client.send(new sdk.DescribeClustersCommand({ Marker })));
      return { items: answer.Clusters ?? [], next: answer.Marker };
    });
    return clusters.flatMap((cluster): FoundDatabase[] => {
      const {
        ClusterIdentifier: id,
        ClusterStatus: status = 'unknown',
        Endpoint: endpoint,
        DBName,
        Tags = [],
      } = cluster;
      if (!id || !endpoint?.Address || CLUSTER_SKIPPED.has(status)) return [];
      const accountId = parseArn(cluster.ClusterNamespaceArn ?? '')?.accountId;
      const tags = tagLabels(Tags.map(({ Key, Value }) => [Key, Value]));
      return [
        {
          name: nameFrom(tags, id),
          description: `Redshift cluster in ${region}`,
          protocol: 'postgres',
          uri: `${endpoint.Address}:${endpoint.Port ?? 5439}`,
          aws: { region, ...(accountId ? { account_id: accountId } : {}), redshift: { cluster_id: id } },
          labels: { ...tags, ...placeLabels(region, accountId, 'redshift') },
          status,
          ...(DBName ? { defaultDatabase: DBName } : {}),
        },
      ];
    });
  } finally {
    client.destroy();
  }
}

/** Workgroups, and VPC endpoints where listing them is allowed. @throws TeleportError from AWS */
export async function discoverServerless(options: ClientOptions): Promise<FoundDatabase[]> {
  const { region } = options;
  const sdk = await import('@aws-sdk/client-redshift-serverless');
  const client = new sdk.RedshiftServerlessClient(await clientConfig(options));
  try {
    const workgroups = await pages(async (nextToken: string | undefined) => {
      const answer = await aws(() => client.send(new sdk.ListWorkgroupsCommand({ nextToken })));
      return { items: answer.workgroups ?? [], next: answer.nextToken };
    });
    const endpoints = await tolerant(() =>
      pages(async (nextToken: string | undefined) => {
        const answer = await aws(() => client.send(new sdk.ListEndpointAccessCommand({ nextToken })));
        return { items: answer.endpoints ?? [], next: answer.nextToken };
      }),
    );
    const found: FoundDatabase[] = [];
    for (const workgroup of workgroups) {
      const {
        workgroupName: name,
        workgroupArn: resourceArn = '',
        workgroupId,
        status = 'unknown',
        endpoint,
      } = workgroup;
      if (!name || !endpoint?.address || WORKGROUP_SKIPPED.has(status)) continue;
      const answer = await tolerant(async () => [
        await aws(() => client.send(new sdk.ListTagsForResourceCommand({ resourceArn }))),
      ]);
      const tags = tagLabels((answer[0]?.tags ?? []).map(({ key, value }) => [key, value]));
      const accountId = parseArn(resourceArn)?.accountId;
      const place = { region, ...(accountId ? { account_id: accountId } : {}) };
      const ids = { workgroup_name: name, ...(workgroupId ? { workgroup_id: workgroupId } : {}) };
      const common = {
        ...tags,
        ...placeLabels(region, accountId, 'redshift-serverless'),
        ...(workgroup.namespaceName ? { namespace: workgroup.namespaceName } : {}),
      };
      const vpcId = endpoint.vpcEndpoints?.[0]?.vpcId;
      found.push({
        name: nameFrom(tags, name),
        description: `Redshift Serverless workgroup in ${region}`,
        protocol: 'postgres',
        uri: `${endpoint.address}:${endpoint.port ?? 5439}`,
        aws: { ...place, redshift_serverless: ids },
        labels: { ...common, 'endpoint-type': 'workgroup', ...(vpcId ? { 'vpc-id': vpcId } : {}) },
        status,
      });
      for (const one of endpoints) {
        if (one.workgroupName !== name || one.endpointStatus !== 'ACTIVE' || !one.endpointName || !one.address)
          continue;
        const ownVpc = one.vpcEndpoint?.vpcId;
        found.push({
          name: `${name}-${one.endpointName}`,
          description: `Redshift Serverless endpoint in ${region}`,
          protocol: 'postgres',
          uri: `${one.address}:${one.port ?? 5439}`,
          serverName: endpoint.address,
          aws: { ...place, redshift_serverless: { ...ids, endpoint_name: one.endpointName } },
          labels: {
            ...common,
            'endpoint-type': 'vpc-endpoint',
            workgroup: name,
            ...(ownVpc ? { 'vpc-id': ownVpc } : {}),
          },
          status: one.endpointStatus,
        });
      }
    }
    return found;
  } finally {
    client.destroy();
  }
}

async function pages<T>(read: (marker: string | undefined) => Promise<{ items: T[]; next: string | undefined }>) {
  const all: T[] = [];
  let marker: string | undefined;
  for (let left = MAX_PAGES; left > 0; left--) {
    const { items, next } = await read(marker);
    all.push(...items);
    if (!next) break;
    marker = next;
  }
  return all;
}

/** Nothing where it is not allowed to look. */
async function tolerant<T>(read: () => Promise<T[]>): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    if (isTeleportError(error, 'AccessDenied')) return [];
    throw error;
  }
}

function nameFrom(tags: Record<string, string>, name: string): string {
  return tags.TeleportDatabaseName || tags['teleport.dev/database_name'] || name;
}

function placeLabels(region: string, accountId: string | undefined, type: string): Record<string, string> {
  return {
    ...(accountId ? { 'account-id': accountId } : {}),
    region,
    'teleport.dev/cloud': 'AWS',
    'teleport.dev/origin': 'cloud',
    'teleport.dev/discovery-type': type,
  };
}
