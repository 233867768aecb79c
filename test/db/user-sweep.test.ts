/** Who looks after users that were left behind, when, and what of it is recorded. */
import { expect, test } from '@jest/globals';
import type { RecordOwner } from '../../src/audit/shares.js';
import { createRegistry } from '../../src/db/registry.js';
import { recordUserLeftBehind } from '../../src/db/session-audit.js';
import { sweepUsers } from '../../src/db/user-sweep.js';
import { silent } from '../../src/log.js';
import type { Database } from '../../src/resources/types.js';
import { until } from '../support/until.js';

const database = (name: string, uri: string, spec: object = {}): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name },
  spec: { protocol: 'postgres', uri, admin_user: { name: 'boss' }, ...spec },
});

test('each server is looked at once at the start, when it comes, and again; a failure stops nothing', async () => {
  const registry = createRegistry([
    database('one', 'a:5432'),
    database('same', 'A:5432'),
    database('none', 'b:5432', { admin_user: undefined }),
  ]);
  const looked: string[] = [];
  const ended: unknown[] = [];
  const stop = new AbortController();
  const sweeping = sweepUsers({
    registry,
    autoUsers: {
      async sweep({ spec, metadata }, onEnd) {
        looked.push(spec.uri.toLowerCase());
        if (spec.uri === 'c:5432') throw new Error('gone');
        if (looked.length === 1) onEnd(`user of ${metadata.name}`, { isDropped: true });
      },
    },
    onEnd: (_database, ...end) => ended.push(end),
    log: silent,
    signal: stop.signal,
    everyMs: 1,
  });
  await until('the first look', () => looked.length > 0 || undefined);
  expect(looked[0]).toBe('a:5432');
  expect(ended).toEqual([['user of same', { isDropped: true }]]);
  registry.setResources([database('new', 'c:5432')]);
  await until('the new server', () => looked.includes('c:5432') || undefined);
  const before = looked.length;
  await until('the next round', () => looked.length > before + 1 || undefined);
  stop.abort();
  await sweeping;
  expect(looked).not.toContain('b:5432');
});

const server = { hostId: 'host-1', clusterName: 'c', now: () => new Date(0) };

test.each([false, true])('what was taken away later is recorded without a session; dropped: %s', async (isDropped) => {
  const writes: [string, RecordOwner][] = [];
  const spool = {
    async write(...written: [string, RecordOwner]) {
      writes.push(written);
    },
  };
  await recordUserLeftBehind(spool, database('one', 'a:5432'), { user: 'alice', isDropped }, server);
  const [[line, owner]] = writes as [[string, RecordOwner]];
  expect(line.endsWith('}\n')).toBe(true);
  const record = JSON.parse(line);
  expect(record).toMatchObject({
    event: 'db.session.user.deactivate',
    code: 'TDB09I',
    db_service: 'one',
    db_user: 'alice',
    username: 'alice',
    server_id: 'host-1',
    delete: isDropped,
    success: true,
  });
  expect(record).not.toHaveProperty('sid');
  // R-B6 Nobody of the cluster: a database can name whom it likes.
  expect(record).not.toHaveProperty('user');
  expect(owner).toEqual({ user: 'database one' });
});

test('R-B6 a record that Auth would refuse is not written', () => {
  const spool = {
    write() {
      throw new Error('was written');
    },
  };
  const large = { ...database('one', 'a:5432'), metadata: { name: 'one', labels: { of: 'x'.repeat(2 ** 20) } } };
  expect(() => recordUserLeftBehind(spool, large, { user: 'alice', isDropped: false }, server)).toThrow(
    'would be longer than',
  );
});
