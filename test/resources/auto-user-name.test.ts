/** What an automatic user can be called. */
import { expect, test } from '@jest/globals';
import { autoUserName, isAutoUserName, isSameInRedshift } from '../../src/resources/auto-user-name.js';
import type { AwsMetadata, Database } from '../../src/resources/types.js';

const database = (aws: AwsMetadata): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name: 'd' },
  spec: { protocol: 'postgres', uri: 'h:5439', aws },
});
const redshift = database({ redshift: { cluster_id: 'sales' } });
const postgres = database({});

test.each([
  ['alice', 'alice'],
  ['Alice.Smith@Example.com', 'alice.smith@example.com'],
  ['a', 'a'],
  ['A_b+c-d', 'a_b+c-d'],
  [`a${'b'.repeat(63)}`, `a${'b'.repeat(63)}`],
])('%s is a user of Redshift, called %s', (name, called) => {
  expect(autoUserName(name, redshift)).toBe(called);
});

test.each(['', '1alice', '_alice', 'al ice', 'älice', 'alice:x', 'a/b', '"a"', `a${'b'.repeat(64)}`, 'Ⅰ'])(
  '%j cannot be a user of Redshift',
  (name) => {
    expect(() => autoUserName(name, redshift)).toThrow(
      `${JSON.stringify(name)} cannot be the name of a user of Redshift: it takes 1 to 64 letters, digits and _ + . @ -, and the first is a letter`,
    );
  },
);

test.each(['user', 'User', 'public', 'TAG'])('%s is reserved there', (name) => {
  expect(() => autoUserName(name, redshift)).toThrow('it is a reserved word there');
});

test.each(['alice', 'Alice', '1', 'ünï "quoted" \\', 'user', 'x'.repeat(63)])(
  '%j is a user of PostgreSQL as it stands',
  (name) => {
    expect(autoUserName(name, postgres)).toBe(name);
  },
);

test.each([
  ['', '0'],
  ['x'.repeat(64), '64'],
  ['ü'.repeat(32), '64'],
])('%j is too long or too short for PostgreSQL', (name, bytes) => {
  expect(() => autoUserName(name, postgres)).toThrow(`it takes 1 to 63 bytes, and this name has ${bytes}`);
});

test.each(['public', 'none', 'pg_x'])('%s is reserved in PostgreSQL', (name) => {
  expect(() => autoUserName(name, postgres)).toThrow('reserved there');
});

test('letters of the alphabet are one whatever their case, and others are not', () => {
  expect(isSameInRedshift('Alice', 'aLICE')).toBe(true);
  expect(isSameInRedshift('É', 'é')).toBe(false);
});

test('R-A-M4 a user of another cluster whose name has capital letters could be a second one in Redshift, and nowhere else', () => {
  const called = (username: string, database: typeof redshift) =>
    autoUserName(`remote-${username}-root`, database, username);
  expect(called('gina', redshift)).toBe('remote-gina-root');
  expect(called('Gina', postgres)).toBe('remote-Gina-root');
  expect(() => called('Gina', redshift)).toThrow(
    '"Gina" cannot be the name of a user of Redshift: it takes capital letters and small ones for the same',
  );
  expect(autoUserName('remote-gina-Root', redshift, 'gina')).toBe('remote-gina-root');
});

test('R-B6 what a database has can be a user of ours, or its name says that it cannot', () => {
  expect(
    ['alice', 'Alice', 'x'.repeat(63), 'pg_x', 'x'.repeat(64), ''].map((name) => isAutoUserName(name, postgres)),
  ).toEqual([true, true, true, false, false, false]);
  expect(
    ['alice', 'Alice', 'x'.repeat(64), 'user', 'al ice', 'x'.repeat(65)].map((name) => isAutoUserName(name, redshift)),
  ).toEqual([true, false, true, false, false, false]);
});
