/**
 * A stand-in for Redshift clusters and workgroups: a TLS front on a real PostgreSQL server. It lets in only who brings an
 * unexpired password that the AWS double made for this user, database and cluster, knows Redshift's start-up parameters,
 * says version 8.0.2, and has just enough of Redshift's catalogue. After the login PostgreSQL answers, and only what
 * Amazon's documentation has (`redshift/documented.ts`). A cluster that the AWS double calls paused takes no connections.
 */
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Duplex, pipeline } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { Grant } from './aws/world.js';
import type { AwsDouble } from './aws-double.js';
import { type Postgres, quoteIdent } from './postgres.js';
import { catalogueSql } from './redshift/catalogue.js';
import { dialectStream, type Refusal } from './redshift/dialect.js';
import {
  enterTrusted,
  errorResponse,
  md5Answer,
  openClient,
  passwordRequest,
  Refused,
  readPassword,
  type Startup,
  welcome,
} from './redshift/wire.js';

export interface RedshiftClusterOptions {
  /** Cluster id or workgroup name: one of the two, as in the AWS double. */
  id?: string;
  workgroup?: string;
  /** PEM. */
  tls: { cert: string; key: string };
  /** Made where missing. Default `dev`. */
  databases?: string[];
  /** Default: a free one. */
  port?: number;
  /** How the password is asked for. Default `cleartext`. */
  passwordMethod?: 'cleartext' | 'md5';
}

export interface RedshiftLogin {
  cluster: string;
  /** As the client sent them. */
  parameters: Record<string, string>;
  outcome: 'ok' | 'refused';
  /** Why not. */
  why: string | undefined;
  isTls: boolean;
  serverName: string | undefined;
}

export interface RedshiftSession {
  cluster: string;
  /** As logged in, with prefix. */
  user: string;
  database: string;
  pid: number;
}

export type RedshiftFailure =
  /** The connection is reset at once. */
  | { kind: 'refuse' }
  /** Nothing is ever answered. */
  | { kind: 'silent' }
  /** An ErrorResponse after the right password. */
  | { kind: 'error'; sqlState: string; message: string }
  /** The connection breaks after the right password. */
  | { kind: 'drop' }
  /** Another certificate. */
  | { kind: 'certificate'; tls: { cert: string; key: string } };

export interface RedshiftDouble {
  readonly host: string;
  /** Of the first cluster. */
  readonly port: number;
  /** By cluster id or workgroup name. */
  readonly ports: Record<string, number>;
  readonly logins: RedshiftLogin[];
  /** Statements that Amazon's documentation does not have, each answered by a syntax error. */
  readonly refusals: Refusal[];
  /** How many cancel requests were passed on. */
  cancels(): number;
  sessions(): RedshiftSession[];
  /** The next connections (default 1) fail so. */
  failNext(failure: RedshiftFailure, times?: number): void;
  /** Breaks every open connection. */
  dropSessions(): void;
  stop(): Promise<void>;
}

export interface RedshiftDoubleOptions {
  aws: AwsDouble;
  postgres: Postgres;
  clusters: RedshiftClusterOptions[];
}

/** Start-up parameters of Amazon's drivers that PostgreSQL does not know. */
const DRIVER_PARAMETERS = new Set([
  'driver_version',
  'driver_discovery_version',
  'client_protocol_version',
  'os_version',
  'plugin_name',
  'idp_type',
  'token_type',
  'provider_name',
]);

