/** Which statements the Redshift double takes: those of Amazon's documentation, in the forms of their pages. */
import { translateSql } from './dialect.js';
import { DOCUMENTED, findUndocumented } from './documented.js';

/** The word at which a text leaves the documentation. */
const nearOf = (sql: string) => {
  const found = findUndocumented(sql);
  return found && (found.near?.text ?? 'the end');
};

test.each([
  'select 1',
  'SELECT 1; -- and then\n select 2;',
  ';',
  "select ';', 'do', $$ savepoint a; $$, \"do\" /* do /* nested */ savepoint */ from t",
  'with a as (select 1), b (x) as (select 2) select * from a, b',
  '(select 1) union all (select 2)',
  'with a as (select 1) update t set x = 1 from a',
  'begin; commit; start transaction isolation level serializable read only; end; abort work; rollback transaction',
  'insert into t values (1), (2)',
  'insert into public."t" (a, b) select 1, 2',
  'delete from t where a = 1',
  'delete t',
  "copy t from 's3://bucket/key' iam_role default format as parquet",
  "unload ('select 1') to 's3://bucket/key' iam_role default",
  'create temp table t (a int) distkey (a) compound sortkey (a)',
  'create table t as select 1 as a',
  'create table if not exists t (like other including defaults) diststyle all',
  'create user "dave" with password disable connection limit unlimited createuser',
  "create user dave password 'Abcdefg1' valid until '2030-01-01'",
  'alter user dave connection limit 0',
  'alter user dave set search_path to a, b',
  'create role analysts',
  'grant role analysts to dave with admin option',
  'grant role a, role b to role c',
  'grant select, insert on all tables in schema public to group readers',
  'revoke role analysts from dave',
  'create or replace procedure p(a varchar, b inout int) as $$ begin null; end $$ language plpgsql security definer',
  "call p('a', 1)",
  'prepare a (int) as select $1',
  'execute a (1)',
  'deallocate a',
  'explain verbose insert into t values (1)',
  'declare c cursor for select 1',
  'fetch forward 10 from c',
  'set local search_path = public',
  "set session authorization 'dave'",
  "set time zone 'UTC'",
  'show all',
  'show search_path',
  'reset all',
  'vacuum sort only t to 75 percent',
  'analyze t (a, b)',
  'lock table t',
  'truncate t',
  'use other',
  'show tables from schema dev.public',
  "comment on table t is 'words'",
  "cancel 1234 'too long'",
  'drop table if exists a, b cascade',
  'create materialized view v backup no auto refresh yes as select 1',
])('%s is documented', (sql) => {
  expect(nearOf(sql)).toBeUndefined();
});

test.each([
  ["do $$ begin raise notice 'x'; end $$", 'do'],
  ['begin; savepoint a', 'savepoint'],
  ['release savepoint a', 'release'],
  ['rollback to savepoint a', 'to'],
  ['rollback to a', 'to'],
  ['commit and chain', 'and'],
  ["prepare transaction 'a'", "'a'"],
  ["commit prepared 'a'", 'prepared'],
  ['create procedure pg_temp.p() as $$ begin null; end $$ language plpgsql', 'pg_temp'],
  ['create or replace procedure "PG_TEMP".p() as $$ begin null; end $$ language plpgsql', '"PG_TEMP"'],
  ['call pg_temp.p()', 'pg_temp'],
  ['drop procedure pg_temp.p()', 'pg_temp'],
  ['create index i on t (a)', 'index'],
  ['create unique index i on t (a)', 'unique'],
  ['create sequence s', 'sequence'],
  ['create extension e', 'extension'],
  ['create trigger t before insert on t execute function f()', 'trigger'],
  ['create type t as enum ()', 'type'],
  ['create unlogged table t (a int)', 'unlogged'],
  ['create table t (a int) inherits (b)', 'inherits'],
  ['create table t (a int) partition by range (a)', 'partition'],
  ['create role a login', 'login'],
  ['create user a', 'the end'],
  ['create user a login', 'login'],
  ['create user if not exists a password disable', 'not'],
  ['drop role if exists a', 'exists'],
  ['alter user a superuser', 'superuser'],
  ['alter role a nologin', 'nologin'],
  ['grant readers to bob', 'readers'],
  ['set role bob', 'bob'],
  ['insert into t values (1) returning a', 'returning'],
  ['insert into t values (1) on conflict do nothing', 'on'],
  ['insert into t select 1 on conflict do nothing', 'on'],
  ['update t set a = 1 returning a', 'returning'],
  ['delete from t returning a', 'returning'],
  ['select * from t for update', 'for'],
  ['select distinct on (a) a from t', 'distinct'],
  ['select * from (values (1)) v', '('],
  ['values (1)', 'values'],
  ['table t', 'table'],
  ['copy t from stdin', 'stdin'],
  ['copy (select 1) to stdout', '('],
  ['copy t to stdout', 'to'],
  ['explain analyze select 1', 'analyze'],
  ['explain (verbose) select 1', '('],
  ['explain select 1 for update', 'for'],
  ['listen a', 'listen'],
  ['notify a', 'notify'],
  ['unlisten *', 'unlisten'],
  ['discard all', 'discard'],
  ['reindex table t', 'reindex'],
  ['cluster t', 'cluster'],
  ['checkpoint', 'checkpoint'],
  ["load 'x'", 'load'],
  ['move next from c', 'move'],
  ['declare c scroll cursor for select 1', 'scroll'],
  ['fetch prior from c', 'prior'],
  ['lock table t in share mode', 'in'],
  ['truncate a, b', ','],
  ['vacuum (full) t', '('],
  ['select 1; do $$ $$; select 2', 'do'],
])('%s is not, from %s on', (sql, near) => {
  expect(nearOf(sql)).toBe(near);
});

test.each([
  ['select pg_advisory_lock(1)', 'select redshift_catalog.pg_advisory_lock(1)'],
  ['select PG_Catalog.pg_try_advisory_xact_lock (1)', 'select redshift_catalog.pg_try_advisory_xact_lock (1)'],
  ['select pg_sleep(1), string_agg(a, b)', 'select redshift_catalog.pg_sleep(1), redshift_catalog.string_agg(a, b)'],
  ['select own.pg_sleep(1), pg_sleep, generate_series(1, 2)', undefined],
])('a function that came after PostgreSQL 8.0 is looked for where it is not: %s', (sql, looked) => {
  expect(translateSql(sql)).toBe(looked ?? sql);
});

test('each form has a page of the guide, and no form is there twice', () => {
  for (const { page } of DOCUMENTED) expect(page).toMatch(/^[A-Za-z0-9_-]+$/);
  expect(new Set(DOCUMENTED.map(({ form }) => form)).size).toBe(DOCUMENTED.length);
});

test('a long statement takes no longer a row than a short one, or this would not end in time', () => {
  const sql = `insert into t values ${Array.from({ length: 50_000 }, (_, index) => `(${index}, 'x')`).join(', ')}`;
  expect(nearOf(sql)).toBeUndefined();
  expect(translateSql(sql)).toBe(sql);
});
