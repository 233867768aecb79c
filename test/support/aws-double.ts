/**
 * A stand-in for AWS on loopback: STS, IAM, Redshift, Redshift Serverless and the instance metadata service, as the SDK
 * and the `aws` command speak them. It checks signatures, evaluates policies and remembers the database passwords that
 * it makes, so a refusal has a true reason and only a password it gave opens a database (`redshift-double.ts`).
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { type AwsCall, answer, modelOf } from './aws/answer.js';
import { answerMetadata } from './aws/metadata-service.js';
import { statusOf } from './aws/model.js';
import type { PolicyDocument } from './aws/policy.js';
import { AwsFault, type Reply } from './aws/reply.js';
import type { SignedRequest } from './aws/sigv4.js';
import {
  addKey,
  addPrincipal,
  type Cluster,
  type Grant,
  type Principal,
  partitionFacts,
  partitionOf,
  randomId,
  type VpcEndpoint,
  type Workgroup,
  type World,
} from './aws/world.js';

export type { AwsCall } from './aws/answer.js';
export type { PolicyDocument } from './aws/policy.js';

export interface AwsKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface PrincipalOptions {
  /** Default: the double's account. */
  accountId?: string;
  /** Default `/`. */
  path?: string;
  /** Inline policies. */
  policies?: PolicyDocument[];
}

export interface RoleOptions extends PrincipalOptions {
  trust?: PolicyDocument;
  /** Seconds, default 3600. */
  maxSession?: number;
}

type ClusterOptions = { id: string } & Partial<Omit<Cluster, 'id' | 'namespaceArn' | 'createdAt'>>;
type WorkgroupOptions = { name: string } & Partial<Omit<Workgroup, 'name' | 'arn' | 'createdAt'>>;
type EndpointOptions = Pick<VpcEndpoint, 'name' | 'workgroup' | 'address' | 'port'> & Partial<VpcEndpoint>;

export interface PasswordQuestion {
  clusterId?: string | undefined;
  workgroup?: string | undefined;
  user: string;
  /** The password, or a test of the right one (for MD5). */
  password: string | ((right: string) => boolean);
  database: string;
}

export type PasswordAnswer = { ok: true; grant: Grant } | { ok: false; why: string };

export interface Failure {
  /** One that the action can answer with. */
  code: string;
  message?: string;
  /** Default 1. */
  times?: number;
}

export interface AwsDoubleOptions {
  accountId?: string;
  region?: string;
  /** The service's clock, milliseconds. */
  now?: () => number;
  /** Most elements on a page of a listing. Default 100. */
  pageSize?: number;
}

export interface AwsDouble {
  readonly url: string;
  readonly region: string;
  readonly accountId: string;
  readonly calls: AwsCall[];
  /** Requests and answers that do not fit botocore's models, and faults of the double's own. */
  readonly faults: string[];
  /** How often an action was called, refused calls included. */
  count(action: string): number;
  addUser(name: string, options?: PrincipalOptions): Principal;
  addRole(name: string, options?: RoleOptions): Principal;
  /** Adds an inline policy; a policy of the same name is replaced. */
  attachPolicy(principal: Principal, document: PolicyDocument, name?: string): void;
  setTrust(role: Principal, document: PolicyDocument): void;
  /** The role of the metadata service. */
  setInstanceProfile(role: Principal | undefined): void;
  addWebIdentityToken(identity: { provider: string; subject: string; audience: string }): string;
  addRedshiftCluster(cluster: ClusterOptions): Cluster;
  addServerlessWorkgroup(workgroup: WorkgroupOptions): Workgroup;
  addServerlessEndpoint(endpoint: EndpointOptions): VpcEndpoint;
  /** A custom domain name of a cluster or of a workgroup. */
  addCustomDomain(name: string, of: { clusterId?: string; workgroup?: string; region?: string }): void;
  /** Keys of a user, or of a session of a role that lasts an hour. */
  accessKeyFor(principal: Principal): AwsKeys;
  /** Environment of a process that calls this double as the principal; without one it has no credentials. */
  env(principal?: Principal): Record<string, string>;
  /** How far the service's clock is ahead of the caller's. */
  setClockSkewMs(ms: number): void;
  /** The next calls of `service:Action` fail so, before anything is checked. */
  failNext(action: string, failure: Failure): void;
  checkPassword(question: PasswordQuestion): PasswordAnswer;
  /** Whether a cluster or workgroup takes connections: unknown and `available` ones do, a paused one does not. */
  isUp(of: { clusterId?: string | undefined; workgroup?: string | undefined }): boolean;
  /** @throws Error when there were faults: the test that caused them fails */
  stop(): Promise<void>;
}

