/** Tests: src/cli/printable.ts. */
import { errorText } from '../../src/cli/exit.js';
import {
  formatDurationMs,
  jsonText,
  labelsText,
  printJson,
  printLine,
  printTctlJson,
  printTctlYaml,
  printYaml,
  shortDurationText,
  tableFor,
  timeText,
  yamlText,
} from '../../src/cli/output.js';
import { goDurationMs } from '../../src/duration.js';
import { TeleportError } from '../../src/errors.js';
import { memoryEnv } from '../support/env.js';

test('labels: plain keys, keys with a slash, then (verbose) the reserved ones', () => {
  const labels = { 'teleport.dev/origin': 'config-file', 'a/b': '1', z: '2', env: 'dev' };
  expect(labelsText(labels, { verbose: false })).toBe('env=dev,z=2,a/b=1');
  expect(labelsText(labels, { verbose: true })).toBe('env=dev,z=2,a/b=1,teleport.dev/origin=config-file');
});

test('durations and times are written as Go writes them', () => {
  expect([43_200_000, 298_000, 90_500, 250, 0, 1000].map(formatDurationMs)).toEqual([
    '12h0m0s',
    '4m58s',
    '1m30.5s',
    '250ms',
    '0s',
    '1s',
  ]);
  expect([43_200_000, 5_400_000, 60_000, 3_601_000].map(shortDurationText)).toEqual(['12h', '1h30m', '1m', '1h1s']);
  expect(['1h30m', '1.5h', '250ms', '0', '-5s', '5', 'x', ''].map(goDurationMs)).toEqual([
    5_400_000,
    5_400_000,
    250,
    0,
    -5000,
    undefined,
    undefined,
    undefined,
  ]);
  expect(timeText(new Date('2026-01-02T03:04:00.000Z'))).toBe('2026-01-02T03:04:00Z');
  expect(timeText(new Date('2026-01-02T03:04:05.670Z'))).toBe('2026-01-02T03:04:05.67Z');
});

test('JSON: tsh indents by 2, tctl by 4, and an empty tctl list has no newline', () => {
  const env = memoryEnv();
  printJson(env, { b: '<&>', a: [] });
  printTctlJson(env, [{ a: 1 }]);
  printTctlJson(env, []);
  expect(env.out()).toBe('{\n  "b": "<&>",\n  "a": []\n}\n[\n    {\n        "a": 1\n    }\n]\n[]');
});

test('YAML: keys sorted, lists at the column of their key, quotes only where needed', async () => {
  const env = memoryEnv();
  await printYaml(env, [
    {
      kind: 'db',
      empty: '',
      deny: {},
      none: [],
      labels: { '*': '*', env: 'dev', on: 'yes' },
      users: ['postgres', '12', '0644', '1e3', 'null', 'a: b', '-x', '{{internal.db}}', "it's"],
      expires: '2026-11-21T03:57:01Z',
      ttl: '30h0m0s',
      uri: 'localhost:47432',
      text: 'a\nb\n',
      on: true,
      gone: undefined,
    },
  ]);
  expect(env.out()).toBe(
    `- deny: {}
  empty: ""
  expires: "2026-11-21T03:57:01Z"
  kind: db
  labels:
    '*': '*'
    env: dev
    "on": "yes"
  none: []
  "on": true
  text: |
    a
    b
  ttl: 30h0m0s
  uri: localhost:47432
  users:
  - postgres
  - "12"
  - "0644"
  - "1e3"
  - "null"
  - 'a: b'
  - -x
  - '{{internal.db}}'
  - it's

`,
  );
  env.clear();
  await printTctlYaml(env, [{ b: 1 }, { a: 2 }]);
  await printTctlYaml(env, []);
  expect(env.out()).toBe('b: 1\n---\na: 2\n[]');
});

test('an error shows our causes one tab deeper each, its hint, and nothing that a terminal would obey', () => {
  const inner = new TeleportError('BadParameter', 'role "dba" already exists', { cause: new Error('secret stack') });
  const outer = new TeleportError('AlreadyExists', 'use -f or --force flag to overwrite', {
    cause: inner,
    hint: 'Type it again with -f.',
  });
  expect(errorText(outer, { debug: false })).toBe(
    'ERROR: use -f or --force flag to overwrite\n\trole "dba" already exists\nType it again with -f.\n\n',
  );
  expect(errorText(new Error('a\u001b[2Jb\nsecond\tline'), { debug: false })).toBe(
    'ERROR: "a\\x1b[2Jb"\nsecond\tline\n\n',
  );
});

test('a refused certificate is explained', () => {
  const unknown = new TeleportError('ConnectionProblem', 'x', {
    cause: Object.assign(new Error('y'), { certificateProblem: 'unknown-authority', host: 'proxy.example.com:443' }),
  });
  const text = errorText(unknown, { debug: false });
  for (const word of ['ERROR: WARNING:', '--insecure', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'proxy.example.com:443'])
    expect(text).toContain(word);
  const name = Object.assign(new Error('not for you'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID', host: 'h' });
  expect(errorText(name, { debug: false })).toContain('ERROR: Cannot establish https connection to h:\nnot for you');
});

test('a text of a server cannot leave its cell, nor control the terminal', async () => {
  const cells = ['\u001b]0;title\u0007', 'two\nlines', '\u009b2J', '\u202egnp.exe', 'Zoë 👩\u200d💻', 'a "b" \\c'];
  const shown = [
    String.raw`"\x1b]0;title\a"`,
    String.raw`"two\nlines"`,
    String.raw`"\u009b2J"`,
    String.raw`"\u202egnp.exe"`,
    'Zoë 👩\u200d💻',
    'a "b" \\c',
  ];
  const rows = cells.map((cell) => [cell]);
  const lines = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd());
  const table = { titles: ['Name', 'Labels'], rows, cut: ['Labels'] };
  expect(lines((await tableFor(memoryEnv(), table)).text).slice(2)).toEqual(shown);
  expect(lines((await tableFor(memoryEnv(), { rows })).text)).toEqual(shown);
});

const OBEYED = '\u001b[2J\u007f\u0085\u009b31m\u2028\u202e\u2066\u061c';
// Whatever is printed, these are not in it.
const RAW = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

test('X12 nothing that a terminal obeys leaves by a line, JSON or YAML, and programs read the same', async () => {
  const env = memoryEnv();
  printLine(env, `a\tb\n${OBEYED}`);
  printJson(env, { [OBEYED]: OBEYED });
  await printYaml(env, { [OBEYED]: OBEYED, list: [OBEYED] });
  expect(env.out()).not.toMatch(RAW);
  expect(env.out()).toContain('a\tb\n\\x1B[2J\\x7F\\u0085\\u009B31m\\u2028\\u202E\\u2066\\u061C\n');
  expect(JSON.parse(jsonText({ [OBEYED]: OBEYED }, 2))).toEqual({ [OBEYED]: OBEYED });
  const { parse } = await import('yaml');
  expect(parse(await yamlText({ [OBEYED]: OBEYED, list: [OBEYED] }))).toEqual({ [OBEYED]: OBEYED, list: [OBEYED] });
});