export async function startRedshiftDouble(options: RedshiftDoubleOptions): Promise<RedshiftDouble> {
  const { aws, postgres } = options;
  const logins: RedshiftLogin[] = [];
  const refusals: Refusal[] = [];
  const sessions = new Set<RedshiftSession>();
  const sockets = new Set<Socket>();
  const failures: RedshiftFailure[] = [];
  const servers: Server[] = [];
  const ports: Record<string, number> = {};
  let cancels = 0;

  await createDatabases(postgres, [...new Set(options.clusters.flatMap((one) => one.databases ?? ['dev']))]);

  async function serve(cluster: RedshiftClusterOptions, socket: Socket): Promise<void> {
    const failure = failures.shift();
    const isUp = aws.isUp({ clusterId: cluster.id, workgroup: cluster.workgroup });
    if (failure?.kind === 'refuse' || !isUp) return void socket.resetAndDestroy();
    if (failure?.kind === 'silent') return void socket.resume();
    const tls = failure?.kind === 'certificate' ? failure.tls : cluster.tls;
    let serverName: string | undefined;
    const upgrade = async () => {
      const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
      secure.on('error', () => socket.destroy());
      await new Promise<void>((resolve, reject) => {
        secure.once('secure', resolve);
        secure.once('close', () => reject(new Error('TLS handshake failed')));
      });
      serverName = (secure as unknown as { servername?: string | false }).servername || undefined;
      return secure as Duplex;
    };
    const { first, duplex, isTls } = await openClient(socket, upgrade);
    if (first.kind === 'cancel') {
      cancels++;
      const back = backend(postgres);
      back.once('close', () => duplex.destroy());
      back.end(first.packet);
      back.resume();
      return;
    }
    const entry: RedshiftLogin = {
      cluster: nameOf(cluster),
      parameters: Object.fromEntries(first.parameters),
      outcome: 'ok',
      why: undefined,
      isTls,
      serverName,
    };
    logins.push(entry);
    const refuse = (sqlState: string, text: string, why = text) => {
      entry.outcome = 'refused';
      entry.why = why;
      duplex.end(errorResponse('FATAL', sqlState, text));
    };
    const { user, database } = who(first);
    if (!isTls) return refuse('28000', `no pg_hba.conf entry for user "${user}", database "${database}", SSL off`);
    const password = await askPassword(duplex, user, cluster.passwordMethod ?? 'cleartext');
    const { id: clusterId, workgroup } = cluster;
    const answer = aws.checkPassword({ clusterId, workgroup, user, password, database });
    if (!answer.ok) return refuse('28000', `password authentication failed for user "${user}"`, answer.why);
    if (failure?.kind === 'error') return refuse(failure.sqlState, failure.message);
    if (failure?.kind === 'drop') return void socket.destroy();

    const entered = await enter(postgres, answer.grant, first, database).catch((error: unknown) => error as Error);
    if (entered instanceof Error) {
      entry.outcome = 'refused';
      entry.why = entered.message;
      duplex.end(entered instanceof Refused ? entered.packet : errorResponse('FATAL', 'XX000', entered.message));
      return;
    }
    const { back, hello } = entered;
    const session = { cluster: nameOf(cluster), user, database, pid: hello.key.readInt32BE(0) };
    sessions.add(session);
    const leave = () => {
      sessions.delete(session);
      duplex.destroy();
      back.destroy();
    };
    // Two pipelines and ours: more than the ten listeners that Node finds normal.
    duplex.setMaxListeners(20);
    duplex.once('close', leave);
    back.once('close', leave);
    hello.parameters.set('server_version', '8.0.2');
    duplex.write(welcome(hello, first));
    pipeline(back, duplex, leave);
    pipeline(
      duplex,
      dialectStream((refusal) => refusals.push(refusal)),
      back,
      leave,
    );
  }

  for (const cluster of options.clusters) {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => sockets.delete(socket));
      serve(cluster, socket).catch(() => socket.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(cluster.port ?? 0, '127.0.0.1', resolve);
    });
    servers.push(server);
    ports[nameOf(cluster)] = (server.address() as { port: number }).port;
  }

  return {
    host: '127.0.0.1',
    port: Object.values(ports)[0] ?? 0,
    ports,
    logins,
    refusals,
    cancels: () => cancels,
    sessions: () => [...sessions],
    failNext: (failure, times = 1) => void failures.push(...Array<RedshiftFailure>(times).fill(failure)),
    dropSessions() {
      for (const socket of sockets) socket.destroy();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

async function createDatabases(postgres: Postgres, databases: string[]): Promise<void> {
  for (const database of databases) {
    const known = await postgres.query('SELECT 1 FROM pg_database WHERE datname = $1', { values: [database] });
    if (known.length === 0) await postgres.query(`CREATE DATABASE ${quoteIdent(database)}`);
    const ready = await postgres.query("SELECT 1 FROM pg_namespace WHERE nspname = 'redshift_catalog'", { database });
    if (ready.length === 0) await postgres.query(catalogueSql(database), { database });
  }
}

/** A connection to PostgreSQL that has logged in as the grant's user; the user is made if the grant says so. */
async function enter(postgres: Postgres, grant: Grant, startup: Startup, database: string) {
  const known = [...startup.parameters].filter(
    ([name]) => name !== 'user' && name !== 'database' && !name.startsWith('_pq_.') && !DRIVER_PARAMETERS.has(name),
  );
  const parameters = new Map([['user', grant.databaseUser], ['database', database], ...known]);
  const attempt = async () => {
    const back = backend(postgres);
    try {
      return { back, hello: await enterTrusted(back, parameters) };
    } catch (error) {
      back.destroy();
      throw error;
    }
  };
  if (grant.groups.length > 0) await createUser(postgres, grant);
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof Refused && error.sqlState === '28000') || !grant.autoCreate) throw error;
    await createUser(postgres, grant);
    return attempt();
  }
}

async function createUser(postgres: Postgres, grant: Grant): Promise<void> {
  const user = quoteIdent(grant.databaseUser);
  // Two connections may make the same user at once: the second finds it made.
  const exists = 'WHEN duplicate_object OR unique_violation THEN NULL';
  if (grant.autoCreate) await postgres.query(`DO $do$ BEGIN CREATE ROLE ${user} LOGIN; EXCEPTION ${exists}; END $do$`);
  for (const group of grant.groups) await postgres.query(`GRANT ${quoteIdent(group)} TO ${user}`);
}

function backend(postgres: Postgres): Socket {
  const socket = connect(join(postgres.socketDir, `.s.PGSQL.${postgres.port}`));
  socket.on('error', () => socket.destroy());
  return socket;
}

/** Asks for a password and gives what was sent, as text or as a test of the right one. */
async function askPassword(duplex: Duplex, user: string, method: 'cleartext' | 'md5') {
  if (method === 'cleartext') {
    duplex.write(passwordRequest());
    return readPassword(duplex);
  }
  const salt = randomBytes(4);
  duplex.write(passwordRequest(salt));
  const answer = await readPassword(duplex);
  return (right: string) => md5Answer(user, right, salt) === answer;
}

function who({ parameters }: Startup): { user: string; database: string } {
  const user = parameters.get('user') ?? '';
  return { user, database: parameters.get('database') ?? user };
}

const nameOf = (cluster: RedshiftClusterOptions): string => cluster.id ?? cluster.workgroup ?? '';
