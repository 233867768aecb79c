/**
 * Full and failing disks under the spool of an agent and the audit log of Auth.
 * Tests: src/audit/line-file.ts, src/audit/writer.ts
 */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Sealed } from '../../src/audit/seal.js';
import { type AuditSpool, openAuditSpool } from '../../src/audit/spool.js';
import { sealedIn, verifyLog } from '../../src/audit/verify.js';
import { openAuditLog } from '../../src/audit/writer.js';
import { createLogger } from '../../src/log.js';
import { generateKey } from '../../src/pki/keys.js';
import { runScript } from '../support/script.js';
import { mountSmallDisk, type SmallDisk, testOnSmallDisk, testWithLimit } from '../support/small-disk.js';
import { append, taking } from './records.js';

const retryMs = { first: 1, longest: 2 };
const TEXT = 'x'.repeat(1000);

/** Appends until it is refused. @returns the numbers that were acknowledged */
async function appendUntilRefused(spool: AuditSpool, from = 0): Promise<number[]> {
  const done: number[] = [];
  for (let n = from; n < from + 100_000; n++) {
    try {
      await append(spool, { n, text: TEXT });
      done.push(n);
    } catch (error) {
      expect(error).toMatchObject({ code: 'LimitExceeded', message: expect.stringContaining('the disk is full') });
      expect((error as { hint?: string }).hint).toContain('Free space');
      return done;
    }
  }
  throw new Error('it was never refused');
}

