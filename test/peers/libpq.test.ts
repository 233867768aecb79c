/**
 * PostgreSQL's own client library on every route, asking for more than protocol 3.0: it is told 3.0 in bytes that it
 * believes, logs in and can cancel. Our own decoder cannot find a fault of our own encoder; this can.
 */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { peer, run } from './programs.js';
import { type PeerRoute, type PeerRoutes, ROUTES, startRoutes } from './routes.js';

let routes: PeerRoutes;
beforeAll(async () => {
  routes = await startRoutes();
}, 60_000);
afterAll(() => routes?.stop());

interface Answer {
  libpq: number;
  protocol: number | null;
  user: string | null;
  cancelled: (string | null)[];
  error: string | null;
}

async function libpq({ host, port, user, tls, waits }: PeerRoute, more: Record<string, string>): Promise<Answer> {
  const own = tls
    ? { sslmode: 'verify-ca', sslrootcert: tls.ca, sslcert: tls.cert, sslkey: tls.key }
    : { sslmode: 'disable' };
  const connect = { host, port, user, dbname: 'dev', connect_timeout: 20, ...own, ...more };
  const vars = { PATH: process.env.PATH, HOME: '/nonexistent' };
  // Straight to the Proxy a cancel needs TLS (docs/using.md).
  const job = JSON.stringify({ connect, waits, safe: tls !== undefined });
  const { status, stdout, stderr } = await run(peer('python'), [resolve('test/peers/libpq.py')], vars, job);
  if (status !== 0) throw new Error(`libpq.py ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

describe.each(ROUTES)('B2 D1 libpq: %s', (name) => {
  test.each(['3.0', '3.2', 'latest'])(
    'max_protocol_version=%s connects with 3.0 and cancels',
    async (version) => {
      const answer = await libpq(routes.of[name], { max_protocol_version: version });
      expect(answer).toMatchObject({ error: null, protocol: 30_000, user: 'analyst' });
      expect(answer.libpq).toBeGreaterThanOrEqual(180_000);
      expect([...new Set(answer.cancelled)]).toEqual(['57014']);
    },
    60_000,
  );

  test("min_protocol_version=3.2 is told what there is, in libpq's own words", async () => {
    const answer = await libpq(routes.of[name], { min_protocol_version: '3.2', max_protocol_version: 'latest' });
    expect(answer.error).toMatch(
      /server only supports protocol version 3\.0, but "min_protocol_version" was set to 3\.2/,
    );
  });

  test('B10 another user is refused with a reason', async () => {
    const { error } = await libpq({ ...routes.of[name], user: 'somebodyelse' }, {});
    expect(error).toMatch(/FATAL: +(this connection is for database user "analyst" only|access to db denied)/);
  });
});