const MAX_BODY = 1 << 20;

export async function startAwsDouble(options: AwsDoubleOptions = {}): Promise<AwsDouble> {
  const clock = options.now ?? Date.now;
  let skewMs = 0;
  const region = options.region ?? 'us-east-1';
  const accountId = options.accountId ?? '123456789012';
  const world: World = {
    accountId,
    region,
    now: () => clock() + skewMs,
    principals: new Map(),
    policies: new Map(),
    keys: new Map(),
    clusters: [],
    workgroups: [],
    endpoints: [],
    customDomains: [],
    grants: [],
    webIdentities: new Map(),
    pageSize: options.pageSize ?? 100,
    instanceProfile: undefined,
  };
  const calls: AwsCall[] = [];
  const faults: string[] = [];
  const failures: ({ action: string; left: number } & Failure)[] = [];
  const tokens = new Set<string>();

  const server = createServer(async (request, response) => {
    request.on('error', () => {});
    response.on('error', () => {});
    try {
      const body = await read(request);
      const reply = request.url?.startsWith('/latest/')
        ? metadata(request)
        : answer(world, arrived(request, body), { calls, faults, planned: takeFailure });
      response.writeHead(reply.status, { ...reply.headers, date: new Date(world.now()).toUTCString() }).end(reply.body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });

  function metadata(request: IncomingMessage): Reply {
    const path = request.url ?? '';
    const reply = answerMetadata(world, tokens, { method: request.method ?? '', path, headers: request.headers });
    calls.push({
      action: `imds:${path}`,
      caller: undefined,
      region,
      params: {},
      status: reply.status,
      code: undefined,
    });
    return reply;
  }

  function takeFailure(action: string): AwsFault | undefined {
    const found = failures.find((one) => one.action === action && one.left > 0);
    if (!found) return undefined;
    found.left--;
    return new AwsFault(found.code, found.message ?? 'planned by the test');
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

  const create = (kind: 'user' | 'role', name: string, { policies = [], ...rest }: RoleOptions): Principal => {
    const principal = addPrincipal(world, kind, name, rest);
    for (const [index, document] of policies.entries()) principal.inline.set(`policy-${index + 1}`, document);
    return principal;
  };
  const accessKeyFor = (principal: Principal): AwsKeys => {
    const session = principal.kind === 'role' ? { name: 'test-session', seconds: 3600 } : undefined;
    const { accessKeyId, secretAccessKey, sessionToken } = addKey(world, principal, session);
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  };
  const arn = (service: string, where: string, account: string, rest: string) =>
    `arn:${partitionOf(where)}:${service}:${where}:${account}:${rest}`;

  return {
    url,
    region,
    accountId,
    calls,
    faults,
    count: (action) => calls.filter((call) => call.action === action).length,
    addUser: (name, rest = {}) => create('user', name, rest),
    addRole: (name, rest = {}) => create('role', name, rest),
    attachPolicy: (principal, document, name = `policy-${principal.inline.size + 1}`) =>
      void principal.inline.set(name, document),
    setTrust(role, document) {
      role.trust = document;
    },
    setInstanceProfile(role) {
      world.instanceProfile = role?.name;
    },
    addWebIdentityToken(identity) {
      const token = `${randomId()}.${randomId()}.${randomId()}`;
      world.webIdentities.set(token, identity);
      return token;
    },
    addRedshiftCluster(cluster) {
      const where = cluster.region ?? region;
      const account = cluster.accountId ?? accountId;
      const made: Cluster = {
        region: where,
        accountId: account,
        endpoint: { address: `${cluster.id}.abc123.${where}.redshift.${partitionFacts(where).dnsSuffix}`, port: 5439 },
        tags: {},
        status: 'available',
        dbName: 'dev',
        masterUser: 'awsuser',
        vpcId: 'vpc-0a1b2c3d',
        ...cluster,
        namespaceArn: arn('redshift', where, account, `namespace:${randomUUID()}`),
        createdAt: new Date(world.now()),
      };
      world.clusters.push(made);
      return made;
    },
    addServerlessWorkgroup(workgroup) {
      const where = workgroup.region ?? region;
      const account = workgroup.accountId ?? accountId;
      const id = workgroup.id ?? randomUUID();
      const made: Workgroup = {
        id,
        namespace: `${workgroup.name}-ns`,
        region: where,
        accountId: account,
        endpoint: {
          address: `${workgroup.name}.${account}.${where}.redshift-serverless.${partitionFacts(where).dnsSuffix}`,
          port: 5439,
        },
        tags: {},
        status: 'AVAILABLE',
        vpcId: 'vpc-0a1b2c3d',
        ...workgroup,
        arn: arn('redshift-serverless', where, account, `workgroup/${id}`),
        createdAt: new Date(world.now()),
      };
      world.workgroups.push(made);
      return made;
    },
    addServerlessEndpoint(endpoint) {
      const where = endpoint.region ?? region;
      const made: VpcEndpoint = {
        region: where,
        status: 'ACTIVE',
        vpcId: 'vpc-0e1f2a3b',
        arn: arn('redshift-serverless', where, accountId, `managedvpcendpoint/${randomUUID()}`),
        ...endpoint,
      };
      world.endpoints.push(made);
      return made;
    },
    addCustomDomain(name, of) {
      world.customDomains.push({
        name,
        region: of.region ?? region,
        clusterId: of.clusterId,
        workgroup: of.workgroup,
      });
    },
    accessKeyFor,
    env(principal) {
      const keys = principal && accessKeyFor(principal);
      return {
        AWS_ENDPOINT_URL: url,
        AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
        AWS_REGION: region,
        AWS_DEFAULT_REGION: region,
        AWS_CONFIG_FILE: '/nonexistent',
        AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
        AWS_EC2_METADATA_DISABLED: world.instanceProfile === undefined ? 'true' : 'false',
        ...(keys ? { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey } : {}),
        ...(keys?.sessionToken ? { AWS_SESSION_TOKEN: keys.sessionToken } : {}),
      };
    },
    setClockSkewMs(ms) {
      skewMs = ms;
    },
    failNext(action, failure) {
      const [service = '', operation = ''] = action.split(':');
      if (statusOf(modelOf(service), operation, failure.code) === undefined) {
        throw new Error(`${action} does not answer with the error ${failure.code}`);
      }
      failures.push({ ...failure, action, left: failure.times ?? 1 });
    },
    checkPassword: (question) => checkPassword(world, question),
    isUp({ clusterId, workgroup }) {
      const found =
        world.clusters.find(({ id }) => id === clusterId) ?? world.workgroups.find(({ name }) => name === workgroup);
      return !/^(paused|creating|deleting)$/i.test(found?.status ?? '');
    },
    async stop() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      if (faults.length > 0) throw new Error(`AWS does not speak so:\n${faults.join('\n')}`);
    },
  };
}

function checkPassword(world: World, question: PasswordQuestion): PasswordAnswer {
  const { password, user, database } = question;
  const right = typeof password === 'string' ? (one: string) => one === password : password;
  const here = world.grants.filter(
    (one) => one.user === user && one.clusterId === question.clusterId && one.workgroup === question.workgroup,
  );
  const grant = here.find((one) => right(one.password));
  if (!grant) return { ok: false, why: here.length ? 'wrong password' : `no password was made for user ${user} here` };
  if (grant.expiresAtMs <= world.now()) return { ok: false, why: 'password expired' };
  if (grant.database !== undefined && grant.database !== database) {
    return { ok: false, why: `password was made for database ${grant.database}` };
  }
  return { ok: true, grant };
}

function arrived({ method = '', url = '/', headers }: IncomingMessage, body: Buffer): SignedRequest {
  return { method, target: url, headers, body };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY) throw new Error('request too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
