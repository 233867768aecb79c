/** The chain of Auth's log, the form of its records, and its file when somebody lays hands on it. Tests: src/audit/record-text.ts, src/audit/day-file.ts, src/audit/plain-file.ts */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CHAIN_START, sumOf, unchained } from '../../src/audit/chain.js';
import { auditEvent } from '../../src/audit/events.js';
import { recordText } from '../../src/audit/record-text.js';
import { searchAuditLog } from '../../src/audit/search.js';
import { verifyLog } from '../../src/audit/verify.js';
import { openAuditLog } from '../../src/audit/writer.js';
import { createLogger } from '../../src/log.js';

let dir: string;
let path: string;
let clock: Date;
let logged = '';
const now = () => clock;
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
const query = (text: string) =>
  auditEvent('db.session.query', 'ok', { db_query: text }, { clusterName: 'root.example.com', now });
const open = () => openAuditLog({ dir, now, log, host: 'auth-host', clusterName: 'root.example.com' });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'audit-'));
  path = join(dir, '2026-11-21.log');
  clock = new Date('2026-11-21T23:59:00Z');
  logged = '';
});
afterEach(() => rmSync(dir, { recursive: true }));

const linesOf = (...files: string[]) =>
  files.flatMap((file) => readFileSync(join(dir, file), 'utf8').split('\n').slice(0, -1));
const texts = (lines: string[]) => lines.map((line) => JSON.parse(line).db_query ?? JSON.parse(line).event);

/** As the RFD says it, with nothing of ours but SHA-256. */
function expectWhole(lines: string[]): void {
  let before = CHAIN_START;
  for (const line of lines) {
    const stamped = unchained(line)!;
    expect(stamped).toMatchObject({ n: before.n + 1, sum: sumOf(before.sum, line.replace(/,"sum":"\w+"\}\}$/, '}}')) });
    before = stamped;
  }
}

test('each record has a number and a sum over all before it, across days and restarts', async () => {
  const first = await open();
  await Promise.all(['a', 'b', 'c'].map((text) => first.append([query(text)])));
  clock = new Date('2026-11-22T00:00:01Z');
  await first.append([query('d')]);
  await first.close();
  const second = await open();
  await second.append([query('e')]);
  await second.close();
  const lines = linesOf('2026-11-21.log', '2026-11-22.log');
  expect(texts(lines)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expectWhole(lines);
});

test('a record stands in the log letter for letter, and behind it when Auth had it and from whom', async () => {
  const audit = await open();
  const record = recordText(query('select 1'));
  await audit.take([{ uid: 'u', text: record }], 'agent-host');
  await audit.close();
  const [line] = linesOf('2026-11-21.log');
  expect(line!.startsWith(record.slice(0, -1))).toBe(true);
  expect(unchained(line!)).toMatchObject({ record, host: 'agent-host', received: '2026-11-21T23:59:00.000Z' });
});

test('a text that looks like a stamp is none', async () => {
  const audit = await open();
  const stamp = `,"auth":{"received":"2026-11-21T00:00:00Z","host":"x","n":9,"sum":"${'0'.repeat(64)}"}}`;
  await audit.append([query(stamp), query('b')]);
  await audit.close();
  expectWhole(linesOf('2026-11-21.log'));
});

test('X12 the file has nothing that a terminal obeys or that ends a line', async () => {
  const audit = await open();
  const bad = '\u0000\u001b[2J\u007f\u0085\u009b31m\u2028\u2029\u202e\u2066\u061c\u200f';
  await audit.append([{ ...query(bad), [bad]: bad }]);
  await audit.close();
  const text = readFileSync(path, 'utf8');
  expect(text).not.toMatch(
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u061c\u200f]/,
  );
  expect(JSON.parse(text)).toMatchObject({ db_query: bad, [bad]: bad });
});

