/**
 * The rules of the house: who may import whom, which package has its door where, which fact its home, and what a start may
 * load. The table is `docs/architecture.md` as data.
 */
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { arrowsUp, circles, lostHomes, secondDoors, secondHomes, sharedNames } from './house/checks.js';
import { files, imports, importsOf, resolveOwn, roomOf, SRC } from './house/graph.js';
import { EVERYBODYS, MAY_IMPORT } from './house/rules.js';

/** What a start of a program may load besides Node's own modules: nothing else statically. */
const START_ROOMS = new Set(['cli', ...EVERYBODYS]);
const START_PACKAGES = new Set(['commander']);

test('imports point down: every room imports only what its row allows', () => {
  expect(arrowsUp()).toEqual([]);
});

test('H6 no file leads back to itself through what it imports, types included', () => {
  expect(circles()).toEqual([]);
});

test('each outside package and each sub-room is entered by its door', () => {
  expect(secondDoors()).toEqual([]);
});

test('H1 every fact has one home, and every home is there', () => {
  expect([...lostHomes(), ...secondHomes()]).toEqual([]);
});

test('H1 an exported name of a type or class has one meaning', () => {
  expect(sharedNames()).toEqual([]);
});

test('every room has a row', () => {
  const rooms = new Set(files.map(roomOf));
  expect([...rooms].filter((room) => !EVERYBODYS.has(room) && !(room in MAY_IMPORT))).toEqual([]);
});

test('F15 no text for people counts in milliseconds', () => {
  const wrong = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, at) =>
        /\$\{[^}]*\}\s+ms\b/.test(line) ? [`${relative(SRC, file)}:${at + 1}: ${line.trim()}`] : [],
      ),
  );
  expect(wrong).toEqual([]);
});

test('relative imports lead to files that exist', () => {
  const wrong = imports.filter(({ from, target }) => target.startsWith('.') && !resolveOwn(from, target));
  expect(wrong.map(({ from, target }) => `${relative(SRC, from)}: ${target}`)).toEqual([]);
});

test.each(['tsh', 'tctl', 'teleport'])('a start of %s loads only the table and the command-line room', (program) => {
  const seen = new Map<string, string>();
  const heavy: string[] = [];
  const walk = (file: string, path: string): void => {
    if (seen.has(file)) return;
    seen.set(file, path);
    for (const { target, typeOnly, dynamic } of importsOf(file)) {
      if (typeOnly || dynamic) continue;
      const own = resolveOwn(file, target);
      if (own) {
        const room = roomOf(own);
        const isTable = room === program && /\/(main|commands|commands-[\w-]+|flags)\.ts$/.test(own);
        if (file !== own && !START_ROOMS.has(room) && !isTable) heavy.push(`${path} → ${relative(SRC, own)}`);
        else walk(own, `${path} → ${relative(SRC, own)}`);
      } else if (!target.startsWith('node:') && !START_PACKAGES.has(target)) {
        heavy.push(`${path} → ${target}`);
      }
    }
  };
  walk(resolve('src', program, 'main.ts'), `${program}/main.ts`);
  expect(heavy).toEqual([]);
});

test('a process begins with bin/start.ts, which reads its program after that, and before it only the reader of programs', () => {
  const atStart = ['tsh', 'tctl', 'teleport', 'keychain-child'].map((name) => importsOf(resolve('bin', `${name}.ts`)));
  expect(atStart.map((found) => found.filter(({ dynamic }) => !dynamic).map(({ target }) => target))).toEqual(
    atStart.map(() => ['./start.js']),
  );
  const atOnce = (file: string) => importsOf(resolve(file)).filter(({ dynamic, typeOnly }) => !dynamic && !typeOnly);
  expect(atOnce('bin/start.ts').map(({ target }) => target)).toEqual(['./code-cache.js']);
  expect(atOnce('bin/code-cache.ts')).toEqual([]);
});

test('N8 a package with a part for each machine is loaded where its absence is explained', () => {
  const wrong = files.filter((file) =>
    // keytar is loaded in a process of its own, and `profile/keychain.ts` explains what came of it.
    [...readFileSync(file, 'utf8').matchAll(/^.*\bimport\('(libsql|@node-rs\/argon2)'\).*$/gm)].some(
      ([line, name]) => !line!.includes(`loadNative('${name}', `),
    ),
  );
  expect(wrong).toEqual([]);
});

test('H5 no file is a drawer: its name says its subject', () => {
  const drawers = files.filter((file) =>
    /\/(?:other|others|misc|util|utils|helper|helpers|common|shared|values)\.ts$/.test(file),
  );
  expect(drawers.map((file) => relative(SRC, file))).toEqual([]);
});