describe('F1 a full disk', () => {
  let disk: SmallDisk | undefined;
  let logged = '';
  let isAway = true;
  let got: number[] = [];
  const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
  const alarms = () => logged.split('\n').filter((line) => line.includes('ERRO')).length;
  const ship = taking((lines) => {
    if (isAway) throw new Error('Auth is away');
    got.push(...lines.map((line) => (JSON.parse(line) as { n: number }).n));
  });
  const open = (segmentBytes: number) =>
    openAuditSpool({ dir: join(disk!.dir, 'spool'), ship, log, retryMs, segmentBytes, gatherMs: 1 });
  beforeEach(() => {
    [logged, isAway, got] = ['', true, []];
  });
  afterEach(() => {
    disk?.unmount();
    disk = undefined;
  });

  testOnSmallDisk.each([8_192, 4 * 2 ** 20])(
    'that the spool itself has filled (segments of %d bytes) loses nothing, lets it start again, and empties',
    async (segmentBytes) => {
      disk = mountSmallDisk(256);
      const first = await open(segmentBytes);
      const recorded = await appendUntilRefused(first);
      expect(recorded.length).toBeGreaterThan(50);
      expect(alarms()).toBe(1);
      await first.close();

      const second = await open(segmentBytes);
      await appendUntilRefused(second, 1_000_000);
      isAway = false;
      await second.drained();
      expect(got.filter((n) => n < 1_000_000)).toEqual(recorded);
      // Room for a whole disk again, more than once: what is shipped is given back.
      for (let n = 2_000_000; n < 2_000_600; n++) {
        await append(second, { n, text: TEXT });
        if (n % 100 === 0) await second.drained();
      }
      expect(logged).toContain('Audit events are recorded again.');
      await second.drained();
      expect(got.filter((n) => n >= 2_000_000)).toHaveLength(600);
      await second.close();
    },
  );

  testOnSmallDisk('that others have filled refuses the event and takes it when there is room', async () => {
    disk = mountSmallDisk(512);
    isAway = false;
    const spool = await open(4096);
    await append(spool, { n: 0, text: TEXT });
    await spool.drained();
    disk.fill();
    await appendUntilRefused(spool, 1);
    disk.free();
    await append(spool, { n: 9, text: TEXT });
    await spool.drained();
    expect(got.at(-1)).toBe(9);
    await spool.close();
  });

  testOnSmallDisk('refuses events of the audit log, also at midnight, and takes them when there is room', async () => {
    disk = mountSmallDisk(128);
    let clock = new Date('2026-11-21T23:59:00Z');
    const dir = join(disk.dir, 'log');
    const key = await generateKey('ed25519');
    let head: Sealed | undefined;
    const write = async (_: string, text: string) => {
      head = sealedIn(text);
    };
    const seal = () => ({ key, headFile: 'head', head, write });
    const audit = await openAuditLog({ dir, now: () => clock, log, seal: seal() });
    const event = (uid: string) => ({ uid, time: clock.toISOString(), event: 'user.login', text: 'x'.repeat(5000) });
    await audit.append([event('a')]);
    disk.fill();
    await expect(audit.append([event('b')])).rejects.toMatchObject({ code: 'LimitExceeded' });
    clock = new Date('2026-11-22T00:01:00Z');
    await expect(audit.append([event('c')])).rejects.toMatchObject({ code: 'LimitExceeded' });
    expect(alarms()).toBe(1);
    disk.free();
    await audit.append([event('b'), event('c')]);
    expect(logged).toContain('Audit events are recorded again.');
    await audit.close();
    const again = await openAuditLog({ dir, now: () => clock, seal: seal() });
    await again.append([event('c')]);
    await again.close();
    const size = (day: string) => statSync(join(disk!.dir, 'log', `${day}.log`)).size;
    expect([size('2026-11-21'), size('2026-11-22')].map((bytes) => Math.floor(bytes / 5000))).toEqual([1, 2]);
    // What was refused has taken no number.
    expect(await verifyLog({ dir, key, checkpoints: [head!] })).toMatchObject({ unsigned: 0, problems: [] });
  });

  testWithLimit(
    'at any moment of shipping ends no process: position, segments and events all fail and recover',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'spool-limit-'));
      const { ended } = await runScript(
        dir,
        `import { execFileSync } from 'node:child_process';
       import { openAuditSpool } from './src/audit/spool.ts';
       import { append } from './test/audit/records.ts';
       import { createLogger } from './src/log.ts';
       const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + bytes + ':unlimited']);
       const log = createLogger({ component: "TEST", level: "error", write: (line) => process.stderr.write(line) });
       let release; const held = new Promise((resolve) => (release = resolve)); const got = [];
       (async () => {
         const spool = await openAuditSpool({ dir: process.argv[2], log, segmentBytes: 2000, batchBytes: 500, gatherMs: 1,
           retryMs: { first: 1, longest: 2 },
           ship: async (lines) => { await held; got.push(...lines.map((line) => JSON.parse(line).n)); return []; } });
         for (let n = 0; n < 40; n++) await append(spool, { n, text: 'x'.repeat(200) });
         limit(0);
         const refused = await append(spool, { n: 100 }).catch((error) => error.code);
         if (refused !== 'LimitExceeded') throw new Error('not refused: ' + refused);
         release();
         await spool.drained();
         limit('unlimited');
         await append(spool, { n: 40 });
         await spool.drained();
         await spool.close();
         if (got.join() !== [...Array(41).keys()].join()) throw new Error(got.join());
       })().catch((error) => { console.error(error); process.exit(1); });`,
        [join(dir, 'spool')],
      );
      const { status, signal, stderr } = await ended;
      if (status !== 0) throw new Error(`status ${status}, signal ${signal}: ${stderr}`);
      expect(stderr).toContain('Audit events cannot be recorded');
      expect(stderr).toContain('The position of the audit spool cannot be kept');
      expect(readdirSync(join(dir, 'spool')).filter((name) => name.endsWith('.spool')).length).toBeLessThan(2);
      rmSync(dir, { recursive: true });
    },
  );

  test('a position that names a segment which is gone loses and repeats nothing that is there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'spool-'));
    writeFileSync(join(dir, '00000007.spool'), '{"n":7}\n');
    writeFileSync(join(dir, 'shipped'), '{"segment":3,"offset":500}');
    isAway = false;
    const spool = await openAuditSpool({ dir, ship, log, retryMs, gatherMs: 1 });
    await append(spool, { n: 8 });
    await spool.drained();
    await spool.close();
    expect(got).toEqual([7, 8]);
    rmSync(dir, { recursive: true });
  });
});
