/**
 * Redshift in the measured cluster: the doubles of AWS and of one Redshift cluster stand in this process, and the
 * `teleport` that is measured enters it. What counts is how often AWS is asked.
 */
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';
import type { Postgres } from '../support/postgres.js';
import { startRedshiftDouble } from '../support/redshift-double.js';
import { client as connectTo, type Target } from './measure.js';

export interface BenchAws {
  aws: AwsDouble;
  /** Environment of an agent that AWS knows. */
  vars: Record<string, string>;
  /** The `sales` cluster, and its db resource. */
  startRedshift(postgres: Postgres): Promise<{ database: object; stop: () => Promise<void> }>;
}

export async function startBenchAws(): Promise<BenchAws> {
  const aws = await startAwsDouble();
  const policies = [{ Statement: { Effect: 'Allow' as const, Action: 'redshift:*', Resource: '*' } }];
  const agent = aws.addUser('agent', { policies });
  aws.addRedshiftCluster({ id: 'sales' });
  return {
    aws,
    vars: aws.env(agent),
    async startRedshift(postgres) {
      const ca = createTestCa('Redshift');
      const clusters = [{ id: 'sales', tls: ca.issue('localhost') }];
      const redshift = await startRedshiftDouble({ aws, postgres, clusters });
      const database = {
        kind: 'db',
        version: 'v3',
        metadata: { name: 'sales', labels: { env: 'bench' } },
        spec: {
          protocol: 'postgres',
          uri: `localhost:${redshift.port}`,
          tls: { ca_cert: ca.certPem },
          aws: { region: aws.region, account_id: aws.accountId, redshift: { cluster_id: 'sales' } },
        },
      };
      return { database, stop: redshift.stop };
    },
  };
}

/** How often AWS is asked for a password while `count` connections come and go, ten at a time, and for one cancel. */
export async function awsCalls(
  { aws, postgres }: { aws: AwsDouble; postgres: Postgres },
  tunnel: Target,
  count: number,
): Promise<{ connections: number; cancel: number }> {
  const connect = () => connectTo(tunnel);
  const before = aws.calls.length;
  for (let left = count; left > 0; left -= 10) {
    const clients = await Promise.all(Array.from({ length: Math.min(10, left) }, connect));
    await Promise.all(clients.map((client) => client.end()));
  }
  const between = aws.calls.length;
  const client = await connect();
  await using held = await holdTable(postgres);
  const canceled = client.query(held.sql).then(
    () => false,
    (error: { code?: string }) => error.code === '57014',
  );
  // The statement must have begun: a cancel of an idle session does nothing.
  await held.awaited();
  await cancelQuery(client);
  if (!(await canceled)) throw new Error('the statement was not canceled');
  await client.end();
  return { connections: between - before, cancel: aws.calls.length - between };
}
