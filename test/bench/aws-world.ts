/**
 * AWS direct to be measured: the AWS double in this process, a real PostgreSQL server with TLS that plays the cluster
 * `orders` and takes its user without a password, the same server ten milliseconds away as `far`, the Redshift double on
 * top of it as `sales`, for each the built `tsh proxy db --tunnel`, and `stunnel` in client mode in front of the server.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { freePort } from '../support/free-port.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { startRedshiftDouble } from '../support/redshift-double.js';
import { tunnelPort } from './cluster.js';
import type { Target } from './measure.js';
import { onPath, programArgs, start, type Vars } from './processes.js';

export interface AwsWorld {
  aws: AwsDouble;
  /** The server under all of it. */
  postgres: Postgres;
  /** Environment of `tsh` and `aws`, in an empty home. */
  vars: Vars;
  /** The server itself, near and far. */
  direct: Target;
  directFar: Target;
  /** Undefined where there is no stunnel. */
  stunnel: Target | undefined;
  /** A new `tsh proxy db --tunnel`. */
  proxy(cluster: 'orders' | 'far' | 'sales'): Promise<Target>;
  stop(): Promise<void>;
}

/** There and back it is twice that. */
const ONE_WAY_MS = 5;
/** What AWS calls the database user `analyst`. */
const DATABASE_USER = 'IAM:analyst';

export async function startAwsWorld(): Promise<AwsWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'bench-aws-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true, maxRetries: 3 })];
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const home = join(dir, 'home');
    await mkdir(home, { mode: 0o700 });
    const ca = createTestCa('Amazon');
    const caFile = join(dir, 'ca.pem');
    await writeFile(caFile, ca.certPem);
    const tls = ca.issue('localhost');
    const postgres = await startPostgres({
      tls,
      users: [{ name: 'analyst' }, { name: DATABASE_USER }],
      databases: ['dev'],
      hba: [`hostssl all "${DATABASE_USER}" all trust`],
      settings: { max_connections: '300' },
    });
    undo.push(() => postgres.stop());
    const aws = await startAwsDouble();
    undo.push(() => aws.stop());
    const person = aws.addUser('alice', {
      policies: [{ Statement: [{ Effect: 'Allow', Action: ['redshift:*', 'redshift-serverless:*'], Resource: '*' }] }],
    });
    const redshift = await startRedshiftDouble({ aws, postgres, clusters: [{ id: 'sales', tls }] });
    undo.push(() => redshift.stop());
    const far = await startDistance(postgres.port);
    undo.push(far.stop);
    const ports = { orders: postgres.port, far: far.port, sales: redshift.port };
    for (const [id, port] of Object.entries(ports)) {
      aws.addRedshiftCluster({ id, endpoint: { address: 'localhost', port } });
    }
    const vars: Vars = { PATH: process.env.PATH ?? '', HOME: home, ...aws.env(person) };
    const direct: Target = {
      host: 'localhost',
      port: postgres.port,
      user: DATABASE_USER,
      database: 'dev',
      ca: ca.certPem,
      caFile,
    };
    const stunnel = await startStunnel(dir, direct);
    if (stunnel) undo.push(stunnel.stop);
    return {
      aws,
      postgres,
      vars,
      direct,
      directFar: { ...direct, port: far.port },
      stunnel: stunnel && { host: '127.0.0.1', port: stunnel.port, user: DATABASE_USER, database: 'dev' },
      async proxy(cluster) {
        const flags = ['--aws', `--ca-file=${caFile}`, '--tunnel', '--db-user=analyst', '--db-name=dev'];
        const args = programArgs('tsh', 'proxy', 'db', cluster, ...flags);
        const running = await start(process.execPath, args, vars, /\$ psql /);
        undo.push(running.stop);
        return { host: '127.0.0.1', port: tunnelPort(running.text()), user: 'analyst', database: 'dev' };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A way to a local port on which every byte takes its time. */
async function startDistance(port: number): Promise<{ port: number; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const there = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [[near, there] as const, [there, near] as const]) {
      sockets.add(from);
      from.on('data', (chunk) => setTimeout(() => to.write(chunk), ONE_WAY_MS));
      from.on('end', () => setTimeout(() => to.end(), ONE_WAY_MS));
      from.on('error', () => to.destroy()).on('close', () => sockets.delete(from));
    }
  });
  await new Promise<void>((done, failed) => void server.once('error', failed).listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as { port: number }).port,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** stunnel as people put it in front of psql: it asks PostgreSQL for TLS and verifies chain and name. */
async function startStunnel(dir: string, { port, caFile }: Target) {
  const program = onPath('stunnel', 'stunnel4');
  if (!program) return undefined;
  const own = await freePort();
  const config = join(dir, 'stunnel.conf');
  const lines = [
    'foreground = yes',
    'pid =',
    'debug = notice',
    '[postgres]',
    'client = yes',
    'protocol = pgsql',
    `accept = 127.0.0.1:${own}`,
    `connect = 127.0.0.1:${port}`,
    `CAfile = ${caFile}`,
    'verifyChain = yes',
    'checkHost = localhost',
    '',
  ];
  await writeFile(config, lines.join('\n'));
  const running = await start(program, [config], { PATH: process.env.PATH ?? '' }, /Configuration successful/);
  return { port: own, stop: running.stop };
}
