/**
 * A table that somebody has locked: whoever reads it waits, as long as a test needs and at no cost. It stands for a long
 * statement where there is no `pg_sleep`, as on Redshift.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { Postgres } from './postgres.js';
import { until } from './until.js';

export interface HeldTable {
  /** The statement that waits. */
  sql: string;
  /** How many wait. */
  waiting(): Promise<number>;
  /** Resolves when somebody waits. */
  awaited(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function holdTable(postgres: Postgres, database = 'dev'): Promise<HeldTable> {
  const client = new pg.Client({
    host: postgres.socketDir,
    port: postgres.port,
    user: postgres.superuser.user,
    database,
  });
  client.on('error', () => {});
  await client.connect();
  const name = `held_${randomBytes(4).toString('hex')}`;
  await client.query(`create table public.${name} (); grant select on public.${name} to public`);
  await client.query(`begin; lock table public.${name}`);
  const waiting = async () => {
    const sql = `select 1 from pg_locks where relation = 'public.${name}'::regclass and not granted`;
    return (await client.query(sql)).rows.length;
  };
  return {
    sql: `select * from public.${name}`,
    waiting,
    awaited: () => until('the statement waits', async () => (await waiting()) > 0 || undefined).then(() => {}),
    async [Symbol.asyncDispose]() {
      await client.query(`drop table public.${name}; commit`);
      await client.end();
    },
  };
}
