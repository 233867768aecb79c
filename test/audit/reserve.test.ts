/** What is left of a disk for a lock when records of statements fill it. */
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { auditEvent } from '../../src/audit/events.js';
import { recordText } from '../../src/audit/record-text.js';
import { roomOf } from '../../src/audit/reserve.js';
import { openAuditSpool } from '../../src/audit/spool.js';
import { createLogger, silent } from '../../src/log.js';
import { CLUSTER, TestAuth } from '../auth/test-auth.js';
import { mountSmallDisk, type SmallDisk, testOnSmallDisk } from '../support/small-disk.js';
import { taking } from './records.js';

const MIB = 2 ** 20;

let disk: SmallDisk | undefined;
afterEach(() => {
  disk?.unmount();
  disk = undefined;
});

test('M3 of a disk 256 MiB are kept, or a twentieth of a small one; who does not say how large it is has no bound', () => {
  const bsize = 4096;
  const blocks = (mib: number) => (mib * MIB) / bsize;
  expect(roomOf({ bsize, blocks: blocks(100_000), bavail: blocks(1000) })).toBe(744 * MIB);
  expect(roomOf({ bsize, blocks: blocks(100_000), bavail: blocks(200) })).toBe(-56 * MIB);
  expect(roomOf({ bsize, blocks: blocks(1000), bavail: blocks(60) })).toBe(10 * MIB);
  expect(roomOf({ bsize, blocks: 0, bavail: 0 })).toBe(Number.POSITIVE_INFINITY);
});

testOnSmallDisk(
  'M3 records of agents leave room on the disk of Auth: a lock is recorded and made, and they are taken when there is more',
  async () => {
    disk = mountSmallDisk(16 * 1024);
    let logged = '';
    const log = createLogger({ component: 'AUTH', level: 'info', write: (line) => (logged += line) });
    const cluster = await TestAuth.start({ dataDir: join(disk.dir, 'data'), log });
    try {
      const [agent, admin] = [await cluster.asHost('Db'), await cluster.asHost('Admin')];
      const context = { clusterName: CLUSTER, now: () => new Date() };
      const emit = async (length: number) => {
        const fields = { user: 'mallory', db_query: 'x'.repeat(length) };
        const event = recordText(auditEvent('db.session.query', 'ok', fields, context));
        return await agent.databaseAgent.emitAuditEvents({ events: [event] });
      };
      const filler = join(disk.dir, 'another-program');
      const { bavail, bsize } = statfsSync(disk.dir);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - 2 * MIB));
      const fill = async () => {
        for (let n = 0; n < 1000; n++) await emit(10_000);
      };
      const refusal = { code: 'LimitExceeded', message: expect.stringContaining('almost full') };
      await expect(fill()).rejects.toMatchObject(refusal);
      await expect(emit(200_000)).rejects.toMatchObject(refusal);
      await expect(emit(0)).rejects.toMatchObject(refusal);
      expect(logged.match(/the records of agents stay with them/g)).toHaveLength(1);
      await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { user: 'mallory' } } });
      expect((await admin.auth.getLocks({})).locks).toHaveLength(1);
      rmSync(filler);
      await emit(200_000);
      expect(logged).toContain('The records of agents are taken again.');
    } finally {
      await cluster.remove();
    }
  },
);

testOnSmallDisk.each([8192, 4 * MIB])(
  'M3 the spool of an agent, which may be on the same disk, leaves room there but for ends (segments of %d bytes)',
  async (segmentBytes) => {
    disk = mountSmallDisk(1024);
    const dir = join(disk.dir, 'spool');
    mkdirSync(dir);
    const ship = taking(() => {
      throw new Error('Auth is away');
    });
    const spool = await openAuditSpool({
      dir,
      ship,
      log: silent,
      segmentBytes,
      retryMs: { first: 1000, longest: 1000 },
    });
    const line = `${JSON.stringify({ text: 'x'.repeat(2000) })}\n`;
    let written = 0;
    const write = () => {
      for (; written < 1000; written++) void spool.write(line, { user: 'mallory' }).catch(() => {});
    };
    expect(write).toThrow('the disk is full');
    expect(written).toBeGreaterThan(100);
    // A twentieth.
    writeFileSync(join(disk.dir, 'of-auth'), Buffer.alloc(40_000));
    await spool.write(line, { user: 'mallory', isEnd: true });
    await spool.close();
  },
);
