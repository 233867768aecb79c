import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import pg from 'pg';
import { type Postgres, startPostgres } from './postgres.js';

let server: Postgres;
beforeAll(async () => {
  server = await startPostgres({ users: [{ name: 'alice', password: 'right' }], databases: ['sales'] });
});
afterAll(() => server.stop());

async function login(password: string) {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'alice', password, database: 'sales' });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query('select current_user as user, current_database() as db')).rows[0];
  } finally {
    await client.end();
  }
}

test('a user logs in with the right password and not with a wrong one', async () => {
  expect(await login('right')).toEqual({ user: 'alice', db: 'sales' });
  await expect(login('wrong')).rejects.toMatchObject({ code: '28P01' });
});

test('it is UTF8 with C locale, and SCRAM keeps the passwords', async () => {
  const rows = await server.query(
    "select rolpassword like 'SCRAM-SHA-256$%' as scram from pg_authid where rolname = $1",
    {
      values: ['alice'],
    },
  );
  expect(rows).toEqual([{ scram: true }]);
  expect(await server.query('show server_encoding')).toEqual([{ server_encoding: 'UTF8' }]);
});

test('after stop nothing listens and the folder is gone', async () => {
  const other = await startPostgres();
  const home = dirname(other.socketDir);
  expect(existsSync(home)).toBe(true);
  await other.stop();
  await other.stop();
  expect(existsSync(home)).toBe(false);
  const refused = await new Promise((resolve) => {
    const socket = connect(other.port, other.host);
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('connect', () => resolve('connected'));
  });
  expect(refused).toBe('ECONNREFUSED');
});
