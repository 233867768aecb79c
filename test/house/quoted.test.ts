/**
 * H14: what the pages for people quote is there: each command line is one that the programs take, each flag one that they
 * have, each text one that the sources, or a test of what is printed, have too, each file one that is read. Tests: test/house/quoted.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shapeOf } from '../../src/api/fields.js';
import type { ProgramSpec } from '../../src/cli/command.js';
import { readLine, UsageError } from '../../src/cli/parser.js';
import { messageOf } from '../../src/errors.js';
import { CONFIG_SCHEMA, parseConfigText } from '../../src/resources/teleport-yaml.js';
import { parseResources } from '../../src/resources/yaml.js';
import { program as tctl } from '../../src/tctl/commands.js';
import { program as teleport } from '../../src/teleport/commands.js';
import { program as tsh } from '../../src/tsh/commands.js';
import { commandsIn, isText, literalsOf, piecesOf, type Quote, quotesOf } from './quoted.js';

const PROGRAMS: Record<string, ProgramSpec> = { tsh, tctl, teleport };

/** Pages that quote Teleport, or what people type while they develop; the changelog is about then, not about now. */
const OTHER_PAGES = ['CHANGELOG.md', 'CONTRIBUTING.md', 'benchmarks.md', 'differences.md', 'interop.md'];
const PAGES = [
  'README.md',
  'SECURITY.md',
  ...readdirSync('docs')
    .filter((file) => file.endsWith('.md') && !OTHER_PAGES.includes(file))
    .map((file) => join('docs', file)),
];

/** Texts of other programs, and some of ours that are put together from parts (`no ${what} within ${time}`). */
const OTHERS = new Set([
  'EEXIST: file already exists … bin/tsh',
  'WARNING: psql major version 15, server major version 8.0',
  'permission denied for relation …',
  'tsh needs Node … or newer',
  'no connection within 10 s',
  'no answer to the SSLRequest within 30 s',
]);

/** Flags of npm, psql and others. */
const OTHER_FLAGS = new Set(['--omit']);

const files = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => /\.(?:ts|txt)$/.test(path) && !/(?:^|\/)gen\/|^test\/house\//.test(path));
const said = ['src', 'bin', 'test'].flatMap(files).map((path) => literalsOf(readFileSync(path, 'utf8')));
const isSaid = (text: string) => {
  const pieces = piecesOf(text);
  return OTHERS.has(text) || said.some((source) => pieces.every((piece) => source.includes(piece)));
};

const flags = new Set(
  Object.values(PROGRAMS)
    .flatMap(({ globals, commands }) => [...globals, ...commands.flatMap(({ options }) => options ?? [])])
    .flatMap(({ name, kind, aliases = [] }) => [name, ...(kind === 'boolean' ? [`no-${name}`] : []), ...aliases])
    .map((name) => `--${name}`)
    .concat('--help', '--version'),
);

/** What is wrong with a line that a page shows; a span may leave out what a whole line has. */
function faultOf([name, ...argv]: string[], isWhole: boolean): string | undefined {
  try {
    readLine(
      PROGRAMS[name!]!,
      argv.filter((word) => isWhole || !word.includes('…')),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const isShort = error.kind === 'group' || /^required |^expected argument for flag/.test(error.message);
    if (isWhole || !isShort) return error.message;
  }
  return undefined;
}

/** A resource, a `teleport.yaml`, or else a part of one of the two, which is not looked at. */
function yamlFaultOf(text: string): string | undefined {
  const [, firstKey = ''] = /^(\w+):/m.exec(text) ?? [];
  try {
    if (firstKey === 'kind') parseResources(text, shapeOf);
    else if (firstKey in CONFIG_SCHEMA.keys) parseConfigText(text, 'teleport.yaml');
  } catch (error) {
    return messageOf(error);
  }
  return undefined;
}

describe.each(PAGES)('H14 what %s quotes', (page) => {
  const { lines, spans, headings, yaml } = quotesOf(readFileSync(page, 'utf8'));
  const faults = (quotes: Quote[], look: (text: string) => readonly (string | undefined)[]) =>
    quotes.flatMap(({ line, text }) =>
      look(text)
        .filter((fault) => fault !== undefined)
        .map((fault) => `${page}:${line}: ${text}: ${fault}`),
    );
  const isCommand = (text: string) => /^(?:tsh|tctl|teleport) /.test(text) && !isSaid(text);

  test('lines that are shown can be typed', () => {
    expect(faults(lines, (text) => commandsIn(text).map((words) => faultOf(words, true)))).toEqual([]);
  });

  test('commands and flags in the text are there', () => {
    const look = (text: string) => {
      const [flag] = /^--[a-z][\w-]*/.exec(text) ?? [];
      if (flag) return [flags.has(flag) || OTHER_FLAGS.has(flag) ? undefined : 'no program has this flag'];
      return isCommand(text) ? commandsIn(text).map((words) => faultOf(words, false)) : [];
    };
    expect(faults(spans, look)).toEqual([]);
  });

  test('texts are said by a program', () => {
    const texts = spans.filter(({ text }) => isText(text) && !isCommand(text));
    expect(faults([...texts, ...headings], (text) => [isSaid(text) ? undefined : 'nothing says this'])).toEqual([]);
  });

  test('files in YAML are read', () => {
    expect(faults(yaml, (text) => [yamlFaultOf(text)])).toEqual([]);
  });
});

test('H14 what is gone is found', () => {
  expect(commandsIn('eval "$(tsh db env sales)" && A=b tctl get x > f # teleport y; tsh')).toEqual([
    ['tsh', 'db', 'env', 'sales'],
    ['tctl', 'get', 'x'],
  ]);
  expect(faultOf(['tsh', 'db', 'ls', '--gone'], true)).toContain('--gone');
  expect(faultOf(['tsh', 'db', 'exec'], true)).toContain('required');
  expect(faultOf(['tsh', 'db', 'exec'], false)).toBeUndefined();
  expect(isText('the join token … has expired') && isSaid('the join token … has expired')).toBe(false);
  expect(piecesOf('lock targeting User:"alice" is in force: …')).toEqual(['lock targeting User', 'is in force']);
});
