/** F13: a record that Auth does not take. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { RefusedRecords } from '../../src/audit/refused.js';
import { openAuditSpool } from '../../src/audit/spool.js';
import { TeleportError } from '../../src/errors.js';
import { createLogger } from '../../src/log.js';
import { useFolder } from '../support/folder.js';
import { mountSmallDisk, testOnSmallDisk } from '../support/small-disk.js';
import { append, numbers, taking } from './records.js';

let dir: string;
let logged = '';
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
const now = () => new Date('2026-11-21T12:00:00Z');
useFolder('refused-', (path) => {
  dir = path;
  logged = '';
});

test('F13 is set aside with the reason and alarmed, and those around it arrive', async () => {
  const got: number[] = [];
  const bad = new Set([3, 4, 17]);
  const ship = taking((lines) => {
    if (numbers(lines).some((n) => bad.has(n))) throw new TeleportError('BadParameter', 'not of this agent');
    got.push(...numbers(lines));
  });
  const spool = await openAuditSpool({ dir, ship, log, now, gatherMs: 1 });
  await Promise.all(Array.from({ length: 20 }, (_, n) => append(spool, { n })));
  await spool.drained();
  expect(got).toEqual(Array.from({ length: 20 }, (_, n) => n).filter((n) => !bad.has(n)));
  expect(spool.state).toEqual({ waitingBytes: 0, refusedRecords: 3, isFailing: false });
  await spool.close();
  const [name, ...others] = readdirSync(join(dir, 'refused'));
  expect(name).toMatch(/^2026-11-21-[0-9a-f]{16}\.log$/);
  expect(others).toEqual([]);
  const path = join(dir, 'refused', name!);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
    [3, 4, 17].map((n) => ({ time: now().toISOString(), reason: 'not of this agent', record: `{"n":${n}}` })),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(logged).toContain('Auth refuses audit records, they are set aside in');
});

test('F13 another error than a refusal of the record sets nothing aside', async () => {
  const got: number[] = [];
  const failures = ['AccessDenied', 'LimitExceeded', 'ConnectionProblem'] as const;
  let calls = 0;
  const ship = taking((lines) => {
    const code = failures[calls++];
    if (code) throw new TeleportError(code, 'not now');
    got.push(...numbers(lines));
  });
  const spool = await openAuditSpool({ dir, ship, log, now, gatherMs: 1, retryMs: { first: 1, longest: 2 } });
  await append(spool, { n: 0 });
  await spool.drained();
  expect([got, spool.state.refusedRecords]).toEqual([[0], 0]);
  await spool.close();
});

/** What is kept, in the order of the files' names. */
function kept(): Record<string, unknown>[] {
  const folder = join(dir, 'refused');
  const texts = readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  return texts.flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>),
  );
}

test('H3 of what does not fit, uid, reason and sum are kept, and a user has a part of the room', async () => {
  const record = (user: string, n: number) => JSON.stringify({ uid: `${user}-${n}`, user, text: 'x'.repeat(1000) });
  // The folder is looked at anew after a restart.
  const add = (user: string, n: number) =>
    new RefusedRecords(join(dir, 'refused'), 40_000, now).add(record(user, n), new Error('why'));
  const answers: unknown[] = [];
  for (let n = 0; n < 20; n++) answers.push(await add('alice', n));
  const whole = kept().filter(({ record }) => record !== undefined);
  const short = kept().filter(({ record }) => record === undefined);
  expect(whole).toHaveLength(7);
  expect(short[0]).toEqual({
    time: now().toISOString(),
    reason: 'why',
    uid: 'alice-7',
    user: 'alice',
    bytes: record('alice', 7).length,
    sha256: createHash('sha256').update(record('alice', 7)).digest('hex'),
  });
  // Then nothing is, which is said and holds up nothing.
  const full = { code: 'LimitExceeded', hint: expect.stringContaining('remove its files') };
  expect(answers.filter(Boolean)).toHaveLength(20 - whole.length - short.length);
  expect(answers.at(-1)).toMatchObject({ ...full, message: expect.stringContaining('alice-19') });
  expect(await add('bob', 0)).toBeUndefined();
  expect(kept().some((line) => line.record === record('bob', 0))).toBe(true);
});

test('H3 a full folder does not hold up what Auth takes, and is alarmed', async () => {
  mkdirSync(join(dir, 'refused'));
  for (const name of ['other.log', 'other.short.log']) {
    writeFileSync(join(dir, 'refused', name), '');
    truncateSync(join(dir, 'refused', name), 2 ** 26);
  }
  const got: number[] = [];
  const ship = async (lines: string[]) => {
    got.push(...numbers(lines));
    return [{ index: 0, reason: 'not of this agent' }];
  };
  const spool = await openAuditSpool({ dir, ship, log, now, gatherMs: 1 });
  await append(spool, { n: 0 });
  await spool.drained();
  await append(spool, { n: 1 });
  await spool.drained();
  expect([got, spool.state.refusedRecords]).toEqual([[0, 1], 2]);
  await spool.close();
  expect(logged).toContain('Audit records that Auth refused are lost');
});

testOnSmallDisk('H3 a full disk does not hold up what Auth takes', async () => {
  const disk = mountSmallDisk(512);
  try {
    const refused = new RefusedRecords(join(disk.dir, 'refused'), 2 ** 26, now);
    disk.fill();
    expect(await refused.add('{"uid":"u"}', new Error('why'))).toMatchObject({ code: 'LimitExceeded' });
  } finally {
    disk.unmount();
  }
});
