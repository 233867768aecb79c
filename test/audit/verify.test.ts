/**
 * Every kind of tampering with the audit log is found, with file and line. Each attack is made on a log that Auth's own
 * writer wrote, by somebody who can do anything in its folder and knows how the chain is made.
 * Tests: src/audit/seal.ts, src/audit/whole-lines.ts, src/audit/old-days.ts, src/audit/log-end.ts
 */
import { createHash, type KeyObject } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { chained, type Link, unchained } from '../../src/audit/chain.js';
import { auditEvent } from '../../src/audit/events.js';
import { lookAtOldDays } from '../../src/audit/old-days.js';
import { recordText } from '../../src/audit/record-text.js';
import { headIn, isSealed, publicKeyOf, publicKeyText, type Sealed, sealed } from '../../src/audit/seal.js';
import { sealedIn, verifyLog } from '../../src/audit/verify.js';
import { MOST_LINE_BYTES, TOO_LONG } from '../../src/audit/whole-lines.js';
import { type AuditLog, openAuditLog } from '../../src/audit/writer.js';
import { createLogger } from '../../src/log.js';
import { generateKey, publicHalf } from '../../src/pki/keys.js';

const clusterName = 'root.example.com';
let base: string;
let dir: string;
let clock: Date;
let logged = '';
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
const now = () => clock;
let key: KeyObject;
let publicKey: KeyObject;
let other: KeyObject;
beforeAll(async () => {
  [key, other] = await Promise.all([generateKey('ed25519'), generateKey('ed25519')]);
  publicKey = publicHalf(key);
});
const DAY1 = '2026-11-21.log';
const DAY2 = '2026-11-22.log';
const event = (text: string) => auditEvent('db.session.query', 'ok', { db_query: text }, { clusterName, now });
const headFile = () => join(base, 'audit.head');
const open = (more: object = {}) =>
  openAuditLog({
    dir,
    now,
    log,
    host: 'auth',
    clusterName,
    seal: {
      key,
      headFile: headFile(),
      head: undefined,
      ...(readdirSync(base).includes('audit.head') ? headIn(readFileSync(headFile(), 'utf8')) : {}),
      write: async (path, text) => writeFileSync(path, text),
    },
    ...more,
  });
const readHead = (): Sealed | undefined =>
  readdirSync(base).includes('audit.head') ? sealedIn(readFileSync(headFile(), 'utf8')) : undefined;
const linesOf = (file: string) => readFileSync(join(dir, file), 'utf8').split('\n').slice(0, -1);
const write = (file: string, lines: string[]) =>
  writeFileSync(join(dir, file), lines.map((line) => `${line}\n`).join(''));
const edit = (file: string, change: (lines: string[]) => string[]) => write(file, change(linesOf(file)));
const verify = (more: object = {}) => verifyLog({ dir, key: publicKey, checkpoints: [readHead()!], ...more });
const problems = async (more: object = {}) =>
  (await verify(more)).problems.map(({ file, line, what }) => `${file.slice(dir.length + 1)}:${line} ${what}`);

/** As an agent sends it. */
async function session(audit: AuditLog, sid: string, texts: string[], host = 'agent'): Promise<void> {
  let prev = '0'.repeat(64);
  for (const [ei, db_query] of texts.entries()) {
    const record = recordText({ ...event(db_query), ei, sid, prev });
    await audit.take([{ uid: `${sid} ${ei} ${host}`, text: record }], host);
    prev = createHash('sha256').update(record).digest('hex');
  }
}

/** Two days: records 1 to 6, a checkpoint at 3, one at the end of the day, and one at the end. */
beforeEach(async () => {
  logged = '';
  base = mkdtempSync(join(tmpdir(), 'audit-'));
  dir = join(base, 'log');
  clock = new Date('2026-11-21T12:00:00Z');
  const audit = await open();
  await audit.append([event('a')]);
  await audit.append([event('b')]);
  await audit.checkpoint();
  await audit.append([event('c')]);
  clock = new Date('2026-11-22T12:00:00Z');
  await session(audit, 's1', ['d\ufffd', 'e']);
  await audit.close();
});
afterEach(() => rmSync(base, { recursive: true }));

