/** The way of a reader through `tsh db connect`: true to the source, and downhill. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { climbs, DB_CONNECT, RENEWAL, stepsOf, untrue } from './climbs.js';
import { SRC } from './graph.js';

const LIMIT = 5;

test.each([
  ['tsh db connect', DB_CONNECT],
  ['the renewal of a login', RENEWAL],
])('H2 the way through %s is in the source, each step called by the one above it', (_what, trace) => {
  expect(untrue(stepsOf(trace), SRC)).toEqual([]);
});

test.each([
  ['tsh db connect', DB_CONNECT],
  ['the renewal of a login', RENEWAL],
])('H2 a reader of %s climbs back to an earlier file at most five times', (_what, trace) => {
  const found = climbs(stepsOf(trace));
  expect(found.length > LIMIT ? found : []).toEqual([]);
});

test('H2 a step that is not there, or not called there, is found', () => {
  const wrong = 'tsh/db/connect.ts run\n  access/open.ts nowhere\n  access/open.ts isAws\n';
  expect(untrue(stepsOf(wrong), SRC)).toEqual([
    'access/open.ts has no nowhere',
    'tsh/db/connect.ts run does not call isAws of access/open.ts',
  ]);
});

test('H12 every file that docs/one-command.md names exists, and those on the way come in its order', () => {
  const text = readFileSync(resolve('docs/one-command.md'), 'utf8');
  const files = [...text.matchAll(/`((?:src|bin)\/[\w./-]+\.ts)`/g)].map(([, file]) => file!);
  expect(files.filter((file) => !existsSync(resolve(file)))).toEqual([]);
  const way = [...new Set(stepsOf(DB_CONNECT).map(({ file }) => `src/${file}`))];
  const told = [...new Set(files)].filter((file) => way.includes(file));
  expect(told.length).toBeGreaterThan(way.length / 2);
  expect(told).toEqual(way.filter((file) => told.includes(file)));
});
