/** PostgreSQL's JDBC driver, asking for protocol 3.2: it is told 3.0, logs in and can cancel. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jar, run } from './programs.js';
import { type PeerRoutes, ROUTES, startRoutes } from './routes.js';

let routes: PeerRoutes;
beforeAll(async () => {
  routes = await startRoutes();
}, 60_000);
afterAll(() => routes?.stop());

/** The driver wants its keys in another form than we write them (PKCS#8 in DER): the routes where it needs none. */
const WITHOUT_TLS = ROUTES.filter((name) => name.endsWith('--tunnel'));

async function pgjdbc(name: (typeof ROUTES)[number], parameters: Record<string, string>): Promise<string> {
  const { host, port, user, waits } = routes.of[name];
  const query = new URLSearchParams({ user, sslmode: 'disable', ...parameters });
  const url = `jdbc:postgresql://${host}:${port}/dev?${query}`;
  const words = ['-cp', jar('postgresql'), resolve('test/peers/Pgjdbc.java'), url, waits];
  const { status, stdout, stderr } = await run('java', words, { PATH: process.env.PATH });
  if (status !== 0) throw new Error(`Pgjdbc ended with ${status}: ${stderr}`);
  return stdout.trim();
}

describe.each(WITHOUT_TLS)('B2 D1 pgjdbc: %s', (name) => {
  test.each(['3.0', '3.2'])(
    'protocolVersion=%s connects with 3.0 and cancels',
    async (protocolVersion) => {
      expect(await pgjdbc(name, { protocolVersion })).toBe('3.0 analyst 57014');
    },
    60_000,
  );

  test('B10 another user is refused with 28000', async () => {
    expect(await pgjdbc(name, { user: 'somebodyelse' })).toMatch(/^error 28000 FATAL: /);
  }, 60_000);
});