test('a log that nobody touched is whole', async () => {
  expect(
    [...linesOf(DAY1), ...linesOf(DAY2)].map((line) => JSON.parse(line).db_query ?? JSON.parse(line).event),
  ).toEqual(['a', 'b', 'audit.checkpoint', 'c', 'audit.checkpoint', 'd\ufffd', 'e', 'audit.checkpoint']);
  expect(await verify()).toEqual({
    files: 2,
    records: 8,
    first: 1,
    last: 8,
    checkpoints: 3,
    unsigned: 0,
    sessions: 1,
    unchained: 0,
    unsignedAtStart: [],
    incomparable: 0,
    problems: [],
  });
});

test('records behind the last checkpoint are counted as not signed yet', async () => {
  const audit = await open();
  await audit.append([event('f')]);
  expect(await verify()).toMatchObject({ records: 9, unsigned: 1, problems: [] });
  await audit.close();
});

/** Writes everything anew from a line on, so that the chain itself is right. */
function rechain(from: Link, records: { text: string; host: string; received: string }[]): string[] {
  let end = from;
  return records.map(({ text, host, received }) => {
    const { line, link } = chained(text, { host, received }, end);
    end = link;
    return line;
  });
}

const ATTACKS: [string, () => void, string[]][] = [
  [
    'a letter of a record is edited',
    () => edit(DAY1, ([a, b, ...rest]) => [a!, b!.replace('"db_query":"b"', '"db_query":"B"'), ...rest]),
    [`${DAY1}:2 it was edited, or what stands before it was`],
  ],
  [
    'L8 a letter becomes a byte that reads as the same letter',
    () => {
      const bytes = readFileSync(join(dir, DAY2));
      const at = bytes.indexOf('\ufffd');
      writeFileSync(join(dir, DAY2), Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]));
    },
    [`${DAY2}:1 it is not UTF-8: Auth did not write it so`],
  ],
  [
    'the time of receipt is edited',
    () => edit(DAY1, ([a, ...rest]) => [a!.replace('"received":"2026', '"received":"2025'), ...rest]),
    [`${DAY1}:1 it was edited, or what stands before it was`],
  ],
  [
    'the host is edited',
    () => edit(DAY2, ([d, ...rest]) => [d!.replace('"host":"agent"', '"host":"agenT"'), ...rest]),
    [
      `${DAY2}:1 it was edited, or what stands before it was`,
      expect.stringContaining(`${DAY2}:2 `) as unknown as string,
    ],
  ],
  [
    'a record is taken out',
    () => edit(DAY1, ([a, , ...rest]) => [a!, ...rest]),
    [`${DAY1}:2 record 2 is missing before it`],
  ],
  [
    'the first record is taken out',
    () => edit(DAY1, ([, ...rest]) => rest),
    [`${DAY1}:1 record 1 is missing before it: the log does not begin here`],
  ],
  [
    'two records change places',
    () => edit(DAY1, ([a, b, ...rest]) => [b!, a!, ...rest]),
    [
      `${DAY1}:1 record 1 is missing before it: the log does not begin here`,
      `${DAY1}:2 record 1 stands behind record 2`,
      `${DAY1}:3 record 2 is missing before it`,
    ],
  ],
  [
    'a record is put in twice',
    () => edit(DAY1, ([a, ...rest]) => [a!, a!, ...rest]),
    [`${DAY1}:2 record 1 stands behind record 1`],
  ],
  [
    'a record of somebody else is put in',
    () => edit(DAY1, ([a, ...rest]) => [a!, recordText(event('x')), ...rest]),
    [`${DAY1}:2 it has no place in the chain: Auth did not write it so`],
  ],
  [
    'the end of a day is cut off',
    () => edit(DAY1, (lines) => lines.slice(0, 3)),
    [`${DAY2}:1 records 4 to 5 are missing before it`],
  ],
  [
    'a whole day is taken away',
    () => rmSync(join(dir, DAY1)),
    [`${DAY2}:1 records 1 to 5 are missing before it: the log does not begin here`],
  ],
  [
    'M1 a day is put behind the day before, where nobody looks who asks for that day',
    () => {
      edit(DAY1, (lines) => [...lines, ...linesOf(DAY2)]);
      rmSync(join(dir, DAY2));
    },
    [6, 7].map((line) => `${DAY1}:${line} it was received on 2026-11-22: it was moved to the file of an earlier day`),
  ],
  [
    'L3 a file without an end of a line is put there',
    () => writeFileSync(join(dir, '2020-01-01.log'), Buffer.alloc(MOST_LINE_BYTES + 1)),
    [`2020-01-01.log:1 ${TOO_LONG}`],
  ],
  [
    'L3 a line is put there that is too long',
    () => edit(DAY1, (lines) => ['x'.repeat(MOST_LINE_BYTES + 1), ...lines]),
    [`${DAY1}:1 ${TOO_LONG}`],
  ],
  [
    'the end of the log is cut off',
    () => edit(DAY2, ([d]) => [d!]),
    [`${DAY2}:0 the end is missing: the log ends with record 6, and Auth has signed record 7`],
  ],
  [
    'the last day is taken away',
    () => rmSync(join(dir, DAY2)),
    [`${DAY1}:0 the end is missing: the log ends with record 5, and Auth has signed record 7`],
  ],
  [
    'everything is taken away',
    () => [DAY1, DAY2].map((name) => rmSync(join(dir, name))),
    [':0 the end is missing: the log ends with record 0, and Auth has signed record 7'],
  ],
  [
    'a record is edited and the chain is made anew behind it',
    () =>
      edit(DAY1, (lines) => {
        const parts = lines.map((line) => unchained(line)!);
        const records = parts.map(({ record, host, received }) => ({ text: record, host, received }));
        records[1]!.text = records[1]!.text.replace('"db_query":"b"', '"db_query":"B"');
        return rechain({ n: 0, sum: '0'.repeat(64) }, records);
      }),
    [
      `${DAY1}:3 this checkpoint does not say what stands before it`,
      `${DAY1}:5 this checkpoint does not say what stands before it`,
      `${DAY2}:1 it was edited, or what stands before it was`,
    ],
  ],
  [
    'a record is taken out, and chain and checkpoints are made anew with another key',
    () => forgeFrom(other),
    [
      expect.stringMatching(
        `${DAY1}:2 the signature of this checkpoint is not that of the key \\(it names another: .*\\)`,
      ) as unknown as string,
      expect.stringMatching(`${DAY1}:4 the signature of this checkpoint`) as unknown as string,
      `${DAY2}:1 record 5 is missing before it`,
    ],
  ],
  [
    'the stamps are taken away, as if an older version had written it',
    () => {
      for (const name of [DAY1, DAY2]) edit(name, (lines) => lines.map((line) => unchained(line)!.record));
    },
    [`${DAY2}:0 the end is missing: the log ends with record 0, and Auth has signed record 7`],
  ],
  [
    'the beginning is taken away as if it were old, with a checkpoint as its farewell',
    () => {
      const head = linesOf(DAY1).at(-1)!;
      rmSync(join(dir, DAY1));
      write('head.log', [head]);
    },
    [
      'head.log:1 its signature is not that of the key',
      expect.stringContaining(`${DAY2}:1 record 5 is missing before it`) as unknown as string,
    ],
  ],
];

