/** The measurements of `npm run bench`: milliseconds, MB/s and KiB; every pair of ways is measured in turns. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { dialTcp, dialTls } from '../../src/net/dial.js';
import { login, requestTls } from '../../src/pg/frontend.js';
import type { BenchCluster, Direct } from './cluster.js';

export type Way = 'direct' | 'tunnel';
export const WAYS: readonly Way[] = ['direct', 'tunnel'];

const MEGABYTE = 1_000_000;
/** Length of the row that `copyRate` asks for, its newline included. */
const ROW_BYTES = 100;
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Run each one in turn, `rounds` times after one that does not count. @returns medians in ms, by name */
export async function inTurns<Name extends string>(
  rounds: number,
  works: Record<Name, () => Promise<unknown>>,
): Promise<Record<Name, number>> {
  const times = Object.fromEntries(Object.keys(works).map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = -1; round < rounds; round++) {
    for (const name of Object.keys(works) as Name[]) {
      const start = performance.now();
      await works[name]();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  return Object.fromEntries(Object.entries<number[]>(times).map(([name, all]) => [name, median(all)])) as Record<
    Name,
    number
  >;
}

/** A program from start to end, its output thrown away. */
export async function ended(file: string, args: string[], vars: Record<string, string>): Promise<void> {
  const child = spawn(file, args, { env: vars, stdio: 'ignore' });
  const status = await new Promise((done, failed) => {
    child.once('exit', done).once('error', failed);
  });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}`);
}

export async function client({ direct, tunnel }: BenchCluster, way: Way): Promise<pg.Client> {
  const one = new pg.Client(way === 'direct' ? { ...direct, ssl: { ca: direct.ca } } : tunnel);
  one.on('error', () => {});
  await one.connect();
  return one;
}

/** Connect, one query, its row. */
export async function firstRow(cluster: BenchCluster, way: Way): Promise<void> {
  const one = await client(cluster, way);
  await one.query('select 1');
  await one.end();
}

/** Round trips of `select 1` on open connections, in turns of 50. @returns medians in ms */
export async function roundTrips(cluster: BenchCluster, count: number): Promise<Record<Way, number>> {
  const clients = { direct: await client(cluster, 'direct'), tunnel: await client(cluster, 'tunnel') };
  const times: Record<Way, number[]> = { direct: [], tunnel: [] };
  for (let left = count + 200; left > 0; left -= 50) {
    for (const way of WAYS) {
      for (let i = 0; i < 50; i++) {
        const start = performance.now();
        await clients[way].query('select 1');
        if (left <= count) times[way].push(performance.now() - start);
      }
    }
  }
  await Promise.all(WAYS.map((way) => clients[way].end()));
  return { direct: median(times.direct), tunnel: median(times.tunnel) };
}

/** COPY to the client, read and thrown away by psql where there is one, by this process elsewhere. @returns MB/s */
export async function copyRate(cluster: BenchCluster, way: Way, bytes: number, psql?: string): Promise<number> {
  const rows = Math.round(bytes / ROW_BYTES);
  const sql = `copy (select repeat('x', ${ROW_BYTES - 1}) from generate_series(1, ${rows})) to stdout`;
  const start = performance.now();
  if (psql) {
    const { direct, tunnel } = cluster;
    const options =
      way === 'direct' ? directOptions(direct) : `host=${tunnel.host} port=${tunnel.port} sslmode=disable`;
    const { user, database, password } = way === 'direct' ? direct : { ...tunnel, password: '' };
    await ended(psql, ['-qX', '-d', `${options} user=${user} dbname=${database}`, '-c', sql], {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      PGPASSWORD: password,
    });
  } else {
    const stream = await loggedIn(cluster, way);
    await drained(stream, sql);
    stream.destroy();
  }
  return (rows * ROW_BYTES) / MEGABYTE / ((performance.now() - start) / 1000);
}

function directOptions({ host, port, caFile }: Direct): string {
  return `host=${host} port=${port} sslmode=verify-full sslrootcert=${caFile}`;
}

async function loggedIn({ direct, tunnel }: BenchCluster, way: Way): Promise<Duplex> {
  const { host, port, user, database } = way === 'direct' ? direct : tunnel;
  let stream: Duplex = await dialTcp({ host, port });
  if (way === 'direct') {
    await requestTls(stream);
    stream = await dialTls({ host, port, socket: stream, ca: [direct.ca] });
  }
  await login(stream, { user, database, password: () => direct.password });
  return stream;
}

/** Send a query and read up to ReadyForQuery. */
async function drained(stream: Duplex, sql: string): Promise<void> {
  const text = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5, 'Q');
  head.writeInt32BE(text.length + 4, 1);
  await new Promise<void>((done, failed) => {
    let tail: Buffer = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      tail = chunk.length >= 6 ? chunk.subarray(-6) : Buffer.concat([tail, chunk]).subarray(-6);
      if (tail.equals(READY_FOR_QUERY)) done();
    });
    stream.once('error', failed).once('close', () => failed(new Error('the connection ended')));
    stream.write(Buffer.concat([head, text]));
  });
}

/** Growth of resident memory while `count` more connections are open and idle, in KiB a connection, by process. */
export async function idleMemory(cluster: BenchCluster, count: number): Promise<Record<string, number>> {
  // What buffers and code a first crowd brings in stays; the second one is measured.
  await crowd(cluster, Math.min(count, 50), async () => {});
  const names = Object.entries(cluster.pids);
  await quiet();
  const before = names.map(([, pid]) => residentKib(pid));
  let after: number[] = [];
  await crowd(cluster, count, async () => {
    await quiet();
    after = names.map(([, pid]) => residentKib(pid));
  });
  return Object.fromEntries(names.map(([name], i) => [name, (after[i]! - before[i]!) / count]));
}

async function crowd(cluster: BenchCluster, count: number, work: () => Promise<void>): Promise<void> {
  const clients: pg.Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(10, count - clients.length) }, () => client(cluster, 'tunnel'));
    clients.push(...(await Promise.all(batch)));
  }
  await work();
  await Promise.all(clients.map((one) => one.end()));
}

/** What was handed over is written and what was freed is collected, as far as a process does so by itself. */
function quiet(): Promise<void> {
  return new Promise((done) => setTimeout(done, 3000));
}

/** Resident memory of a process, KiB. */
export function residentKib(pid: number): number {
  const file = `/proc/${pid}/status`;
  const text = existsSync(file)
    ? /^VmRSS:\s+(\d+)/m.exec(readFileSync(file, 'utf8'))![1]
    : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(text);
}