test.each<[string, () => void, string, string]>([
  ['deleted', () => rmSync(path), 'deleted or renamed', ''],
  ['renamed', () => renameSync(path, `${path}.1`), 'deleted or renamed', ''],
  [
    'replaced, as by sed -i,',
    () => {
      writeFileSync(`${path}.new`, 'nothing happened\n');
      renameSync(`${path}.new`, path);
    },
    'replaced by another file',
    'nothing happened\n',
  ],
  [
    'replaced by a link to itself',
    () => {
      renameSync(path, `${path}.1`);
      symlinkSync(`${path}.1`, path);
    },
    'replaced by another file',
    '',
  ],
])('F8 a day file that is %s is noticed at the next record and written anew, whole', async (_, attack, said, kept) => {
  const audit = await open();
  await audit.append([query('a'), query('b')]);
  attack();
  await audit.append([query('c')]);
  await audit.close();
  const lines = linesOf('2026-11-21.log');
  expect(texts(lines)).toEqual(['a', 'b', 'audit.log.changed', 'c']);
  expectWhole(lines);
  expect(JSON.parse(lines[2]!)).toMatchObject({
    code: 'TAU01W',
    success: false,
    message: expect.stringContaining(said),
  });
  expect(logged).toContain('Somebody has changed the audit log.');
  const aside = readdirSync(dir).filter((name) => name.endsWith('.replaced'));
  expect(aside).toHaveLength(said.startsWith('replaced') ? 1 : 0);
  if (kept) expect(readFileSync(join(dir, aside[0]!), 'utf8')).toBe(kept);
});

test('F8 a day file that is shortened is noticed at the next record, and what is missing shows in its numbers', async () => {
  const audit = await open();
  await audit.append([query('a')]);
  const { length } = readFileSync(path);
  await audit.append([query('b')]);
  truncateSync(path, length);
  await audit.append([query('c')]);
  await audit.close();
  const lines = linesOf('2026-11-21.log');
  expect(texts(lines)).toEqual(['a', 'audit.log.changed', 'c']);
  expect(lines.map((line) => unchained(line)!.n)).toEqual([1, 3, 4]);
});

test('F8 a check, as at SIGHUP, puts a deleted file back without a new record', async () => {
  const audit = await open();
  await audit.append([query('a')]);
  rmSync(path);
  await audit.check();
  expect(texts(linesOf('2026-11-21.log'))).toEqual(['a', 'audit.log.changed']);
  await audit.close();
});

const OTHERS: [string, (place: string) => void][] = [
  ['link', (place) => symlinkSync(join(dir, 'other'), place)],
  ['pipe', (place) => void execFileSync('mkfifo', [place])],
];
test.each(OTHERS)(
  'M9 a %s in the place of a file of the log is not followed, waited for or written to',
  async (_, put) => {
    writeFileSync(join(dir, 'other'), 'half a line');
    put(path);
    const refused = { code: 'BadParameter', message: expect.stringContaining('not a plain file') };
    await expect(open()).rejects.toMatchObject(refused);
    await expect(verifyLog({ dir })).rejects.toMatchObject(refused);
    const all = { from: new Date(0), to: new Date('2030-01-01T00:00:00Z'), limit: 10 };
    await expect(searchAuditLog(dir, all)).rejects.toMatchObject(refused);
    rmSync(path);
    const audit = await open();
    clock = new Date('2026-11-22T00:00:01Z');
    put(join(dir, '2026-11-22.log'));
    await expect(audit.append([query('a')])).rejects.toMatchObject(refused);
    await audit.close();
    rmSync(join(dir, '2026-11-22.log'));
    put(join(dir, 'head.log'));
    await expect(verifyLog({ dir })).rejects.toMatchObject(refused);
    expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('half a line');
  },
);

test('M9 to look at the log at the start changes nothing in it', async () => {
  writeFileSync(join(dir, '2026-11-20.log'), 'half a line');
  await (await open()).close();
  expect(readFileSync(join(dir, '2026-11-20.log'), 'utf8')).toBe('half a line');
});

test('L10 a folder under the name of the copy does not keep the file from being written anew', async () => {
  const audit = await open();
  await audit.append([query('a')]);
  mkdirSync(join(dir, '.2026-11-21.tmp/full'), { recursive: true });
  rmSync(path);
  await audit.append([query('b')]);
  await audit.close();
  expect(texts(linesOf('2026-11-21.log'))).toEqual(['a', 'audit.log.changed', 'b']);
});