function forgeFrom(forger: KeyObject): void {
  edit(DAY1, (lines) => {
    const kept = lines.filter((_, at) => at !== 1).map((line) => unchained(line)!);
    let end: Link = { n: 0, sum: '0'.repeat(64) };
    return kept.map(({ record, host, received }) => {
      const members = JSON.parse(record) as { event: string; time: string };
      const text =
        members.event === 'audit.checkpoint'
          ? recordText({
              ...members,
              ...sealed('checkpoint', forger, end, { cluster_name: clusterName, time: members.time }),
            })
          : record;
      const { line, link } = chained(text, { host, received }, end);
      end = link;
      return line;
    });
  });
}

test.each(ATTACKS)('it is found when %s', async (_, attack, found) => {
  attack();
  expect(await problems()).toEqual(found);
});

test('who has the key can write another log, and a checkpoint that is kept elsewhere shows it', async () => {
  const kept = linesOf(DAY1)
    .map(sealedIn)
    .filter((one) => one !== undefined);
  forgeFrom(key);
  rmSync(join(dir, DAY2));
  expect(await problems({ checkpoints: [] })).toEqual([]);
  expect(await problems({ checkpoints: kept })).toContain(
    `${DAY1}:2 a checkpoint that is kept elsewhere says something else about this record`,
  );
});

