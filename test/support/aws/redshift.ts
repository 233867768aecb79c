/** Amazon Redshift's control plane of the double: clusters and their passwords. Query protocol. */
import { randomBytes } from 'node:crypto';
import { isDbGroup, isDbName, isDbUser } from './db-user.js';
import { type QueryCall, valueList } from './query.js';
import { AwsFault, list, type XmlValue } from './reply.js';
import { authorize, type Cluster, page, partitionOf } from './world.js';

export const redshiftActions: Record<string, (call: QueryCall) => XmlValue> = {
  DescribeClusters(call) {
    const { world, params, region, caller } = call;
    const wanted = params.ClusterIdentifier;
    authorize(world, caller, 'redshift:DescribeClusters', [arnOf(call, `cluster:${wanted ?? '*'}`)]);
    const here = world.clusters.filter((one) => one.region === region && one.accountId === caller.principal.accountId);
    if (wanted !== undefined) return { Clusters: list('Cluster', [describe(clusterOf(call, wanted))]) };
    const size = Math.min(world.pageSize, Number(params.MaxRecords ?? 100));
    const { items, next } = page(here, params.Marker, size);
    return { Marker: next, Clusters: list('Cluster', items.map(describe)) };
  },

  DescribeTags(call) {
    const { world, params, region } = call;
    authorize(world, call.caller, 'redshift:DescribeTags', [params.ResourceName ?? arnOf(call, 'cluster:*')]);
    const tagged = world.clusters
      .filter((one) => one.region === region)
      .flatMap((one) => {
        const arn = arnOf(call, `cluster:${one.id}`);
        if (params.ResourceName && params.ResourceName !== arn) return [];
        return tagsOf(one).map((Tag) => ({ Tag, ResourceName: arn, ResourceType: 'cluster' }));
      });
    return { TaggedResources: list('TaggedResource', tagged) };
  },

  DescribeCustomDomainAssociations(call) {
    const { world, params, region } = call;
    authorize(world, call.caller, 'redshift:DescribeCustomDomainAssociations', ['*']);
    const { CustomDomainName: wanted } = params;
    const domains = world.customDomains.filter(
      (one) => one.region === region && one.clusterId !== undefined && (!wanted || one.name === wanted),
    );
    if (wanted && domains.length === 0) {
      throw new AwsFault('CustomDomainAssociationNotFoundFault', `Custom domain ${wanted} is not found.`);
    }
    const { items, next } = page(domains, params.Marker, world.pageSize);
    const associations = items.map((one) => ({
      CustomDomainCertificateArn: `arn:aws:acm:${region}:${call.caller.principal.accountId}:certificate/${one.name}`,
      CertificateAssociations: list('CertificateAssociation', [
        { CustomDomainName: one.name, ClusterIdentifier: one.clusterId },
      ]),
    }));
    return { Marker: next, Associations: list('Association', associations) };
  },

  DescribeEndpointAccess(call) {
    const { world, params, region } = call;
    authorize(world, call.caller, 'redshift:DescribeEndpointAccess', ['*']);
    const { EndpointName: wanted } = params;
    const endpoints = world.clusters
      .filter((one) => one.region === region)
      .flatMap((one) => (one.vpcEndpoints ?? []).map((endpoint) => ({ ...endpoint, clusterId: one.id })))
      .filter(({ name }) => !wanted || name === wanted);
    if (wanted && endpoints.length === 0) {
      throw new AwsFault('EndpointNotFound', `The endpoint ${wanted} was not found.`);
    }
    const items = endpoints.map((one) => ({
      ClusterIdentifier: one.clusterId,
      EndpointName: one.name,
      EndpointStatus: 'active',
      Address: one.address,
      Port: 5439,
    }));
    return { EndpointAccessList: list('member', items) };
  },

  GetClusterCredentials(call) {
    const { world, params } = call;
    const id = clusterIdOf(call);
    const user = params.DbUser ?? '';
    const groups = valueList(params, 'DbGroups').filter((group) => group !== '');
    const autoCreate = params.AutoCreate === 'true';
    checkName('user', user, isDbUser);
    if (params.DbName !== undefined) checkName('database', params.DbName, isDbName);
    for (const group of groups) checkName('group', group, isDbGroup);
    const context = { 'redshift:dbuser': user, 'redshift:dbname': params.DbName };
    const userArn = arnOf(call, `dbuser:${id}/${user}`);
    const dbArns = params.DbName ? [arnOf(call, `dbname:${id}/${params.DbName}`)] : [];
    authorize(world, call.caller, 'redshift:GetClusterCredentials', [userArn, ...dbArns], context);
    if (autoCreate) authorize(world, call.caller, 'redshift:CreateClusterUser', [userArn], context);
    const groupArns = groups.map((group) => arnOf(call, `dbgroup:${id}/${group}`));
    authorize(world, call.caller, 'redshift:JoinGroup', groupArns, context);
    clusterOf(call, id);
    return grant(call, id, {
      user: `${autoCreate ? 'IAMA' : 'IAM'}:${user}`,
      databaseUser: user,
      groups,
      autoCreate,
    });
  },

  GetClusterCredentialsWithIAM(call) {
    const { world, params, caller } = call;
    const id = clusterIdOf(call);
    const resource = arnOf(call, `dbname:${id}/${params.DbName ?? '*'}`);
    authorize(world, caller, 'redshift:GetClusterCredentialsWithIAM', [resource], { 'redshift:dbname': params.DbName });
    clusterOf(call, id);
    const user = `${caller.principal.kind === 'role' ? 'IAMR' : 'IAM'}:${caller.principal.name}`;
    const answer = grant(call, id, { user, databaseUser: user, groups: [], autoCreate: true });
    return { ...answer, NextRefreshTime: answer.Expiration };
  },
};

