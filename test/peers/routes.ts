/** Every way from a PostgreSQL client to a database that leads through us, for the peers that are PostgreSQL clients. */
import { runTsh } from '../../src/tsh/main.js';
import { type AwsDirect, startAwsDirect } from '../support/aws-direct.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { holdTable } from '../support/held-table.js';
import { until } from '../support/until.js';

export interface PeerRoute {
  host: string;
  port: number;
  user: string;
  /** A statement that waits. */
  waits: string;
  /** Where the client brings TLS itself. */
  tls?: { ca: string; cert: string; key: string };
}

export const ROUTES = [
  'cluster, tsh proxy db --tunnel',
  'cluster, tsh proxy db',
  'cluster, straight to the Proxy',
  'AWS direct, tsh proxy db --tunnel',
] as const;

export interface PeerRoutes {
  of: Record<(typeof ROUTES)[number], PeerRoute>;
  stop(): Promise<void>;
}

const USER = 'analyst';

export async function startRoutes(): Promise<PeerRoutes> {
  const cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: [USER], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  const undo: (() => Promise<unknown>)[] = [() => cluster.stop()];
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const held = await holdTable(cluster.databases!.postgres);
    undo.push(() => held[Symbol.asyncDispose]());
    await cluster.login('alice', 'alice');
    const login = await cluster.tsh('alice', 'db', 'login', 'orders', `--db-user=${USER}`, '--db-name=dev');
    if (login.status !== 0) throw new Error(login.stderr);
    const tunnel = await cluster.tunnel('alice', 'orders');
    const plain = await clusterProxy(cluster);
    undo.push(plain.stop);
    const world = await startAwsDirect();
    undo.push(() => world.stop());
    const heldInAws = await holdTable(world.postgres);
    undo.push(() => heldInAws[Symbol.asyncDispose]());
    const aws = await awsTunnel(world);
    undo.push(aws.stop);
    const waits = held.sql;
    return {
      of: {
        'cluster, tsh proxy db --tunnel': { host: '127.0.0.1', port: tunnel.port, user: USER, waits },
        'cluster, tsh proxy db': { host: 'localhost', port: plain.port, user: USER, waits, tls: plain.tls },
        'cluster, straight to the Proxy': {
          host: 'localhost',
          port: Number(cluster.proxyAddr.split(':')[1]),
          user: USER,
          waits,
          tls: plain.tls,
        },
        'AWS direct, tsh proxy db --tunnel': { host: '127.0.0.1', port: aws.port, user: USER, waits: heldInAws.sql },
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function clusterProxy(cluster: TestCluster) {
  const started = cluster.startTsh('alice', 'proxy', 'db', 'orders');
  const text = await until('proxy db listens', async () =>
    /target database name/.test(started.env.out())
      ? started.env.out()
      : started.env.err()
        ? fail(started.env.err())
        : undefined,
  );
  const file = (name: string) => new RegExp(`${name}=(\\S+)`).exec(text)![1]!;
  const tls = { ca: file('ca_file'), cert: file('cert_file'), key: file('key_file') };
  return { port: portOf(text), tls, stop: () => started.stop() };
}

async function awsTunnel(world: AwsDirect) {
  await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`);
  const env = world.envOf({ input: '' });
  const ended = runTsh(['proxy', 'db', 'sales', '--tunnel', `--db-user=${USER}`, '--db-name=dev'], env);
  const text = await until('proxy db listens', async () =>
    /psql \S+\n/.test(env.out()) ? env.out() : env.err() ? fail(env.err()) : undefined,
  );
  const stop = async () => {
    env.interrupt('SIGTERM');
    await ended;
  };
  return { port: portOf(text), stop };
}

const portOf = (text: string) => Number(/127\.0\.0\.1:(\d+)/.exec(text)![1]);

function fail(text: string): never {
  throw new Error(text);
}
