/**
 * The aligned form against psql itself, where there is one; the server is real.
 * Tests: src/localproxy/psql/error-text.ts
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { cellWidth } from '../../../src/cli/cells.js';
import { alignedText, NUMBER_TYPES } from '../../../src/localproxy/psql/aligned.js';
import { errorText } from '../../../src/localproxy/psql/error-text.js';
import { findPsql, runPsql } from '../../../src/localproxy/psql/run.js';
import { type Postgres, startPostgres } from '../../support/postgres.js';

let server: Postgres;
let psql: string | undefined;
beforeAll(async () => {
  psql = await findPsql(process.env.PATH);
  server = await startPostgres();
});
afterAll(() => server?.stop());

async function ours(sql: string): Promise<string> {
  const client = new pg.Client({ host: server.socketDir, port: server.port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    // As text, whatever the type.
    const types = { getTypeParser: () => (text: unknown) => text } as unknown as pg.CustomTypesConfig;
    const result = await client.query({ text: sql, rowMode: 'array', types });
    const columns = result.fields.map(({ name, dataTypeID }) => ({ name, isNumber: NUMBER_TYPES.has(dataTypeID) }));
    return alignedText({ columns, rows: result.rows as unknown as (string | null)[][], commandTag: result.command });
  } finally {
    await client.end();
  }
}

/** What psql makes of a statement. */
async function run(sql: string) {
  return await runPsql({
    file: psql!,
    args: ['-X', '-c', sql],
    env: {
      PATH: process.env.PATH,
      PGHOST: server.socketDir,
      PGPORT: String(server.port),
      PGUSER: 'postgres',
      PGCLIENTENCODING: 'UTF8',
      LC_ALL: 'C.UTF-8',
    },
    stdio: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  });
}

const STATEMENTS = [
  'select 42 as answer',
  "select 'a' as long_column_name, 1 as n, null as nothing",
  "select * from (values ('one', 1.5), ('three', -20)) t(word, number)",
  'select 1 as empty where false',
  "select E'two\\nlines' as text, 7 as n, E'x\\ny\\nz' as last",
  "select '日本語' as 名前, 'plain' as e union all select 'a', '한글'",
  "select 'größe' as maß, true as yes, now() is null as no",
  "select 'a' as a, 'b' as b from generate_series(1, 2)",
  'create temp table t (a int)',
];

const MISTAKES = [
  'select nope',
  "select 1,\n\t'größe' || nope\nfrom pg_class",
  'select 1/0',
  'create table t (a int unique); insert into t values (1), (1)',
  'select lenght(1)',
  "select '日本語', '한글' || nope",
];

describe('the text of an error', () => {
  test.each(MISTAKES)('of "%s" is what psql prints', async (sql) => {
    if (psql === undefined) return;
    const client = new pg.Client({ host: server.socketDir, port: server.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    const error = (await client.query(sql).catch((thrown: unknown) => thrown)) as pg.DatabaseError;
    await client.end();
    const { severity = '', message, detail, hint, position } = error;
    const ours = errorText({ severity, message, detail, hint, position: Number(position ?? 0) }, sql);
    expect(ours).toBe((await run(sql)).stderr);
  });
});

test('U9 the caret stands under the place on the terminal, where psql counts a mark over a letter as one more', () => {
  const sql = "select 'e\u0301', '日本' || nope";
  const [, line, caret] = errorText({ severity: 'ERROR', message: 'no', position: sql.indexOf('nope') + 1 }, sql).split(
    '\n',
  );
  expect(line).toBe(`LINE 1: ${sql}`);
  expect(cellWidth(caret!.slice(0, -1))).toBe(cellWidth(line!.slice(0, line!.indexOf('nope'))));
});

describe('aligned text', () => {
  test.each(STATEMENTS)('of "%s" is what psql prints', async (sql) => {
    if (psql === undefined) return;
    const { stdout } = await run(sql);
    const text = await ours(sql);
    expect(sql.startsWith('create') ? text.replace('CREATE', 'CREATE TABLE') : text).toBe(stdout);
  });
});
