/** The rows of the house count what they are for: a second home and a second door, planted here, are found. */
import { resolve } from 'node:path';
import { secondDoors, secondHomesIn } from './checks.js';
import { SRC } from './graph.js';
import { HOMES } from './homes.js';

const CELLS = HOMES.find(({ home }) => home.includes('cli/cells.ts'))!;

/** Lines that lay out a text by hand, one for each pattern at least. */
const PLANTED = [
  'const width = [...name].length;',
  'return [title + line, caret([...before.slice(start)].length)];',
  "for (const { segment } of new Intl.Segmenter('en').segment(name)) width += 1;",
  "lines.push('-'.repeat(40));",
  'lines.push(`-`.repeat(width));',
  "const gap = ' '.repeat(width - name.length);",
  "import wcwidth from 'wcwidth';",
  "import { eastAsianWidth } from 'get-east-asian-width';",
  'const width = stringWidth(name);',
  'printLine(env, label.padEnd(20) + value);',
  'printLine(env, label.padEnd(LABEL_WIDTH) + value);',
  'printLine(env, title(key).padEnd(width(11)) + value);',
  'printLine(env, String(count).padStart(Math.max(width - 2)));',
  'const width = stripVTControlCharacters(name).length;',
  'const width = stripAnsi(name).length;',
  'console.table(rows);',
];

test.each(PLANTED)('U9 a second home of cells is counted: %s', (line) => {
  const found = secondHomesIn('tsh/planted.ts', ['', line]);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^tsh\/planted\.ts:2 states how wide a text is/);
  for (const home of CELLS.home) expect(secondHomesIn(home, [line])).toEqual([]);
});

test('U9 every pattern of cells has a line that it counts', () => {
  for (const pattern of CELLS.second) expect(PLANTED.filter((line) => pattern.test(line))).not.toEqual([]);
});

test.each([
  "const two = String(value).padStart(2, '0');",
  "const name = user.replace(/[^a-z]/g, '-').padEnd(2, '-');",
  "  .padStart(unit.toString().length - 1, '0')",
  "const indent = ' '.repeat(2 * depth);",
  'printLine(env, padCells(label, 20) + value);',
])('what is no layout of a text is not counted: %s', (line) => {
  expect(secondHomesIn('tsh/planted.ts', [line])).toEqual([]);
});

const DIAL = HOMES.filter(({ home }) => home.includes('api/dial.ts') || home.includes('net/routed.ts'));

const DIALLING = [
  "const client = openAuthClient({ connect, authority: 'x', version });",
  "const socket = await dialTls({ ...target, alpn: [authAlpn(cluster), 'h2'] });",
  'const transport = createGrpcTransport({ baseUrl });',
  'const calls = createClient(AuthService, transport);',
  "import { connect } from 'node:http2';",
  "const isAuth = name.startsWith('teleport-auth@');",
  "const tunnel = await upgradeConnection(outer, { host, protocol: 'alpn', timeoutMs });",
];

test.each(DIALLING)('H3 a second way to dial Auth is counted: %s', (line) => {
  expect(secondHomesIn('tctl/planted.ts', [line])).toHaveLength(1);
});

test('H3 every pattern of the dial has a line that it counts', () => {
  for (const pattern of DIAL.flatMap(({ second }) => second))
    expect(DIALLING.filter((line) => pattern.test(line))).not.toEqual([]);
});

test.each([
  ['chalk', 'cli/exit.ts', 'cli/color.ts'],
  ['cli-table3', 'cli/output.ts', 'cli/table.ts'],
  ['get-east-asian-width', 'cli/table.ts', 'cli/cells.ts'],
  ['strip-ansi', 'cli/table.ts', 'cli/cells.ts'],
])('U9 a second door of %s is counted, also in the room of the first', (target, second, door) => {
  const importing = (path: string) => [{ from: resolve(SRC, path), target, typeOnly: false, dynamic: true }];
  expect(secondDoors(importing(second))).toEqual([`${second} imports ${target}`]);
  expect(secondDoors(importing(door))).toEqual([]);
});

test.each([
  ['how another program is started', "const { spawn } = await import('node:child_process');"],
  ['how another program is started', "import { execa } from 'execa';"],
  ['what an ARN and the number of an AWS account look like', 'const role = /^arn:([^:]+):iam::(.*)$/.exec(text);'],
  ['what an ARN and the number of an AWS account look like', `return \`arn:\${partition}:iam::\${account}:role/x\`;`],
  ['what an ARN and the number of an AWS account look like', "const account = arn.split(':')[4];"],
  ['what an ARN and the number of an AWS account look like', 'if (/^\\d{12}$/.test(account)) return;'],
  ['which cluster is behind a certificate', 'const [cluster] = issuerOf(pem).get(oid) ?? [];'],
  ['which cluster is behind a certificate', 'const { CN } = new X509Certificate(pem).toLegacyObject().subject;'],
  ['the environment of this process', 'const home = process.env.HOME;'],
  ['the environment of this process', "import { env } from 'node:process';"],
  ['the environment of this process', 'const { AWS_REGION } = sdkEnv();'],
  ['the host id in the name of a host', `const name = \`\${hostId}.\${clusterName}\`;`],
  ['the host id in the name of a host', `const hostId = name.replace(\`.\${clusterName}\`, '');`],
  ['IP addresses: their spelling, and which are loopback', "const names = ['localhost', '127.0.0.1', '::1'];"],
  ['host:port as text', 'if (port > 65_535) throw wrong();'],
  ['host:port as text', "const bare = address.replace(/^https?:\\/\\//, '');"],
  ['waiting some milliseconds, or for something but not for ever', 'setTimeout(() => reject(new Error()), ms);'],
  ['waiting some milliseconds, or for something but not for ever', 'const most = 0x7fff_ffff;'],
  ['durations as Go writes them', 'const ttl = BigInt(args.ttl) * 1_000_000n;'],
  ["which error a status of the Proxy's web API is, and what its error answers look like", "  403: 'AccessDenied',"],
  [
    "which error a status of the Proxy's web API is, and what its error answers look like",
    'const said = answer.error?.message;',
  ],
])('H1 a second home is counted: %s: %s', (fact, line) => {
  expect(secondHomesIn('tsh/planted.ts', [line]).map((found) => found.split(', at home')[0])).toEqual([
    `tsh/planted.ts:1 states ${fact}`,
  ]);
});
