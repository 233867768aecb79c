/** What is counted of the house: each list is empty, or it names what stands wrong. */
import { join, relative } from 'node:path';
import { codeOf, files, type Import, imports, named, resolveOwn, roomOf, SRC } from './graph.js';
import { HOMES } from './homes.js';
import { DOORS, EVERYBODYS, MAY_IMPORT, SUB_ROOM_DOORS } from './rules.js';

/** Files that lead back to themselves through what they import, types included, and files between such circles. */
export function circles(): string[] {
  const targets = new Map(files.map((file) => [file, new Set<string>()]));
  for (const { from, target } of imports) {
    const own = resolveOwn(from, target);
    if (own && own !== from) targets.get(from)?.add(own);
  }
  // Whatever imports nothing more is taken away until nothing changes.
  for (let before = -1; before !== targets.size; ) {
    before = targets.size;
    for (const [file, own] of targets) {
      for (const target of own) if (!targets.has(target)) own.delete(target);
      if (own.size === 0) targets.delete(file);
    }
  }
  return [...targets.keys()].map(named);
}

/** Imports that do not point down: those that a room's row does not allow. */
export function arrowsUp(): string[] {
  return imports.flatMap(({ from, target }) => {
    const own = resolveOwn(from, target);
    if (!own) return [];
    const [room, other] = [roomOf(from), roomOf(own)];
    if (room === other || EVERYBODYS.has(other)) return [];
    return (MAY_IMPORT[room] ?? []).includes(other) ? [] : [`${named(from)} imports ${named(own)}`];
  });
}

/** Outside packages and sub-rooms that are entered elsewhere than by their doors. */
export function secondDoors(among: readonly Import[] = imports): string[] {
  return among.flatMap(({ from, target }) => {
    const own = resolveOwn(from, target);
    if (own) {
      const room = roomOf(own);
      if (room === roomOf(from) || !(room in SUB_ROOM_DOORS)) return [];
      const name = relative(join(SRC, room), own).replace(/\.ts$/, '');
      return SUB_ROOM_DOORS[room]!.includes(name) ? [] : [`${named(from)} imports ${named(own)}`];
    }
    const door = Object.entries(DOORS).find(
      ([name]) => target === name || target.startsWith(name.endsWith('/') ? name : `${name}/`),
    );
    const path = named(from);
    if (!door || door[1].some((one) => path === one || path.startsWith(`${one}/`))) return [];
    return [`${named(from)} imports ${target}`];
  });
}

/** Lines outside a fact's home that state the fact again. */
export function secondHomes(): string[] {
  return files.flatMap((file) => secondHomesIn(named(file), codeOf(file)));
}

/** The same for one file of these lines. */
export function secondHomesIn(path: string, lines: readonly string[]): string[] {
  return lines.flatMap((line, at) =>
    HOMES.filter(({ home, second }) => !home.includes(path) && second.some((one) => one.test(line))).map(
      ({ fact, home }) => `${path}:${at + 1} states ${fact}, at home in ${home.join(', ')}: ${line.trim()}`,
    ),
  );
}

/** Homes that are no longer there. */
export function lostHomes(): string[] {
  const there = new Set(files.map(named));
  return HOMES.flatMap(({ fact, home }) => home.filter((path) => !there.has(path)).map((path) => `${fact}: ${path}`));
}

/** Exported names of types and classes that are declared in more than one file: one name, several meanings. */
export function sharedNames(): string[] {
  const declared = new Map<string, string[]>();
  for (const file of files) {
    if (named(file).startsWith('api/gen/')) continue;
    const names = codeOf(file).flatMap(
      (line) => /^export (?:declare |abstract )*(?:type|interface|class|enum) (\w+)/.exec(line)?.[1] ?? [],
    );
    for (const name of new Set(names)) declared.set(name, [...(declared.get(name) ?? []), named(file)]);
  }
  return [...declared].flatMap(([name, where]) => (where.length > 1 ? [`${name}: ${where.join(', ')}`] : []));
}
