/**
 * H1 The grammar of teleport.yaml is its only list of keys: what it names is read and typed, anything else is refused
 * with its line.
 * Tests: src/resources/schema.ts, src/yaml.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { labels, list, map, oneOf, type Read, type Schema, text } from '../../src/resources/schema.js';
import {
  CONFIG_SCHEMA,
  lookIntoConfigText,
  parseConfigText,
  settingsWithoutEffect,
  type WrittenFile,
} from '../../src/resources/teleport-yaml.js';

interface Place {
  path: string[];
  schema: Schema<unknown>;
}

const isMapSchema = (schema: Schema<unknown>): schema is Schema<unknown> & { keys: Record<string, Schema<unknown>> } =>
  'keys' in schema;
const isListSchema = (schema: Schema<unknown>): schema is Schema<unknown> & { of: Schema<unknown> } => 'of' in schema;

/** Every place of the grammar, `0` for the entry of a list. */
function placesUnder(schema: Schema<unknown>, path: string[]): Place[] {
  const below = isMapSchema(schema)
    ? Object.entries(schema.keys).flatMap(([key, value]) => placesUnder(value, [...path, key]))
    : isListSchema(schema)
      ? placesUnder(schema.of, [...path, '0'])
      : [];
  return [{ path, schema }, ...below];
}

const places = placesUnder(CONFIG_SCHEMA, []);
const maps = places.filter(({ schema }) => isMapSchema(schema));
const leaves = places.filter(({ schema }) => !isMapSchema(schema) && !isListSchema(schema));

/** Members of resources, which the configuration hands on as they are. */
const PASSED_WHOLE =
  /^(discovery_service\.aws\.0|db_service\.(aws\.0|databases\.0\.(aws|admin_user)|resources\.0\.aws))\./;

/** What may stand in a leaf, one of each sort; a leaf takes at least one. */
const VALUES = ['some text', '7', 'yes', ['a', 'b'], { env: 'dev' }] as const;

/** A file with this value at this place. */
function fileWith(path: string[], value: unknown): string {
  return stringify(
    path.reduceRight<unknown>((below, key) => (key === '0' ? [below] : { [key]: below }), value),
    { version: '1.1' },
  );
}

function at(values: unknown, path: string[]): unknown {
  return path.reduce<unknown>((value, key) => new Map(Object.entries(value ?? {})).get(key), values);
}

function mistakes(source: string): string[] {
  try {
    parseConfigText(source, 'f');
    return [];
  } catch (error) {
    return String(error).split('\n\t').slice(1);
  }
}

/** The words of a leaf that takes only some. */
function wordsOf(path: string[]): string[] {
  const [refusal = ''] = mistakes(fileWith(path, 'no such word'));
  return /expected one of (.*), got/.exec(refusal)?.[1]?.split(', ') ?? [];
}

test.each(leaves.map(({ path }) => [path.join('.'), path] as const))('H1 %s is accepted and read', (_, path) => {
  const values = [...wordsOf(path), ...VALUES].filter((value) => mistakes(fileWith(path, value)).length === 0);
  const read = values.filter((value) => at(parseConfigText(fileWith(path, value), 'f'), path) !== undefined);
  expect(read.length).toBeGreaterThan(0);
});