test('a session of which records are missing, or that was told in another order, is found', async () => {
  const audit = await open();
  const prev = (record: string) => createHash('sha256').update(record).digest('hex');
  const records: string[] = [];
  for (let ei = 0; ei < 5; ei++) {
    const before = records.at(-1);
    records.push(recordText({ ...event(`${ei}`), ei, sid: 's2', prev: before ? prev(before) : '0'.repeat(64) }));
  }
  const take = (...which: number[]) =>
    audit.take(
      which.map((ei) => ({ uid: `s2 ${ei}`, text: records[ei]! })),
      'agent',
    );
  await take(0, 1, 3);
  await audit.take(
    [{ uid: 'x', text: recordText({ ...event('4 edited'), ei: 4, sid: 's2', prev: prev('x') }) }],
    'agent',
  );
  await session(audit, 's3', ['a', 'b']);
  await audit.take([{ uid: 'y', text: recordText({ ...event('b'), ei: 7, sid: 's4', prev: prev('x') }) }], 'agent');
  await audit.close();
  expect(await problems()).toEqual([
    `${DAY2}:6 of session s2, record 2 is missing before it`,
    `${DAY2}:7 it does not follow record 3 of session s2`,
    `${DAY2}:10 of session s4, records 0 to 6 are missing before it`,
  ]);
});

test('L1 an agent that tells again what it has told, and tells it otherwise, is found', async () => {
  const audit = await open();
  await session(audit, 's2', ['a', 'b', 'c', 'd']);
  const records = linesOf(DAY2).slice(-4);
  const prev = JSON.parse(records[1]!).prev as string;
  const text = recordText({ ...event('B'), ei: 1, sid: 's2', prev });
  await audit.take([{ uid: 'other', text }], 'agent');
  await audit.close();
  expect(await problems()).toEqual([`${DAY2}:${linesOf(DAY2).length - 1} session s2 has two records 1`]);
});

test('L5 of two checkpoints of one batch the newer one is kept', async () => {
  const audit = await open();
  const text = 'x'.repeat(900_000);
  const big = Array.from({ length: 20 }, (_, n) => ({ uid: `big ${n}`, text: recordText(event(`${n} ${text}`)) }));
  await audit.append([event('first')]);
  // While the second one is written, the others form a batch.
  await Promise.all([audit.append([event('second')]), audit.take(big, 'agent'), audit.checkpoint()]);
  const numbers = linesOf(DAY2).flatMap((line) => sealedIn(unchained(line)!.record)?.last_n ?? []);
  expect(numbers.length).toBeGreaterThan(2);
  expect(readHead()!.last_n).toBe(Math.max(...numbers));
  await audit.close();
});

test('records of a version without a chain are counted, and nothing vouches for them', async () => {
  write('2026-11-20.log', [recordText(event('old')), recordText(event('older'))]);
  expect(await verify()).toMatchObject({ unchained: 2, records: 8, problems: [] });
});

test('Auth that finds its log cut off says so, and the gap stays', async () => {
  edit(DAY2, ([d]) => [d!]);
  const audit = await open();
  await audit.append([event('f')]);
  await audit.close();
  expect(JSON.parse(linesOf(DAY2)[1]!)).toMatchObject({ event: 'audit.log.changed', auth: { n: 8 } });
  expect(await problems()).toEqual([`${DAY2}:2 record 7 is missing before it`]);
});

