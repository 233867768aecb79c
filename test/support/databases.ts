/**
 * The databases behind a test cluster or the demo: a real PostgreSQL server with TLS that takes client certificates of
 * the cluster, and on top of it a Redshift cluster `sales` and a Redshift Serverless workgroup `reports` with an AWS of
 * their own. Gives the `db` resources that `tctl create` takes.
 */
import type { Principal } from './aws/world.js';
import { type AwsDouble, startAwsDouble } from './aws-double.js';
import { createTestCa } from './ca.js';
import { type Postgres, startPostgres } from './postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from './redshift-double.js';

export interface DatabaseFiles {
  /** Server certificate for `localhost`, its key, and the authorities of client certificates. PEM. */
  cert: string;
  key: string;
  ca: string;
}

export interface Databases {
  postgres: Postgres;
  redshift: RedshiftDouble | undefined;
  /** Who signs Redshift's certificates, in place of Amazon. PEM. */
  redshiftCa: string | undefined;
  /** `db` resources. */
  resources: Record<string, unknown>[];
  stop(): Promise<void>;
}

/** AWS with everything that the agent needs to enter `sales` and `reports`, before these are there. */
export interface AgentAws {
  aws: AwsDouble;
  agent: Principal;
  /** Environment of the agent's process. */
  env: Record<string, string>;
}

export const ACCOUNT_ID = '123456789012';
/** Database users of the plain server and of `sales`; `analyst` may do everything, `reader` nothing of its own. */
export const DB_USERS = ['analyst', 'reader'];
/** IAM role that people become on `reports`. */
export const SERVERLESS_ROLE = 'reporting';

export async function startAgentAws(options: { now?: () => number } = {}): Promise<AgentAws> {
  const aws = await startAwsDouble(options);
  const roleArn = `arn:aws:iam::${ACCOUNT_ID}:role/${SERVERLESS_ROLE}`;
  const agent = aws.addUser('teleport-agent', {
    policies: [
      {
        Statement: [
          {
            Effect: 'Allow',
            Action: [
              'redshift:DescribeClusters',
              'redshift:GetClusterCredentials',
              'redshift-serverless:ListWorkgroups',
              'redshift-serverless:GetWorkgroup',
              'redshift-serverless:ListTagsForResource',
            ],
            Resource: '*',
          },
          { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: roleArn },
        ],
      },
    ],
  });
  aws.addRole(SERVERLESS_ROLE, {
    trust: { Statement: [{ Effect: 'Allow', Principal: { AWS: agent.arn }, Action: 'sts:AssumeRole' }] },
    policies: [{ Statement: [{ Effect: 'Allow', Action: 'redshift-serverless:GetCredentials', Resource: '*' }] }],
  });
  return { aws, agent, env: aws.env(agent) };
}

/** @param aws  with it the Redshift doubles start too */
export async function startDatabases(files: DatabaseFiles, { aws }: { aws?: AwsDouble } = {}): Promise<Databases> {
  const postgres = await startPostgres({
    tls: files,
    users: DB_USERS.map((name) => ({ name })),
    databases: [{ name: 'dev', owner: 'analyst' }],
  });
  const orders = databaseResource('orders', { env: 'dev' }, { uri: `localhost:${postgres.port}` });
  if (!aws) {
    return { postgres, redshift: undefined, redshiftCa: undefined, resources: [orders], stop: () => postgres.stop() };
  }
  try {
    const ca = createTestCa('Redshift CA');
    const tls = ca.issue('localhost');
    const sales = aws.addRedshiftCluster({ id: 'sales', tags: { team: 'sales' } });
    const reports = aws.addServerlessWorkgroup({ name: 'reports' });
    const redshift = await startRedshiftDouble({
      aws,
      postgres,
      clusters: [
        { id: 'sales', tls },
        { workgroup: 'reports', tls },
      ],
    });
    sales.endpoint = { address: 'localhost', port: redshift.ports.sales! };
    reports.endpoint = { address: 'localhost', port: redshift.ports.reports! };
    const redshiftResource = (name: string, kind: Record<string, unknown>) =>
      databaseResource(
        name,
        { env: 'prod' },
        {
          uri: `localhost:${redshift.ports[name]}`,
          tls: { ca_cert: ca.certPem },
          aws: { region: aws.region, account_id: aws.accountId, ...kind },
        },
      );
    const resources = [
      orders,
      redshiftResource('sales', { redshift: { cluster_id: 'sales' } }),
      redshiftResource('reports', { redshift_serverless: { workgroup_name: 'reports' } }),
    ];
    const stop = async () => {
      await redshift.stop();
      await postgres.stop();
    };
    return { postgres, redshift, redshiftCa: ca.certPem, resources, stop };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

function databaseResource(name: string, labels: Record<string, string>, spec: Record<string, unknown>) {
  return { kind: 'db', version: 'v3', metadata: { name, labels }, spec: { protocol: 'postgres', ...spec } };
}

/** A role for databases, on all of them unless `allow` says otherwise. */
export function roleResource(name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}) {
  const all = { db_labels: { '*': '*' }, ...allow };
  const hasOptions = Object.keys(options).length > 0;
  return { kind: 'role', version: 'v7', metadata: { name }, spec: { allow: all, ...(hasOptions ? { options } : {}) } };
}