function checkName(what: string, name: string, isRight: (name: string) => boolean): void {
  if (isRight(name)) return;
  throw new AwsFault('InvalidParameterValue', `The ${what} name "${name}" is not valid.`);
}

/** Minutes 15 to 60 as Redshift allows; the default is 15. */
export function passwordLife(seconds: string | number | undefined): number {
  const life = Number(seconds ?? 900);
  if (life >= 900 && life <= 3600) return life;
  throw new AwsFault(
    'InvalidParameterValue',
    `Invalid value for DurationSeconds: ${seconds}. Valid range is 900 - 3600.`,
  );
}

function grant(
  { world, params }: QueryCall,
  clusterId: string,
  made: { user: string; databaseUser: string; groups: string[]; autoCreate: boolean },
) {
  const expiresAtMs = world.now() + passwordLife(params.DurationSeconds) * 1000;
  const password = randomBytes(36).toString('base64');
  world.grants.push({ ...made, clusterId, workgroup: undefined, password, database: params.DbName, expiresAtMs });
  return { DbUser: made.user, DbPassword: password, Expiration: new Date(expiresAtMs) };
}

/** Named itself, or by its custom domain. */
function clusterIdOf({ world, params, region }: QueryCall): string {
  const domain = world.customDomains.find((one) => one.name === params.CustomDomainName && one.region === region);
  return params.ClusterIdentifier ?? domain?.clusterId ?? '';
}

function clusterOf({ world, region, caller }: QueryCall, id: string): Cluster {
  const found = world.clusters.find(
    (one) => one.id === id && one.region === region && one.accountId === caller.principal.accountId,
  );
  if (!found) throw new AwsFault('ClusterNotFound', `Cluster ${id} not found.`);
  return found;
}

function arnOf({ region, caller }: QueryCall, rest: string): string {
  return `arn:${partitionOf(region)}:redshift:${region}:${caller.principal.accountId}:${rest}`;
}

const tagsOf = (cluster: Cluster) => Object.entries(cluster.tags).map(([Key, Value]) => ({ Key, Value }));

const AVAILABILITY: Record<string, string> = { available: 'Available', paused: 'Paused', modifying: 'Modifying' };

function describe(cluster: Cluster): XmlValue {
  return {
    ClusterIdentifier: cluster.id,
    NodeType: 'ra3.xlplus',
    ClusterStatus: cluster.status,
    ClusterAvailabilityStatus: AVAILABILITY[cluster.status] ?? 'Unavailable',
    MasterUsername: cluster.masterUser,
    DBName: cluster.dbName,
    Endpoint: cluster.endpoint && { Address: cluster.endpoint.address, Port: cluster.endpoint.port },
    ClusterCreateTime: cluster.createdAt,
    VpcId: cluster.vpcId,
    AvailabilityZone: `${cluster.region}a`,
    PubliclyAccessible: false,
    Encrypted: true,
    NumberOfNodes: 1,
    Tags: list('Tag', tagsOf(cluster)),
    ClusterNamespaceArn: cluster.namespaceArn,
  };
}