test('H1 an unknown key is refused at every level, with its line, its place and what is allowed', () => {
  // Names that every JavaScript object answers to are among them.
  const strange = fc.constantFrom('constructor', '__proto__', 'toString', 'hasOwnProperty', 'Enabled', 'ENABLED');
  const names = fc.oneof(strange, fc.stringMatching(/^[a-z_]{1,20}$/));
  fc.assert(
    fc.property(fc.constantFrom(...maps), names, fc.nat(5), ({ path, schema }, name, blankLines) => {
      const known = isMapSchema(schema) ? Object.keys(schema.keys) : [];
      fc.pre(!known.includes(name));
      const source = `${'#\n'.repeat(blankLines)}${fileWith(path, { [`${name}`]: 1 })}`;
      const line = source.split('\n').findIndex((text) => text.replaceAll('"', '').endsWith(`${name}: 1`)) + 1;
      const where = path.join('.').replaceAll('.0', '[0]') || 'the file';
      const [refusal, ...more] = mistakes(source);
      expect(refusal).toContain(`line ${line}: field ${name} not found in ${where}, allowed: ${known.join(', ')}`);
      expect(more).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('H1 a slip in a key is answered with the key that was meant, at every level', () => {
  for (const { path, schema } of maps) {
    const [key = ''] = (isMapSchema(schema) ? Object.keys(schema.keys) : []).filter((name) => name.length > 5);
    if (key === '') continue;
    const slip = `${key.slice(0, 2)}${key.slice(3)}`;
    expect(mistakes(fileWith(path, { [slip]: 'x' }))[0]).toMatch(/, did you mean "\w+"\?$/);
  }
});

test('H1 a value of the wrong sort never gets through', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...places),
      fc.oneof(fc.string(), fc.integer(), fc.array(fc.string()), fc.dictionary(fc.string(), fc.string())),
      ({ path, schema }, value) => {
        const source = fileWith(path, value);
        const [refusal] = mistakes(source);
        if (refusal !== undefined) return expect(refusal).toMatch(/^line \d+: /);
        const read = at(parseConfigText(source, 'f'), path);
        if (read === undefined) return;
        if (isListSchema(schema)) expect(Array.isArray(read)).toBe(true);
        if (isMapSchema(schema)) expect(typeof read).toBe('object');
      },
    ),
    { numRuns: 300 },
  );
});

test('H1 what has no effect is marked in the grammar, and reported only for services that run', () => {
  const values = parseConfigText(
    'teleport: {cache: {enabled: yes}}\nauth_service: {license_file: /l}\nproxy_service: {ui: {a: b}}\ndb_service: {databases: [{name: a}, {gcp: {x: y}}]}\n',
    'f',
  );
  const all = ['teleport.cache', 'auth_service.license_file', 'proxy_service.ui', 'db_service.databases[1].gcp'];
  expect(settingsWithoutEffect(values, { auth: true, proxy: true, db: true, discovery: true })).toEqual(all);
  expect(settingsWithoutEffect(values, { auth: false, proxy: false, db: false, discovery: false })).toEqual([
    'teleport.cache',
  ]);
});

test('H1 every key is either used by the configuration or marked as without effect', () => {
  const code = ['', '-auth', '-proxy', '-databases', '-discovery', '-limits']
    .map((part) => readFileSync(`src/teleport/config${part}.ts`, 'utf8'))
    .join('\n');
  const forgotten = places.filter(({ path, schema }) => {
    const key = path.at(-1) ?? '';
    if (key === '' || key === '0' || key.endsWith('_service')) return false;
    const above = places.filter((place) => place.path.every((part, depth) => path[depth] === part));
    if (above.some((place) => place.schema.hasNoEffect)) return false;
    return !isMapSchema(schema) && !new RegExp(`\\b${key}\\b`).test(code) && !PASSED_WHOLE.test(path.join('.'));
  });
  expect(forgotten.map(({ path }) => path.join('.'))).toEqual([]);
});

test('H1 tctl looks into the file by the same grammar, and what only a start refuses does not stop it', () => {
  const source = 'teleport: {data_dir: /d, no_such_key: 1}\nauth_service: {enabled: "n", listen_addr: 3025}\n';
  expect(lookIntoConfigText(source, 'f')).toEqual({
    teleport: { data_dir: '/d' },
    auth_service: { enabled: false, listen_addr: '3025' },
  });
  expect(() => lookIntoConfigText('a: [1\nb: 2', 'f')).toThrow(/^failed parsing the config file: f line \d: /);
});

/** The type that is inferred: these lines do not compile when it is another. */
test('H1 types follow from the grammar', () => {
  const schema = map({ mode: oneOf('a', 'b'), names: list(text), by: labels, in: map({ deep: text }) });
  const value: Read<typeof schema> = { mode: 'a', names: ['x'], by: { k: 'v' }, in: { deep: 'y' } };
  const mode: 'a' | 'b' | undefined = value.mode;
  // @ts-expect-error not one of the words
  value.mode = 'c';
  // @ts-expect-error no such key
  value.other = 1;
  expect(mode).toBe('a');
  const written: WrittenFile = {
    auth_service: { enabled: 'yes', public_addr: 'one' },
    proxy_service: { enabled: false },
  };
  // @ts-expect-error not a word for yes or no
  written.auth_service = { enabled: 'maybe' };
  // @ts-expect-error no such key
  written.auth_service = { listen_adr: 'h:1' };
});

test('H1 from the grammar to what is started no cast is needed', () => {
  const files = [
    'resources/schema.ts',
    'resources/teleport-yaml.ts',
    'teleport/start-flags.ts',
    'teleport/sample-config.ts',
    'teleport/configure.ts',
    'teleport/db/configure/bootstrap.ts',
    'teleport/db/start.ts',
    'teleport/db/configure/database-flags.ts',
    ...readdirSync('src/teleport')
      .filter((name) => name.startsWith('config'))
      .map((name) => `teleport/${name}`),
  ];
  const casts = files.flatMap((name) =>
    readFileSync(join('src', name), 'utf8')
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .split('\n')
      .filter(
        (line) =>
          !/^(?:import|export) /.test(line) &&
          /\bas (?!const\b)[\w{[(]|\w!\.|\bis [A-Z]/.test(line.replace(/(['"`]).*?\1|\/\/.*/g, '')),
      )
      .map((line) => `${name}: ${line.trim()}`),
  );
  expect(files.length).toBeGreaterThan(9);
  expect(casts).toEqual([]);
});
