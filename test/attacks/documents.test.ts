/**
 * YAML that is made to harm whoever reads it, in each place that reads YAML: resources for tctl, teleport.yaml, profiles and
 * tsh's configuration. It is read or refused in a sentence of ours, within seconds, and changes nothing but its own value.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { TeleportError } from '../../src/errors.js';
import { parseProfile } from '../../src/profile/profile.js';
import { readTshConfig } from '../../src/profile/tsh-config.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { parseResources } from '../../src/resources/yaml.js';

const laughs = (leaves: string) =>
  ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    .concat([...'bcdefghi'].map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[at]}`).join(', ')}]`))
    .concat(leaves)
    .join('\n');

const BOMBS: Record<string, string> = {
  'a billion laughs': laughs('kind: role\nmetadata: *i'),
  'a billion laughs in maps': [
    'a: &a {k: v}',
    ...[...'bcdefghi'].map(
      (name, at) =>
        `${name}: &${name} {${Array.from({ length: 10 }, (_, i) => `k${i}: *${'abcdefgh'[at]}`).join(', ')}}`,
    ),
    'metadata: *i',
    'kind: role',
  ].join('\n'),
  'a billion laughs by merging': [
    'a: &a {k: v}',
    ...[...'bcdefghi'].map(
      (name, at) => `${name}: &${name} {<<: [${Array(10).fill(`*${'abcdefgh'[at]}`).join(', ')}]}`,
    ),
    '<<: *i',
    'kind: role',
  ].join('\n'),
  'an anchor that holds itself': 'kind: role\nmetadata: &a\n  name: x\n  labels: *a\n',
  'an alias of nothing': 'kind: role\nmetadata: *nothing\n',
  '__proto__ as a key':
    'kind: role\nmetadata: {name: x}\n__proto__: {polluted: yes}\nspec: {__proto__: {polluted: yes}}\n',
  'constructor as a key': 'kind: role\nmetadata: {name: x}\nconstructor: {prototype: {polluted: yes}}\nspec: {}\n',
  '__proto__ by merging': 'kind: role\nmetadata: {name: x}\n<<: {__proto__: {polluted: yes}}\n',
  'a function': 'kind: role\nmetadata: {name: !!js/function "function(){ process.exit(9) }"}\n',
  'a Python object': 'kind: role\nmetadata: !!python/object/apply:os.system ["exit 9"]\n',
  'binary as a name': 'kind: role\nmetadata: {name: !!binary "AAAA"}\n',
  'a set as a list': 'kind: role\nmetadata: {name: x}\nspec: !!set {a, b}\n',
  'an unknown tag': 'kind: role\nmetadata: !evil {name: x}\n',
  'a directive': '%YAML 9.9\n%TAG ! tag:evil.example.com,2000:\n---\nkind: role\n',
  'a key that is a map': '? {a: b}\n: c\nkind: role\n',
  'the same key twice': 'kind: role\nkind: user\nmetadata: {name: x}\n',
  'a list of 50,000': `kind: role\nmetadata: {name: x}\nspec: [${'1,'.repeat(50_000)}1]\n`,
  '5,000 documents': '---\nkind: role\nmetadata: {name: x}\n'.repeat(5_000),
  '5,000 keys': Array.from({ length: 5_000 }, (_, i) => `k${i}: v`).join('\n'),
  'a scalar of 3 MB': `kind: ${'a'.repeat(3_000_000)}\n`,
  'more than 4 MiB': `kind: role\nx: ${'a'.repeat(5_000_000)}\n`,
  'a NUL and controls': 'kind: "ro\0le"\nmetadata: {name: "\x1b[31m\x07"}\n',
  'a number that is none': 'kind: role\nmetadata: {name: .inf, x: .nan, y: 0x1e309, z: 1e999999999}\n',
  'bytes that are not UTF-8': Buffer.from([0xff, 0xfe, 0x6b, 0x00]).toString('utf8'),
  'UTF-16 with its mark': '\ufeffkind: role\n',
  dates: 'kind: role\nmetadata: {name: 2026-01-01, expires: 99999-99-99T99:99:99Z}\n',
  '500 levels': `kind: ${'['.repeat(500)}${']'.repeat(500)}\n`,
  '500 levels of blocks': `${Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}k:`).join('\n')} v\n`,
};

const dir = mkdtempSync(join(tmpdir(), 'bombs-'));
afterAll(() => rmSync(dir, { recursive: true }));

const READERS: [string, (text: string) => unknown][] = [
  ['tctl create', (text) => parseResources(text)],
  ['teleport.yaml', (text) => parseConfigText(text, 'teleport.yaml')],
  ['a profile', (text) => parseProfile(text, 'proxy.yaml')],
  [
    'the configuration of tsh',
    async (text) => {
      const file = join(dir, 'config.yaml');
      writeFileSync(file, text);
      return await readTshConfig(dir, { TELEPORT_GLOBAL_TSH_CONFIG: file });
    },
  ],
];

describe.each(READERS)('%s', (_, read) => {
  test.each(Object.entries(BOMBS))('%s', async (_name, text) => {
    const began = process.cpuUsage();
    let refused: unknown;
    try {
      await read(text);
    } catch (error) {
      refused = error;
    }
    const { user, system } = process.cpuUsage(began);
    // Two seconds at most; what a bomb takes that goes off has no end.
    expect((user + system) / 1000).toBeLessThan(60_000);
    if (refused !== undefined) {
      expect(refused).toBeInstanceOf(TeleportError);
      const { message } = refused as TeleportError;
      expect(message.length).toBeLessThan(20_000);
      // What a terminal would obey.
      expect(message).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
