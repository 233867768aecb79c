/**
 * Which Redshift databases there are in a region: clusters, Serverless workgroups and their VPC endpoints, each with the
 * name, address and labels that Teleport's discovery gives it. What is paused, being made or being deleted is left out
 * unless it is asked for.
 *
 * Source: database-service.md 7.1 (limits) and 7.2.
 */

import { atOnce } from '../at-once.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { parseArn } from './arn.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';
import { type AwsPlace, tagLabels } from './metadata.js';
import type { EndpointAccess, Workgroup } from './sdk/redshift-serverless.js';

export interface FoundDatabase {
  name: string;
  description: string;
  protocol: 'postgres';
  /** `host:port`; empty while AWS has given none, which only one that is unavailable can lack. */
  uri: string;
  /** For TLS, where it is not the host. */
  serverName?: string;
  aws: AwsPlace;
  labels: Record<string, string>;
  /** AWS's word for how it is: `available`, `paused`, `AVAILABLE`, … */
  status: string;
  /** False for one that nobody can enter now. */
  isAvailable: boolean;
  /** Database that AWS made with the cluster. */
  defaultDatabase?: string;
  /** AWS did not let its tags be read: they are missing among the labels, and in the name. */
  isUntagged?: boolean;
}

/** What one look at a region came to. */
export interface Looked {
  databases: FoundDatabase[];
  /** What AWS did not say; empty when it said everything. */
  unsaid: TeleportError[];
}

export interface DiscoverOptions extends ClientOptions {
  /** Give those that cannot be entered now as well. Default false. */
  unavailable?: boolean;
}

/** Label with what AWS calls it: `redshift` or `redshift-serverless`. */
export const DISCOVERY_TYPE_LABEL = 'teleport.dev/discovery-type';

/** AWS tags whose value is the name of the database, the first before the second. */
export const NAME_TAGS = ['TeleportDatabaseName', 'teleport.dev/database_name'] as const;

/** Pages of one listing that are read; the rest is left out, as Teleport does. */
const MAX_PAGES = 10;
/** Workgroups whose tags are asked for at the same time: each is a call of its own. */
const TAGS_AT_ONCE = 8;
const CLUSTER_SKIPPED = new Set(['creating', 'deleting', 'hardware-failure', 'paused', 'incompatible-network']);
const WORKGROUP_SKIPPED = new Set(['CREATING', 'DELETING']);

/** @throws TeleportError from AWS */
export async function discoverRedshift(options: DiscoverOptions): Promise<Looked> {
  const { region } = options;
  const sdk = await import('./sdk/redshift.js');
  const client = new sdk.RedshiftClient(await clientConfig(options));
  try {
    const unsaid: TeleportError[] = [];
    const clusters = await pages('clusters', unsaid, async (Marker: string | undefined) => {
      const answer = await aws(() => client.send(new sdk.DescribeClustersCommand({ Marker })));
      return { items: answer.Clusters ?? [], next: answer.Marker };
    });
    const databases = clusters.flatMap((cluster): FoundDatabase[] => {
      const {
        ClusterIdentifier: id,
        ClusterStatus: status = 'unknown',
        Endpoint: endpoint,
        DBName,
        Tags = [],
      } = cluster;
      const isAvailable = endpoint?.Address !== undefined && !CLUSTER_SKIPPED.has(status);
      if (!id || !(isAvailable || options.unavailable)) return [];
      const accountId = parseArn(cluster.ClusterNamespaceArn ?? '')?.accountId;
      const tags = tagLabels(Tags.map(({ Key, Value }) => [Key, Value]));
      return [
        {
          name: nameFrom(tags, id),
          description: `Redshift cluster in ${region}`,
          protocol: 'postgres',
          uri: addressOf(endpoint?.Address, endpoint?.Port),
          aws: { region, ...(accountId ? { account_id: accountId } : {}), redshift: { cluster_id: id } },
          labels: { ...tags, ...placeLabels(region, accountId, 'redshift') },
          status,
          isAvailable,
          ...(DBName ? { defaultDatabase: DBName } : {}),
        },
      ];
    });
    return { databases, unsaid };
  } finally {
    client.destroy();
  }
}

/** Workgroups, and VPC endpoints where listing them is allowed. @throws TeleportError from AWS */
export async function discoverServerless(options: DiscoverOptions): Promise<Looked> {
  const sdk = await import('./sdk/redshift-serverless.js');
  const client = new sdk.RedshiftServerlessClient(await clientConfig(options));
  const unsaid: TeleportError[] = [];
  try {
    const [workgroups, endpoints] = await Promise.all([
      pages('workgroups', unsaid, async (nextToken: string | undefined) => {
        const answer = await aws(() => client.send(new sdk.ListWorkgroupsCommand({ nextToken })));
        return { items: answer.workgroups ?? [], next: answer.nextToken };
      }),
      tolerant('VPC endpoints', unsaid, () =>
        pages('VPC endpoints', unsaid, async (nextToken: string | undefined) => {
          const answer = await aws(() => client.send(new sdk.ListEndpointAccessCommand({ nextToken })));
          return { items: answer.endpoints ?? [], next: answer.nextToken };
        }),
      ),
    ]);
    const shown = workgroups.filter(
      ({ workgroupName, status = 'unknown', endpoint }) =>
        workgroupName && (options.unavailable || (endpoint?.address && !WORKGROUP_SKIPPED.has(status))),
    );
    const inTurn = atOnce(TAGS_AT_ONCE);
    const tagsOf = ({ workgroupName, workgroupArn: resourceArn = '' }: Workgroup) =>
      tolerant(`tags of ${workgroupName}`, unsaid, async () => {
        const { tags = [] } = await aws(() => client.send(new sdk.ListTagsForResourceCommand({ resourceArn })));
        return tags;
      });
    const tagged = await Promise.all(shown.map((one) => inTurn(() => tagsOf(one))));
    const databases = shown.flatMap((one, i) => {
      const known = tagged[i];
      const tags = tagLabels((known ?? []).map(({ key, value }) => [key, value]));
      const found = ofWorkgroup(one, tags, endpoints ?? [], options);
      return known ? found : found.map((untagged) => ({ ...untagged, isUntagged: true }));
    });
    return { databases, unsaid };
  } finally {
    client.destroy();
  }
}

