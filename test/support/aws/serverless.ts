/** Amazon Redshift Serverless of the double: workgroups, VPC endpoints and passwords. JSON 1.1. */
import { randomBytes } from 'node:crypto';
import { passwordLife } from './redshift.js';
import { AwsFault } from './reply.js';
import { authorize, type Caller, page, partitionOf, type VpcEndpoint, type Workgroup, type World } from './world.js';

export interface JsonCall {
  world: World;
  caller: Caller;
  region: string;
  input: Record<string, unknown>;
}

export const serverlessActions: Record<string, (call: JsonCall) => unknown> = {
  ListWorkgroups(call) {
    may(call, 'ListWorkgroups', '*');
    const { items, next } = page(workgroupsOf(call), text(call, 'nextToken'), call.world.pageSize);
    return { workgroups: items.map(describe), nextToken: next };
  },
  GetWorkgroup(call) {
    const workgroup = findWorkgroup(call, text(call, 'workgroupName'));
    may(call, 'GetWorkgroup', workgroup?.arn ?? arnOf(call, 'workgroup/*'));
    if (!workgroup) throw missing(`Workgroup ${text(call, 'workgroupName')} is not found.`);
    return { workgroup: describe(workgroup) };
  },
  ListEndpointAccess(call) {
    may(call, 'ListEndpointAccess', '*');
    const here = call.world.endpoints.filter((one) => one.region === call.region);
    const { items, next } = page(here, text(call, 'nextToken'), call.world.pageSize);
    return { endpoints: items.map(describeEndpoint), nextToken: next };
  },
  GetEndpointAccess(call) {
    const endpoint = call.world.endpoints.find(
      (one) => one.name === text(call, 'endpointName') && one.region === call.region,
    );
    may(call, 'GetEndpointAccess', endpoint?.arn ?? arnOf(call, 'managedvpcendpoint/*'));
    if (!endpoint) throw missing(`Endpoint ${text(call, 'endpointName')} is not found.`);
    return { endpoint: describeEndpoint(endpoint) };
  },
  ListCustomDomainAssociations(call) {
    may(call, 'ListCustomDomainAssociations', '*');
    const wanted = text(call, 'customDomainName');
    const domains = call.world.customDomains.filter(
      (one) => one.region === call.region && one.workgroup !== undefined && (!wanted || one.name === wanted),
    );
    const { items, next } = page(domains, text(call, 'nextToken'), call.world.pageSize);
    const associations = items.map((one) => ({
      customDomainCertificateArn: arnOf(call, `certificate/${one.name}`).replace(':redshift-serverless:', ':acm:'),
      customDomainName: one.name,
      workgroupName: one.workgroup,
    }));
    return { associations, nextToken: next };
  },
  ListTagsForResource(call) {
    const arn = text(call, 'resourceArn') ?? '';
    may(call, 'ListTagsForResource', arn);
    const found = call.world.workgroups.find((one) => one.arn === arn);
    if (!found) throw missing(`Resource ${arn} is not found.`);
    return { tags: Object.entries(found.tags).map(([key, value]) => ({ key, value })) };
  },
  GetCredentials(call) {
    const { world, caller } = call;
    const domain = text(call, 'customDomainName');
    const name =
      text(call, 'workgroupName') ??
      world.customDomains.find((one) => one.name === domain && one.region === call.region)?.workgroup;
    const workgroup = findWorkgroup(call, name);
    may(call, 'GetCredentials', workgroup?.arn ?? arnOf(call, 'workgroup/*'));
    if (!workgroup) throw missing(`Workgroup ${name ?? 'null'} is not found.`);
    const life = passwordLife(call.input.durationSeconds as number | undefined);
    const expiresAtMs = world.now() + life * 1000;
    const user = `${caller.principal.kind === 'role' ? 'IAMR' : 'IAM'}:${caller.principal.name}`;
    const password = randomBytes(36).toString('base64');
    world.grants.push({
      clusterId: undefined,
      workgroup: workgroup.name,
      user,
      password,
      database: text(call, 'dbName'),
      groups: [],
      autoCreate: true,
      databaseUser: user,
      expiresAtMs,
    });
    const expiration = expiresAtMs / 1000;
    return { dbUser: user, dbPassword: password, expiration, nextRefreshTime: expiration - life / 2 };
  },
};

const missing = (message: string) => new AwsFault('ResourceNotFoundException', message);

function may({ world, caller }: JsonCall, action: string, resource: string): void {
  authorize(world, caller, `redshift-serverless:${action}`, [resource]);
}

function text({ input }: JsonCall, name: string): string | undefined {
  return input[name] as string | undefined;
}

function workgroupsOf({ world, region, caller }: JsonCall): Workgroup[] {
  return world.workgroups.filter((one) => one.region === region && one.accountId === caller.principal.accountId);
}

function findWorkgroup(call: JsonCall, name: string | undefined): Workgroup | undefined {
  return workgroupsOf(call).find((one) => one.name === name);
}

function arnOf({ region, caller }: JsonCall, rest: string): string {
  return `arn:${partitionOf(region)}:redshift-serverless:${region}:${caller.principal.accountId}:${rest}`;
}

function describe(one: Workgroup) {
  const vpcEndpoints = one.vpcId ? [{ vpcEndpointId: `vpce-${one.id.slice(0, 8)}`, vpcId: one.vpcId }] : [];
  return {
    workgroupId: one.id,
    workgroupArn: one.arn,
    workgroupName: one.name,
    namespaceName: one.namespace,
    status: one.status,
    baseCapacity: 8,
    publiclyAccessible: false,
    creationDate: one.createdAt.toISOString(),
    endpoint: one.endpoint && { ...one.endpoint, vpcEndpoints },
  };
}

function describeEndpoint(one: VpcEndpoint) {
  return {
    endpointName: one.name,
    endpointArn: one.arn,
    endpointStatus: one.status,
    workgroupName: one.workgroup,
    address: one.address,
    port: one.port,
    vpcEndpoint: { vpcEndpointId: `vpce-${one.name}`, vpcId: one.vpcId },
  };
}