test('a log that is written anew while Auth is away, without the signatures in it, is not signed when Auth comes back', async () => {
  edit(DAY1, (lines) => {
    const parts = lines.map((line) => unchained(line)!);
    const records = parts.map(({ record, host, received }) => ({ text: record, host, received }));
    records[1]!.text = records[1]!.text.replace('"db_query":"b"', '"db_query":"B"');
    const harmless = recordText(event('nothing'));
    for (const one of records) {
      if (one.text.includes('audit.checkpoint')) Object.assign(one, { text: harmless, received: records[0]!.received });
    }
    return rechain({ n: 0, sum: '0'.repeat(64) }, records);
  });
  const end = unchained(linesOf(DAY1).at(-1)!)!;
  edit(DAY2, (lines) => {
    const records = lines
      .map((line) => unchained(line)!)
      .map(({ record, host, received }) => ({ text: record, host, received }));
    records[2]!.text = recordText(event('nothing'));
    return rechain(end, records);
  });
  expect(await problems({ checkpoints: [] })).toEqual([]);
  const audit = await open();
  await audit.append([event('f')]);
  await audit.close();
  expect(JSON.parse(linesOf(DAY2)[3]!)).toMatchObject({
    event: 'audit.log.changed',
    message: 'record 7 of the audit log is not the one that was signed',
  });
  expect(await problems()).toEqual([`${DAY2}:4 it was edited, or what stands before it was`]);
});

/** One line more, rightly chained, as anybody can make it. */
const forge = (text: string) =>
  edit(DAY2, (lines) => {
    const record = { text: recordText(event(text)), host: 'agent', received: '2026-11-22T12:30:00.000Z' };
    return [...lines, ...rechain(unchained(lines.at(-1)!)!, [record])];
  });

test('M5 what somebody wrote behind a clean end is never signed, and Auth says so', async () => {
  forge('forged');
  const audit = await open();
  await audit.append([event('f')]);
  await audit.close();
  expect(
    linesOf(DAY2)
      .map((line) => JSON.parse(line))
      .slice(4),
  ).toMatchObject([
    {
      event: 'audit.log.changed',
      message: 'Auth had ended with record 8, and somebody has written record 9',
    },
    { db_query: 'f' },
    { event: 'audit.checkpoint' },
  ]);
  expect(await problems()).toEqual([`${DAY2}:5 it was edited, or what stands before it was`]);
  expect(logged).toContain('Somebody has changed the audit log.');
});

test('M5 a record in the place of the last checkpoint is noticed', async () => {
  edit(DAY2, (lines) => lines.slice(0, -1));
  forge('forged');
  await (await open()).close();
  expect(JSON.parse(linesOf(DAY2)[3]!)).toMatchObject({ event: 'audit.log.changed', auth: { n: 9 } });
});

test('M5 after a crash the records that no signature covered are named, and "tctl audit verify" shows them', async () => {
  const crashed = await open();
  await crashed.append([event('f'), event('g')]);
  const audit = await open();
  await audit.close();
  expect(JSON.parse(linesOf(DAY2)[5]!)).toMatchObject({
    event: 'audit.log.unsigned',
    code: 'TAU04W',
    first_n: 9,
    last_n: 10,
    success: false,
  });
  expect(await verify()).toMatchObject({ unsignedAtStart: [{ first: 9, last: 10 }], problems: [] });
  const again = await open();
  await again.close();
  expect(await verify()).toMatchObject({ unsignedAtStart: [{ first: 9, last: 10 }], problems: [] });
  await crashed.close();
});

test('M5 a checkpoint that Auth could not keep elsewhere covers what stands before it', async () => {
  const crashed = await open();
  const kept = readFileSync(headFile());
  await crashed.append([event('f')]);
  await crashed.checkpoint();
  writeFileSync(headFile(), kept);
  const audit = await open();
  await audit.append([event('g')]);
  expect(
    linesOf(DAY2)
      .slice(3)
      .map((line) => JSON.parse(line).db_query ?? JSON.parse(line).event),
  ).toEqual(['f', 'audit.checkpoint', 'g']);
  await audit.close();
  await crashed.close();
});

test('M6 the record that was signed last is found however much came behind it', async () => {
  // Fewer bytes than a checkpoint waits for, and more than ids of events are looked for in.
  const crashed = await open();
  for (let n = 0; n < 5; n++) await crashed.append([event('x'.repeat(10 ** 6))]);
  const audit = await open({ maxRemembered: 10 });
  expect(linesOf(DAY2).map((line) => JSON.parse(line).event)).not.toContain('audit.log.changed');
  await audit.close();
  expect(await problems()).toEqual([]);
  await crashed.close();
});