/** A workgroup and the VPC endpoints that lead to it. */
function ofWorkgroup(
  workgroup: Workgroup,
  tags: Record<string, string>,
  endpoints: readonly EndpointAccess[],
  { region, unavailable }: DiscoverOptions,
): FoundDatabase[] {
  const { workgroupName: name = '', workgroupId, status = 'unknown', endpoint, namespaceName } = workgroup;
  const accountId = parseArn(workgroup.workgroupArn ?? '')?.accountId;
  const place = { region, ...(accountId ? { account_id: accountId } : {}) };
  const ids = { workgroup_name: name, ...(workgroupId ? { workgroup_id: workgroupId } : {}) };
  const common = {
    ...tags,
    ...placeLabels(region, accountId, 'redshift-serverless'),
    ...(namespaceName ? { namespace: namespaceName } : {}),
  };
  const vpcId = endpoint?.vpcEndpoints?.[0]?.vpcId;
  const own: FoundDatabase = {
    name: nameFrom(tags, name),
    description: `Redshift Serverless workgroup in ${region}`,
    protocol: 'postgres',
    uri: addressOf(endpoint?.address, endpoint?.port),
    aws: { ...place, redshift_serverless: ids },
    labels: { ...common, 'endpoint-type': 'workgroup', ...(vpcId ? { 'vpc-id': vpcId } : {}) },
    status,
    isAvailable: endpoint?.address !== undefined && !WORKGROUP_SKIPPED.has(status),
  };
  const ofEndpoint = (one: EndpointAccess): FoundDatabase[] => {
    const { endpointStatus = 'unknown' } = one;
    const isReachable = own.isAvailable && endpointStatus === 'ACTIVE' && one.address !== undefined;
    if (one.workgroupName !== name || !one.endpointName || !(isReachable || unavailable)) return [];
    const ownVpc = one.vpcEndpoint?.vpcId;
    return [
      {
        name: `${own.name}-${one.endpointName}`,
        description: `Redshift Serverless endpoint in ${region}`,
        protocol: 'postgres',
        uri: addressOf(one.address, one.port),
        ...(endpoint?.address ? { serverName: endpoint.address } : {}),
        aws: { ...place, redshift_serverless: { ...ids, endpoint_name: one.endpointName } },
        labels: {
          ...common,
          'endpoint-type': 'vpc-endpoint',
          workgroup: name,
          ...(ownVpc ? { 'vpc-id': ownVpc } : {}),
        },
        status: endpointStatus,
        isAvailable: isReachable,
      },
    ];
  };
  return [own, ...endpoints.flatMap(ofEndpoint)];
}

async function pages<T>(
  what: string,
  unsaid: TeleportError[],
  read: (marker: string | undefined) => Promise<{ items: T[]; next: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  let marker: string | undefined;
  for (let left = MAX_PAGES; left > 0; left--) {
    const { items, next } = await read(marker);
    all.push(...items);
    if (!next) return all;
    marker = next;
  }
  unsaid.push(new TeleportError('LimitExceeded', `${what}: there are more than the first ${all.length}`));
  return all;
}

/** Undefined where it is not allowed to look, or what was to be looked at has gone meanwhile. */
async function tolerant<T>(what: string, unsaid: TeleportError[], read: () => Promise<T[]>): Promise<T[] | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isTeleportError(error, 'AccessDenied') && !isTeleportError(error, 'NotFound')) throw error;
    const { code, message, hint } = error;
    unsaid.push(new TeleportError(code, `${what}: ${message}`, { cause: error, hint }));
    return undefined;
  }
}

function addressOf(host: string | undefined, port = 5439): string {
  return host ? joinHostPort(host, port) : '';
}

function nameFrom(tags: Record<string, string>, name: string): string {
  return NAME_TAGS.map((tag) => tags[tag]).find(Boolean) ?? name;
}

function placeLabels(region: string, accountId: string | undefined, type: string): Record<string, string> {
  return {
    ...(accountId ? { 'account-id': accountId } : {}),
    region,
    'teleport.dev/cloud': 'AWS',
    'teleport.dev/origin': 'cloud',
    [DISCOVERY_TYPE_LABEL]: type,
  };
}
