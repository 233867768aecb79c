/**
 * What is measured: a whole cluster as a process of its own, a real PostgreSQL server with TLS behind it, a person who is
 * logged in, and `tsh proxy db --tunnel`, a process too. The server is also open to direct connections over TLS, with a
 * password, so that both ways lead to the same tables.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AwsDouble } from '../support/aws-double.js';
import { roleResource, startTestCluster } from '../support/cluster.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import type { Target } from './measure.js';
import { programArgs, start } from './processes.js';
import { startBenchAws } from './redshift.js';

export interface BenchCluster {
  /** Environment of `tsh`, logged in. */
  vars: Record<string, string>;
  /** The server itself. */
  direct: Target;
  tunnel: Target;
  /** `tsh proxy db --tunnel` to a Redshift cluster, the AWS that it belongs to, and the server under it. */
  redshift: { tunnel: Target; aws: AwsDouble; postgres: Postgres };
  /** Processes on the way, by name. */
  pids: Record<'teleport' | 'tsh proxy db', number>;
  stop(): Promise<void>;
}

export const ON_ORDERS = ['--db-user=analyst', '--db-name=dev'];

const HOME = 'alice';
const PASSWORD = 'correct horse battery';

export async function startBenchCluster(): Promise<BenchCluster> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const { aws, vars: awsVars, startRedshift } = await startBenchAws();
    undo.push(aws.stop);
    const cluster = await startTestCluster({
      process: { vars: awsVars },
      roles: [roleResource('bench', { db_users: ['analyst'], db_names: ['dev'] })],
      users: [{ name: HOME, roles: ['bench'] }],
    });
    undo.push(() => cluster.stop());
    const { dir, webCaFile } = cluster;
    await cluster.tctlOk(
      'auth',
      'sign',
      '--format=db',
      '--host=localhost',
      `--out=${join(dir, 'server')}`,
      '--ttl=24h',
    );
    const [cert, key, ca] = await Promise.all(
      ['crt', 'key', 'cas'].map((suffix) => readFile(join(dir, `server.${suffix}`), 'utf8')),
    );
    const caFile = join(dir, 'database-ca.pem');
    const databaseCa = await cluster.tctlOk('auth', 'export', '--type=db');
    await writeFile(caFile, databaseCa);
    const postgres = await startPostgres({
      tls: { cert: cert!, key: key!, ca: ca! },
      users: [{ name: 'analyst' }, { name: 'direct', password: PASSWORD }],
      databases: ['dev'],
      hba: ['hostssl all direct all scram-sha-256', 'hostssl all all all cert'],
      settings: { max_connections: '500' },
    });
    undo.push(() => postgres.stop());
    const redshift = await startRedshift(postgres);
    undo.push(redshift.stop);
    const orders = {
      kind: 'db',
      version: 'v3',
      metadata: { name: 'orders', labels: { env: 'bench' } },
      spec: { protocol: 'postgres', uri: `localhost:${postgres.port}` },
    };
    await cluster.create(orders, redshift.database);
    await cluster.login(HOME, HOME);
    await cluster.untilListed(HOME, ['orders', 'sales']);
    const vars = { PATH: process.env.PATH ?? '', HOME: join(dir, HOME), SSL_CERT_FILE: webCaFile };
    const openTunnel = async (name: string) => {
      const args = programArgs('tsh', 'proxy', 'db', name, '--tunnel', ...ON_ORDERS);
      const opened = await start(process.execPath, args, vars, /\$ psql /);
      undo.push(opened.stop);
      const port = tunnelPort(opened.text());
      return { pid: opened.pid, address: { host: '127.0.0.1', port, user: 'analyst', database: 'dev' } };
    };
    const [tunnel, sales] = [await openTunnel('orders'), await openTunnel('sales')];
    return {
      vars,
      direct: {
        host: 'localhost',
        port: postgres.port,
        user: 'direct',
        password: PASSWORD,
        database: 'dev',
        ca: databaseCa,
        caFile,
      },
      tunnel: tunnel.address,
      redshift: { tunnel: sales.address, aws, postgres },
      pids: { teleport: cluster.teleport.pid!, 'tsh proxy db': tunnel.pid },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where `tsh proxy db --tunnel` says that it listens. */
export function tunnelPort(text: string): number {
  return Number(/127\.0\.0\.1:(\d+)/.exec(text)![1]);
}
