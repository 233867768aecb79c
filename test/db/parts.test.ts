/**
 * Tests: src/db/client-certificate.ts, src/db/health.ts, src/db/monitor.ts, src/db/registry.ts
 * Tests: src/resources/database-uri.ts
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, jest, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { createClientCertificates } from '../../src/db/client-certificate.js';
import { type HealthCheck, startHealthCheck } from '../../src/db/health.js';
import { startMonitor } from '../../src/db/monitor.js';
import { createRegistry } from '../../src/db/registry.js';
import { readCsr } from '../../src/pki/x509.js';
import { splitUri } from '../../src/resources/database-uri.js';
import type { Database, TargetHealth } from '../../src/resources/types.js';
import { createTestCa } from '../support/ca.js';
import { freePort } from '../support/free-port.js';
import { startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

const database = (name: string, uri = 'a:1'): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name },
  spec: { protocol: 'postgres', uri },
});

describe('the databases of an agent', () => {
  test('are those of the file and those selected, the latter winning', () => {
    const registry = createRegistry([database('a', 'file:1'), database('b')]);
    const told: string[][] = [];
    registry.onChange((names) => told.push(names));
    registry.setResources([database('a', 'resource:1'), database('c')]);
    expect(registry.all().map(({ metadata, spec }) => `${metadata.name} ${spec.uri}`)).toEqual([
      'a resource:1',
      'b a:1',
      'c a:1',
    ]);
    registry.setResources([database('c')]);
    expect(registry.get('a')?.spec.uri).toBe('file:1');
    registry.setResources([database('c')]);
    expect(told).toEqual([['a', 'c'], ['a']]);
  });

  test('keep what was fetched until they change, and take nothing that came too late', () => {
    const registry = createRegistry([]);
    const first = database('a', 'x:1');
    registry.setResources([first, database('b')]);
    registry.complete(first, { ...first, status: { aws: { region: 'us-east-1' } } } as Database);
    registry.setResources([database('a', 'x:1')]);
    expect(registry.get('a')?.status?.aws?.region).toBe('us-east-1');
    registry.setResources([database('a', 'y:1')]);
    expect(registry.get('a')?.status).toBeUndefined();
    registry.complete(first, { ...first, metadata: { name: 'a', labels: { late: 'yes' } } });
    expect(registry.get('a')?.metadata.labels).toBeUndefined();
  });
});

describe('the limits of a session', () => {
  test('fire once, with the reason as Go would print it', async () => {
    const at = new Date('2026-05-06T07:08:09Z');
    const reasons: string[] = [];
    startMonitor(
      { disconnectAt: at },
      () => new Date(at.getTime() + 1),
      (reason) => reasons.push(reason),
    );
    await new Promise<void>((resolve) => {
      startMonitor(
        { idleTimeoutMs: 20 },
        () => new Date(),
        (reason) => {
          reasons.push(reason);
          resolve();
        },
      );
    });
    expect(reasons).toEqual([
      'client certificate expired at 2026-05-06 07:08:09 +0000 UTC',
      'Client reported no activity',
    ]);
  });

  test('that lie weeks ahead fire then, and not at once', () => {
    jest.useFakeTimers();
    try {
      const day = 86_400_000;
      const reasons: string[] = [];
      const limits = { disconnectAt: new Date(Date.now() + 40 * day), idleTimeoutMs: 60 * day };
      startMonitor(
        limits,
        () => new Date(),
        (reason) => reasons.push(reason),
      );
      const end = limits.disconnectAt.getTime();
      for (let timers = 0; timers < 4 && reasons.length === 0; timers++) jest.advanceTimersToNextTimer();
      expect(reasons).toEqual([expect.stringMatching(/^client certificate expired at /)]);
      expect(Date.now()).toBe(end);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('health', () => {
  /** @param answer  to the first packet; undefined: none */
  const answering = (answer: string | undefined) =>
    createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => answer && socket.end(answer));
    });

  /** What the first check says. */
  async function firstLook(server: Server, timeoutMs = 60_000): Promise<TargetHealth> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const uri = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    let check: HealthCheck | undefined;
    const health = await new Promise<TargetHealth>((resolve) => {
      check = startHealthCheck({ uri, timeoutMs, onChange: resolve });
    });
    check!.stop();
    await new Promise((resolve) => server.close(resolve));
    return health;
  }

  test.each(['N', 'G', 'E'])('whoever answers %s is there', async (answer) => {
    expect(await firstLook(answering(answer))).toMatchObject({ status: 'healthy' });
  });

  test('S9 whoever accepts and never answers is not, and neither is who hangs up', async () => {
    const silent = await firstLook(answering(undefined), 50);
    expect(silent).toMatchObject({ status: 'unhealthy', transition_error: expect.stringContaining('first packet') });
    const server = createServer((socket) => socket.destroy());
    expect((await firstLook(server)).transition_error).toMatch(/closed the connection without an answer|ECONNRESET/);
  });

  test('a real server is there, and has nothing to say about it in its log', async () => {
    const postgres = await startPostgres();
    try {
      const before = postgres.log();
      const uri = `127.0.0.1:${postgres.port}`;
      const seen: TargetHealth[] = [];
      let check: HealthCheck | undefined;
      await new Promise<void>((resolve) => {
        check = startHealthCheck({ uri, onChange: (health) => resolve(void seen.push(health)) });
      });
      check!.stop();
      await postgres.query(`do $$ begin raise log 'the end of the look'; end $$`);
      await until('the log has the end', () => postgres.log().includes('the end of the look') || undefined);
      expect(seen).toMatchObject([{ status: 'healthy' }]);
      expect(postgres.log().slice(before.length)).toMatch(/^[^\n]*the end of the look/);
    } finally {
      await postgres.stop();
    }
  });

  test('is decided by the first check, lost at once and found again after two', async () => {
    const seen: TargetHealth[] = [];
    let wake = () => {};
    const changed = () => new Promise<void>((resolve) => (wake = resolve));
    const server = answering('N');
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    let next = changed();
    const check = startHealthCheck({
      uri: `127.0.0.1:${port}`,
      intervalMs: 5,
      onChange: (health) => {
        seen.push(health);
        wake();
      },
    });
    await next;
    next = changed();
    await new Promise((resolve) => server.close(resolve));
    await next;
    next = changed();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    await next;
    check.stop();
    await new Promise((resolve) => server.close(resolve));
    expect(seen.map(({ status, message }) => `${status}: ${message}`)).toEqual([
      'healthy: 1 health check passed',
      'unhealthy: 1 health check failed',
      'healthy: 2 health checks passed',
    ]);
    expect(seen[1]?.transition_error).toMatch(/ECONNREFUSED/);
  });

  test.each([
    ['db.example.com:5439', ['db.example.com', 5439]],
    ['[::1]:5433', ['::1', 5433]],
    ['db.example.com', ['db.example.com', 5432]],
  ])('of %s looks at %j', (uri, parts) => {
    expect(splitUri(uri)).toEqual(parts);
  });
});

