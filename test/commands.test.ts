/**
 * Every row of the three command tables, and the list of error codes: what is listed works and is written down.
 * Tests: src/tctl/commands.ts, src/teleport/commands.ts, src/tsh/commands.ts
 */
import { existsSync, readFileSync } from 'node:fs';
import type { CommandRow, OptionSpec, ProgramSpec } from '../src/cli/command.js';
import { helpText, readLine } from '../src/cli/parser.js';
import { goDurationMs } from '../src/duration.js';
import { ERROR_CODES } from '../src/errors.js';
import { program as tctl } from '../src/tctl/commands.js';
import { program as teleport } from '../src/teleport/commands.js';
import { program as tsh } from '../src/tsh/commands.js';
import { splitCommand } from './support/golden.js';
import { commandPage } from './tools/command-page.js';

const PROGRAMS: ProgramSpec[] = [tsh, tctl, teleport];
const rows = PROGRAMS.flatMap((program) =>
  program.commands
    .filter((row): row is CommandRow => row.type === 'command')
    .map((row) => ({ name: `${program.name} ${row.path}`, program, row })),
);

describe.each(rows)('$name', ({ program, row }) => {
  const words = row.path.split(' ').filter((part) => !/^[<[]/.test(part));

  test('says what it does in one sentence', () => {
    expect(row.summary).toMatch(/^[A-Z].*\.$/);
  });

  test('has help that renders and names each flag that is not hidden', () => {
    const help = helpText(program, words);
    expect(help).toContain(`usage: ${program.name} ${words.join(' ')}`);
    for (const option of (row.options ?? []).filter((one) => !one.hidden)) expect(help).toContain(option.name);
    for (const line of help.split('\n')) expect(line).not.toMatch(/undefined|\[object/);
  });

  test('describes each argument of its path and no other', () => {
    const inPath = [...row.path.matchAll(/[<[]([\w-]+)(?:\.\.\.)?[>\]]/g)].map((match) => match[1]);
    expect(Object.keys(row.arguments ?? {}).sort()).toEqual(inPath.sort());
  });

  test('has options of sound shape', () => {
    for (const option of row.options ?? []) {
      expect(option.name).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(option.description).not.toBe('');
      expect(isSound(option)).toBe(true);
    }
  });

  test('has examples that lead to this command', () => {
    if (row.hidden) return;
    const lines = (row.examples ?? []).filter((line) => !line.startsWith('#'));
    const own = lines.flatMap((line) => ownPart(program.name, line));
    expect(own.length).toBeGreaterThan(0);
    const found = own.map((argv) => readLine(program, argv));
    expect(found.some((one) => 'row' in one && one.row === row)).toBe(true);
  });

  test('loads a module with a run function', async () => {
    const module = await row.load();
    expect(typeof module.run).toBe('function');
  });
});

test.each(PROGRAMS)('the page of $name is what its command table says', (program) => {
  const file = `docs/cli/${program.name}.md`;
  expect(existsSync(file) ? readFileSync(file, 'utf8') : undefined).toBe(commandPage(program));
});

test('docs/errors.md has one heading and one table row a code, in the order of the list, and no other', () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  expect([...page.matchAll(/^## (\w+)$/gm)].map((match) => match[1])).toEqual([...ERROR_CODES]);
  expect([...page.matchAll(/^\| (\w+) \|/gm)].map((match) => match[1]).slice(1)).toEqual([...ERROR_CODES]);
});

function isSound(option: OptionSpec): boolean {
  if (option.short === 'h') return false; // help's
  if (option.short !== undefined && option.short.length !== 1) return false;
  if (option.kind === 'enum') return (option.values?.length ?? 0) > 0;
  if (option.kind === 'duration' && option.default !== undefined) return typeof option.default === 'number';
  return option.kind !== 'string' || typeof option.default !== 'string' || goDurationMs(option.default) === undefined;
}

/** The words after the program's name in a line such as `eval "$(tsh env)"` or `echo x | tsh db connect sales`. */
function ownPart(name: string, line: string): string[][] {
  return line.split(/\||\$\(|&&|;/).flatMap((part) => {
    const at = part.search(new RegExp(`(^|\\s)${name}(\\s|$)`));
    if (at < 0) return [];
    const { words } = splitCommand(part.slice(at).trim().replace(/\)"?$/, ''));
    const end = words.findIndex((word) => /^(>|>>|<|&)/.test(word));
    return [words.slice(1, end < 0 ? undefined : end)];
  });
}
