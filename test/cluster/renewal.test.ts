/**
 * Certificates of hosts live for 30 days and renew themselves from the tenth on: Auth, the Proxy beside it and an agent
 * elsewhere, without a restart and without the end of a session. The clock is moved, TLS goes by the system's: what is
 * issued ten days ago is what the cluster was started with. Tests: src/api/host-renewal.ts
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hexName } from '../../src/api/alpn.js';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { hostNamesOf } from '../../src/identity/host.js';
import { silent } from '../../src/log.js';
import { dialTls } from '../../src/net/dial.js';
import { readCertificate } from '../../src/pki/x509.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const DAY = 86_400_000;
const MINUTE = 60_000;
let ahead = -10 * DAY - 10 * MINUTE;
const now = () => new Date(Date.now() + ahead);
const LOOKS = { now, renewalLookMs: 100 };

let cluster: TestCluster;
let agent: RunningTeleport;
let config: string;

beforeAll(async () => {
  cluster = await startTestCluster({
    ...LOOKS,
    postgres: true,
    agent: false,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'ann', roles: ['analyst'] }],
  });
  config = await writeAgentConfig(
    cluster,
    (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim(),
  );
  agent = await startAgent();
});
afterAll(async () => {
  await agent?.close({ drainMs: 0 });
  await cluster?.stop();
});

async function startAgent(clock = now, token?: string): Promise<RunningTeleport> {
  const { file, raw } = readConfigFile(config);
  const vars = { SSL_CERT_FILE: cluster.webCaFile };
  const flags = { config, ...(token ? { token } : {}) };
  return await startTeleport(teleportConfig(flags, file, raw), { log: silent, vars, ...LOOKS, now: clock });
}

const stored = (): HostIdentity =>
  JSON.parse(readFileSync(join(cluster.dir, 'agent', 'data', 'identity-db.json'), 'utf8')) as HostIdentity;
const since = (pem: string) => readCertificate(pem).notBefore.getTime();
const isNew = (pem: string) => since(pem) > Date.now() - 5 * MINUTE;

/** When the certificate that a port shows to a host began. */
async function shownAt(port: number, alpn: string): Promise<number> {
  const { certPem: cert, keyPem: key, hostCaPems: ca } = stored();
  const socket = await dialTls({
    host: '127.0.0.1',
    port,
    servername: hexName(cluster.name),
    alpn: [alpn],
    timeoutMs: 60_000,
    ca,
    cert,
    key,
  });
  const { valid_from } = socket.getPeerCertificate();
  socket.destroy();
  return new Date(valid_from).getTime();
}

test('from the tenth day on all of them renew, and a session that runs goes on', async () => {
  const before = stored();
  expect(readCertificate(before.certPem).notAfter.getTime() - since(before.certPem)).toBe(30 * DAY + 60_000);
  // Nine days and almost ten: not yet.
  ahead = -20 * MINUTE;
  await cluster.login('ann', 'ann');
  await cluster.untilListed('ann', ['orders']);
  const tunnel = await cluster.tunnel('ann', 'orders');
  const client = await tunnel.connect();
  await client.query('select 1');
  expect(stored()).toEqual(before);

  ahead = 0;
  await until('the agent has a new certificate', async () => isNew(stored().certPem) || undefined);
  const after = stored();
  expect(after).toMatchObject({ hostId: before.hostId, role: 'Db', clusterName: before.clusterName });
  expect(after.keyPem).not.toBe(before.keyPem);
  expect(hostNamesOf(after.certPem).sort()).toEqual(hostNamesOf(before.certPem).sort());
  const { auth, proxy } = cluster.teleport;
  for (const [at, alpn] of [
    [auth!, 'h2'],
    [proxy!, 'teleshift-tunnel'],
  ] as const) {
    await until('the port shows a new certificate', async () =>
      (await shownAt(at.port, alpn)) > Date.now() - 5 * MINUTE ? true : undefined,
    );
  }
  const admin = () => JSON.parse(readFileSync(join(cluster.dataDir, 'admin-identity.json'), 'utf8')) as HostIdentity;
  await until('tctl has a new certificate', async () => isNew(admin().certPem) || undefined);

  expect((await client.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
  await (await tunnel.connect()).end();
  expect((await cluster.tctl('status')).status).toBe(0);
  await client.end();
});

test('a host that was away for longer says the command that brings it back, and it does', async () => {
  await agent.close({ drainMs: 0 });
  const { teleport, ...rest } = JSON.parse(readFileSync(config, 'utf8')) as { teleport: Record<string, unknown> };
  const { join_params: _, ...section } = teleport;
  writeFileSync(config, JSON.stringify({ ...rest, teleport: section }));
  const later = () => new Date(Date.now() + 31 * DAY);
  await expect(startAgent(later)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringMatching(
      /^the certificate of this host ended on \d{4}-\d\d-\d\d: it was away from its cluster/,
    ),
    hint: expect.stringContaining('teleport start --token=TOKEN'),
  });
  const old = stored().certPem;
  // By the clock of Auth, which has not moved, the id is in use.
  rmSync(join(cluster.dir, 'agent', 'data', 'host_uuid'));
  const token = (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim();
  agent = await startAgent(later, token);
  expect(stored().certPem).not.toBe(old);
});
