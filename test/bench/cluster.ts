/**
 * What is measured: a whole cluster as processes of their own (the built programs), a real PostgreSQL server with TLS
 * behind it, a person who is logged in, and `tsh proxy db --tunnel`. The server is also open to direct connections over
 * TLS, with a password, so that both ways lead to the same tables.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTsh } from '../../src/tsh/main.js';
import type { AwsDouble } from '../support/aws-double.js';
import { roleResource } from '../support/databases.js';
import { memoryEnv } from '../support/env.js';
import { startPostgres } from '../support/postgres.js';
import { signUp } from '../support/sign-up.js';
import type { Target } from './measure.js';
import { programArgs, READY_MS, run, start } from './processes.js';
import { startBenchAws } from './redshift.js';

export interface BenchCluster {
  /** Environment of `tsh`, logged in. */
  vars: Record<string, string>;
  /** The server itself. */
  direct: Target;
  tunnel: Target;
  /** `tsh proxy db --tunnel` to a Redshift cluster, and the AWS that it belongs to. */
  redshift: { tunnel: Target; aws: AwsDouble };
  /** Processes on the way, by name. */
  pids: Record<'teleport' | 'tsh proxy db', number>;
  stop(): Promise<void>;
}

export const ON_ORDERS = ['--db-user=analyst', '--db-name=dev'];

const PASSWORD = 'correct horse battery';

export async function startBenchCluster(): Promise<BenchCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'bench-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true, maxRetries: 3 })];
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const home = join(dir, 'home');
    await mkdir(home, { mode: 0o700 });
    const vars: Record<string, string> = { PATH: process.env.PATH ?? '', HOME: home };
    const { aws, vars: awsVars, startRedshift } = await startBenchAws();
    undo.push(aws.stop);
    const configFile = join(dir, 'teleport.yaml');
    await writeFile(configFile, JSON.stringify(configOf(join(dir, 'data'))));
    const teleport = await start(
      process.execPath,
      programArgs('teleport', 'start', `--config=${configFile}`),
      { ...vars, ...awsVars },
      /Database Service is ready/,
    );
    undo.push(teleport.stop);
    const auth = addressIn(teleport.text(), 'Auth');
    const proxyAddr = `localhost:${addressIn(teleport.text(), 'Proxy').split(':')[1]}`;
    vars.SSL_CERT_FILE = join(dir, 'data', 'webproxy_cert.pem');
    const tctl = (...args: string[]) =>
      run(programArgs('tctl', `--config=${configFile}`, `--auth-server=${auth}`, ...args), vars, dir);

    await tctl('auth', 'sign', '--format=db', '--host=localhost', '--out=server', '--ttl=24h');
    const [cert, key, ca] = await Promise.all(
      ['crt', 'key', 'cas'].map((suffix) => readFile(join(dir, `server.${suffix}`), 'utf8')),
    );
    const caFile = join(dir, 'database-ca.pem');
    const databaseCa = await tctl('auth', 'export', '--type=db');
    await writeFile(caFile, databaseCa);
    const postgres = await startPostgres({
      tls: { cert: cert!, key: key!, ca: ca! },
      users: [{ name: 'analyst' }, { name: 'direct', password: PASSWORD }],
      databases: ['dev'],
      hba: ['hostssl all direct all scram-sha-256', 'hostssl all all all cert'],
      settings: { max_connections: '500' },
    });
    undo.push(() => postgres.stop());
    const database = {
      kind: 'db',
      version: 'v3',
      metadata: { name: 'orders', labels: { env: 'bench' } },
      spec: { protocol: 'postgres', uri: `localhost:${postgres.port}` },
    };
    await writeFile(join(dir, 'orders.json'), JSON.stringify(database));
    await writeFile(
      join(dir, 'role.json'),
      JSON.stringify(roleResource('bench', { db_users: ['analyst'], db_names: ['dev'] })),
    );
    const redshift = await startRedshift(postgres);
    undo.push(redshift.stop);
    await writeFile(join(dir, 'sales.json'), JSON.stringify(redshift.database));
    await tctl('create', 'orders.json');
    await tctl('create', 'sales.json');
    await tctl('create', 'role.json');
    const added = JSON.parse(await tctl('users', 'add', 'alice', '--roles=bench', '--format=json'));
    await signUp(added.spec.url, await readFile(vars.SSL_CERT_FILE, 'utf8'), {
      password: PASSWORD,
      withoutCode: true,
    });
    await login(vars, home, proxyAddr);
    await untilListed(vars);
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
      redshift: { tunnel: sales.address, aws },
      pids: { teleport: teleport.pid, 'tsh proxy db': tunnel.pid },
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

function configOf(dataDir: string) {
  return {
    version: 'v3',
    teleport: { nodename: 'localhost', data_dir: dataDir },
    auth_service: {
      enabled: 'yes',
      listen_addr: '127.0.0.1:0',
      cluster_name: 'bench.example.com',
      authentication: { type: 'local', second_factor: 'off' },
    },
    proxy_service: { enabled: 'yes', web_listen_addr: '127.0.0.1:0' },
    db_service: { enabled: 'yes', resources: [{ labels: { '*': '*' } }] },
  };
}

function addressIn(log: string, service: string): string {
  return new RegExp(`${service} Service is listening\\. addr:(\\S+)`).exec(log)![1]!;
}

/** Asks for a password, so it runs in this process with a terminal in memory; what it stores is on disk. */
async function login(vars: Record<string, string>, home: string, proxyAddr: string): Promise<void> {
  const env = memoryEnv({ vars, home, tty: { stdin: true } });
  env.type(`${PASSWORD}\r`);
  const status = await runTsh(['login', `--proxy=${proxyAddr}`, '--user=alice'], env);
  if (status !== 0) throw new Error(`tsh login: ${env.err()}`);
}

async function untilListed(vars: Record<string, string>): Promise<void> {
  const deadline = Date.now() + READY_MS;
  while (!(await run(programArgs('tsh', 'db', 'ls', '--format=json'), vars)).includes('"sales"')) {
    if (Date.now() > deadline) throw new Error('the database was not listed in time');
  }
}
