/** Whose case the Redshift double keeps: that of users in double quotes, and of everything where a session asks for it. */
import { translateSql } from './dialect.js';
import { keepsCaseAfter } from './names.js';

test.each([
  ['select "Is It" from "Group"."T" g', 'select "is it" from "group"."t" g'],
  ['select "This ""IS IT"""', 'select "this ""is it"""'],
  ['select \'"A"\' as "A" -- "A"', 'select \'"A"\' as "a" -- "A"'],
  ['create table "ÄÖ" ("A" int)', 'create table "ÄÖ" ("a" int)'],
  ['drop user if exists "A", "B"', 'drop user if exists "A", "B"'],
  ['alter group "Readers" add user "A", "B"', 'alter group "readers" add user "A", "B"'],
  [
    'grant select on "T" to "A" with grant option, group "R", "B"',
    'grant select on "t" to "A" with grant option, group "r", "B"',
  ],
  ['revoke role "R" from "A"', 'REVOKE "r" from "A"'],
  ['alter table "T" owner to "A"', 'alter table "t" owner to "A"'],
  ['alter table "T" rename to "A"', 'alter table "t" rename to "a"'],
  ['alter user "A" rename to "B"', 'alter user "A" rename to "B"'],
  ['create schema "S" authorization "A"', 'create schema "s" authorization "A"'],
  ['create database "D" owner = "A"', 'create database "d" owner = "A"'],
  ['set session authorization "A"', 'set session authorization "A"'],
  [
    'alter default privileges for user "A" in schema "S" grant select on tables to "B"',
    'alter default privileges for user "A" in schema "s" grant select on tables to "B"',
  ],
  [
    'create procedure "P"() as $$ begin insert into "T" values (\'"A"\'); drop user "A"; end $$ language plpgsql',
    'create procedure "p"() as $$ begin insert into "t" values (\'"A"\'); drop user "A"; end $$ language plpgsql',
  ],
  ['select $$ "A" $$', 'select $$ "A" $$'],
])('%s', (sql, folded) => {
  expect(translateSql(sql)).toBe(folded);
});

test.each([
  ['set enable_case_sensitive_identifier to true', true],
  ["SET SESSION enable_case_sensitive_identifier = 'on'; select 1", true],
  ['set enable_case_sensitive_identifier to true; reset all', false],
  ['set enable_case_sensitive_identifier to true; set enable_case_sensitive_identifier to default', false],
  ['set enable_case_sensitive_identifier to true; reset enable_case_sensitive_identifier', false],
  ['set search_path to true', false],
])('after %s a session keeps case: %s', (sql, keeps) => {
  expect(keepsCaseAfter(sql, false)).toBe(keeps);
});

test('a session that keeps case has its names as they are written', () => {
  expect(translateSql('select "A" from t', true)).toBe('select "A" from t');
});
