/** The measurements of `npm run bench`: milliseconds, MB/s and KiB; every pair of ways is measured in turns. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { dialTcp, dialTls } from '../../src/net/dial.js';
import { login, requestTls } from '../../src/pg/frontend.js';
import { ended } from './processes.js';

/** Where a client connects. With an authority it speaks TLS and verifies, else it does not. */
export interface Target {
  host: string;
  port: number;
  user: string;
  database: string;
  password?: string;
  /** PEM of the authority of the server's certificate. */
  ca?: string;
  /** The same as a file, for psql. */
  caFile?: string;
}

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

export async function client({ host, port, user, database, password, ca }: Target): Promise<pg.Client> {
  const one = new pg.Client({ host, port, user, database, password: password ?? '', ...(ca ? { ssl: { ca } } : {}) });
  one.on('error', () => {});
  await one.connect();
  return one;
}

/** Connect, one query, its row. */
export async function firstRow(target: Target): Promise<void> {
  const one = await client(target);
  await one.query('select 1');
  await one.end();
}

/** The same `count` times at once. */
export async function firstRows(target: Target, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => firstRow(target)));
}

/** Round trips of `select 1` on open connections, in turns of 50. @returns medians in ms, by name */
export async function roundTrips<Name extends string>(
  targets: Record<Name, Target>,
  count: number,
): Promise<Record<Name, number>> {
  const names = Object.keys(targets) as Name[];
  const ways = await Promise.all(
    names.map(async (name) => ({ name, one: await client(targets[name]), times: [] as number[] })),
  );
  for (let left = count + 200; left > 0; left -= 50) {
    for (const { one, times } of ways) {
      for (let i = 0; i < 50; i++) {
        const start = performance.now();
        await one.query('select 1');
        if (left <= count) times.push(performance.now() - start);
      }
    }
  }
  await Promise.all(ways.map(({ one }) => one.end()));
  return Object.fromEntries(ways.map(({ name, times }) => [name, median(times)])) as Record<Name, number>;
}

/** COPY through every target in turns. @returns medians in MB/s, by name */
export async function copyRates<Name extends string>(
  targets: Record<Name, Target>,
  { bytes, rounds, psql }: { bytes: number; rounds: number; psql: string | undefined },
): Promise<Record<Name, number>> {
  const names = Object.keys(targets) as Name[];
  const rates = names.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [i, name] of names.entries()) rates[i]!.push(await copyRate(targets[name], bytes, psql));
  }
  return Object.fromEntries(names.map((name, i) => [name, median(rates[i]!)])) as Record<Name, number>;
}

/** COPY to the client, read and thrown away by psql where there is one, by this process elsewhere. @returns MB/s */
async function copyRate(target: Target, bytes: number, psql: string | undefined): Promise<number> {
  const rows = Math.round(bytes / ROW_BYTES);
  const sql = `copy (select repeat('x', ${ROW_BYTES - 1}) from generate_series(1, ${rows})) to stdout`;
  const start = performance.now();
  if (psql) {
    await ended(psql, ['-qX', '-d', psqlUri(target), '-c', sql], {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      PGPASSWORD: target.password ?? '',
    });
  } else {
    const stream = await loggedIn(target);
    await drained(stream, sql);
    stream.destroy();
  }
  return (rows * ROW_BYTES) / MEGABYTE / ((performance.now() - start) / 1000);
}

export function psqlUri({ host, port, user, database, caFile }: Target): string {
  const tls = caFile ? `sslmode=verify-full sslrootcert=${caFile}` : 'sslmode=disable';
  return `host=${host} port=${port} user=${user} dbname=${database} ${tls}`;
}

async function loggedIn({ host, port, user, database, password, ca }: Target): Promise<Duplex> {
  let stream: Duplex = await dialTcp({ host, port });
  if (ca) {
    await requestTls(stream);
    stream = await dialTls({ host, port, socket: stream, ca: [ca] });
  }
  await login(stream, { user, database, password: () => password ?? '' });
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
export async function idleMemory(
  target: Target,
  pids: Record<string, number>,
  count: number,
): Promise<Record<string, number>> {
  // What buffers and code a first crowd brings in stays; the second one is measured.
  await crowd(target, Math.min(count, 50), async () => {});
  const names = Object.entries(pids);
  await quiet();
  const before = names.map(([, pid]) => residentKib(pid));
  let after: number[] = [];
  await crowd(target, count, async () => {
    await quiet();
    after = names.map(([, pid]) => residentKib(pid));
  });
  return Object.fromEntries(names.map(([name], i) => [name, (after[i]! - before[i]!) / count]));
}

async function crowd(target: Target, count: number, work: () => Promise<void>): Promise<void> {
  const clients: pg.Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(10, count - clients.length) }, () => client(target));
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