test('M6 a checkpoint comes also after 16 MiB', async () => {
  const audit = await open();
  for (let n = 0; n < 18; n++) await audit.append([event('x'.repeat(2 ** 20))]);
  const events = linesOf(DAY2).map((line) => JSON.parse(line).event);
  expect(events.slice(3).indexOf('audit.checkpoint')).toBe(16);
  await audit.close();
});

test('after a farewell the record that was signed last is there, also where Auth ends at once', async () => {
  clock = new Date('2026-11-23T12:00:00Z');
  const audit = await open({ keepDays: 0 });
  expect(readdirSync(dir).sort()).toEqual(['2026-11-23.log', 'head.log']);
  // Nobody closes the first one.
  const again = await open({ keepDays: 0 });
  await again.append([event('f')]);
  await again.close();
  expect(linesOf('2026-11-23.log').map((line) => JSON.parse(line).event)).not.toContain('audit.log.changed');
  await audit.close().catch(() => {});
});

test('days that are old are deleted whole, and a signature over their last record is the new beginning', async () => {
  clock = new Date('2026-11-23T12:00:00Z');
  const audit = await open({ keepDays: 1 });
  await audit.append([event('f')]);
  await audit.close();
  expect(readdirSync(dir).sort()).toEqual([DAY2, '2026-11-23.log', 'head.log']);
  expect(linesOf('2026-11-23.log').map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ event: 'audit.log.expired', first_day: '2026-11-21', last_day: '2026-11-21', last_n: 5 }),
  );
  expect(await verify()).toMatchObject({ first: 6, problems: [] });
  rmSync(join(dir, DAY2));
  expect(await problems()).toEqual(['2026-11-23.log:1 records 6 to 8 are missing before it']);
});

const copyOfTheLast = () => linesOf(DAY2).at(-1)!;
test.each<[string, () => void, string]>([
  [
    'a copy of a record that is not old stands at their end',
    () => edit(DAY1, (lines) => [...lines, copyOfTheLast()]),
    `${DAY1}:6: records 6 to 7 are missing before it`,
  ],
  [
    'everything that stays was moved to them',
    () => {
      edit(DAY1, (lines) => [...lines, ...linesOf(DAY2)]);
      rmSync(join(dir, DAY2));
    },
    `${DAY1}:6: it is of 2026-11-22T12:00:00.000Z, which is not old`,
  ],
  [
    'a record of them was edited',
    () => edit(DAY1, ([a, b, ...rest]) => [a!, b!.replace('"b"', '"B"'), ...rest]),
    `${DAY1}:2: it was edited, or what stands before it was`,
  ],
  [
    'their chain was made anew, and its signatures with another key',
    () => forgeFrom(other),
    `${DAY1}:2: the signature of this checkpoint is not that of the key`,
  ],
  [
    'their stamps were taken away, as if an older version had written them',
    () => edit(DAY1, (lines) => lines.map((line) => unchained(line)!.record)),
    `${DAY2}:1: records 1 to 5 are missing before it`,
  ],
  [
    'what follows them was taken away',
    () => edit(DAY2, (lines) => lines.slice(1)),
    `${DAY2}:1: record 6 is missing before it`,
  ],
  [
    'another beginning stands before them',
    () => write('head.log', [linesOf(DAY1)[2]!]),
    'head.log does not have the signature of Auth',
  ],
])('H4 old days are not deleted, and no beginning is signed, when %s', async (_, attack, found) => {
  clock = new Date('2026-11-23T00:30:00Z');
  attack();
  const before = readdirSync(dir);
  const audit = await open({ keepDays: 1 });
  await audit.close();
  expect(readdirSync(dir)).toEqual(expect.arrayContaining([DAY1, ...before]));
  const events = linesOf('2026-11-23.log').map((line) => JSON.parse(line) as { event: string; message: string });
  expect(events.map((one) => one.event)).not.toContain('audit.log.expired');
  expect(events.at(-2)).toMatchObject({
    event: 'audit.log.changed',
    message: expect.stringContaining('the days before 2026-11-22 are old and are not deleted: '),
  });
  expect(events.at(-2)!.message).toContain(found);
});