describe('client certificates', () => {
  test('are asked for once a user, again near their own end, and a failure is not remembered', async () => {
    const ca = createTestCa('DB client CA');
    let at = Date.now();
    let asked = 0;
    let lifeMs = 40 * 60_000;
    let problem: Error | undefined;
    const auth = {
      auth: {
        async generateDatabaseCert({ csr }: { csr: Uint8Array }) {
          asked += 1;
          if (problem) throw problem;
          const { publicKey } = readCsr(Buffer.from(csr).toString());
          const cert = ca.sign(publicKey, { from: new Date(at - 1000), to: new Date(at + lifeMs) });
          return { cert: Buffer.from(cert), caCerts: [] };
        },
      },
    } as unknown as AuthClient;
    const certificates = createClientCertificates(
      async () => auth,
      () => new Date(at),
    );
    const [a, again, other] = await Promise.all(['a', 'a', 'b'].map((user) => certificates.get(user)));
    expect(asked).toBe(2);
    expect(again).toBe(a);
    expect(other!.keyPem).toBe(a!.keyPem);
    at += 31 * 60_000; // three quarters of what Auth gave, not of what was asked
    lifeMs = 60 * 60_000;
    expect(await certificates.get('a')).not.toBe(a);
    problem = new Error('Auth is away');
    await expect(certificates.get('c')).rejects.toThrow('Auth is away');
    problem = undefined;
    await certificates.get('c');
    expect(asked).toBe(5);
  });
});