test('M8 a clock that jumps ahead deletes nothing before a day has gone by with it', async () => {
  const audit = await open({ keepDays: 1 });
  clock = new Date('2030-01-01T12:00:00Z');
  await audit.append([event('f')]);
  await audit.check();
  expect(readdirSync(dir).sort()).toEqual([DAY1, DAY2, '2030-01-01.log']);
  clock = new Date('2030-01-02T10:00:00Z');
  await audit.append([event('g')]);
  await audit.close();
  expect(readdirSync(dir).sort()).toEqual(['2030-01-01.log', '2030-01-02.log', 'head.log']);
  expect(await problems()).toEqual([]);
});

test('M8 the same at the start of Auth', async () => {
  clock = new Date('2030-01-01T12:00:00Z');
  await (await open({ keepDays: 1 })).close();
  expect(readdirSync(dir)).toContain(DAY1);
});

test('H4 where no file has a record behind the old days, they end with the last record of the log', async () => {
  write(DAY2, []);
  const days = { dir, key, old: ['2026-11-21'], kept: ['2026-11-22'], firstKept: '2026-11-22' };
  const { n, sum } = unchained(linesOf(DAY1).at(-1)!)!;
  expect(await lookAtOldDays({ ...days, end: { n, sum } })).toEqual({ end: { n, sum } });
  expect(await lookAtOldDays({ ...days, end: { n: 8, sum } })).toEqual({
    wrong: 'record 5 is their last one, and that of the log is record 8: what is between is lost',
  });
});

test('H4 old days go again after a crash between the farewell and the deleting', async () => {
  clock = new Date('2026-11-23T00:30:00Z');
  const day1 = linesOf(DAY1);
  await (await open({ keepDays: 1 })).close();
  write(DAY1, day1);
  await (await open({ keepDays: 1 })).close();
  expect(readdirSync(dir).sort()).toEqual([DAY2, '2026-11-23.log', 'head.log']);
  expect(await verify()).toMatchObject({ first: 6, problems: [] });
});

test('H4 kept checkpoints of days that were deleted are counted, and the one of the farewell is compared', async () => {
  const kept = linesOf(DAY1)
    .map(sealedIn)
    .filter((one) => one !== undefined);
  clock = new Date('2026-11-23T12:00:00Z');
  await (await open({ keepDays: 1 })).close();
  expect(await verify({ checkpoints: kept })).toMatchObject({ incomparable: 2, problems: [] });
  const facts = { cluster_name: clusterName, time: 't' };
  const another = sealed('checkpoint', key, { n: 5, sum: 'a'.repeat(64) }, facts);
  expect(await problems({ checkpoints: [another] })).toEqual([
    'head.log:1 a checkpoint that is kept elsewhere says something else about this record',
  ]);
});

test('a day ends while Auth runs: its old days go then', async () => {
  const audit = await open({ keepDays: 1 });
  clock = new Date('2026-11-23T00:00:01Z');
  await audit.append([event('f')]);
  await audit.close();
  expect(readdirSync(dir).sort()).toEqual([DAY2, '2026-11-23.log', 'head.log']);
  expect(await problems()).toEqual([]);
});

test('a clock that is put back does not change the order of the files', async () => {
  clock = new Date('2026-11-21T23:00:00Z');
  const audit = await open();
  await audit.append([event('f')]);
  await audit.close();
  expect(linesOf(DAY2)).toHaveLength(5);
  expect(await problems()).toEqual([]);
});

test('the key is compared as a short text, and a signature is for one purpose', () => {
  const one = sealed('checkpoint', key, { n: 7, sum: 'a'.repeat(64) }, { cluster_name: clusterName, time: 't' });
  expect(one.public_key).toBe(publicKeyText(publicKey));
  expect(isSealed('checkpoint', one, publicKeyOf(one.public_key))).toBe(true);
  expect(isSealed('farewell', one, publicKey)).toBe(false);
  for (const change of [{ last_n: 8 }, { last_sum: 'b'.repeat(64) }, { time: 'u' }, { cluster_name: 'x' }]) {
    expect(isSealed('checkpoint', { ...one, ...change }, publicKey)).toBe(false);
  }
});
