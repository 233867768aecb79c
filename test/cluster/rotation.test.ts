/**
 * X2: an administrator takes trust back by giving the authority of users new keys, with `tctl auth rotate`: Auth, Proxy and agents
 * follow each phase without a restart.
 * Tests: src/access/login/accepted.ts, src/api/authority-watch.ts, src/tctl/auth/rotate.ts
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hexName } from '../../src/api/alpn.js';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { silent } from '../../src/log.js';
import { dialTls } from '../../src/net/dial.js';
import { isSignedBy } from '../../src/pki/certificate.js';
import { encodePem, publicKeyOf, readCertificate, spkiPin } from '../../src/pki/x509.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import { TUNNEL_ALPN } from '../../src/tunnel/protocol.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'bob', roles: ['analyst'] },
    ],
  });
});
afterAll(() => cluster?.stop());

const select = (who: string) =>
  cluster.tsh(who, 'db', 'exec', 'select 40 + 2', '--dbs=orders', '--db-user=analyst', '--db-name=dev');
const isServed = async (who: string) => (await select(who)).stdout.includes('42');
const rotate = (...words: string[]) => cluster.tctl('auth', 'rotate', '--type=user', ...words);
const rotationOf = async (type: string) =>
  new RegExp(`^${type} +(.*?) +(?:SSH|TLS)`, 'm').exec((await cluster.tctl('status')).stdout)?.[1];

test('X2 from one phase to the next, and whose login counts', async () => {
  await cluster.login('alice', 'alice');
  expect(await isServed('alice')).toBe(true);
  const session = await (await cluster.tunnel('alice', 'orders')).connect();
  const ended = new Promise((resolve) => session.once('error', ({ message }) => resolve(message)));
  expect(await rotationOf('user')).toBe('standby (never rotated)');

  expect(await rotate('--manual', '--phase=init')).toMatchObject({
    status: 0,
    stdout: `Updated rotation phase to "init". To check status use 'tctl status'\n`,
  });
  expect(await rotationOf('user')).toBe('in progress (mode: manual, phase: init)');
  expect((await cluster.tctl('status')).stdout).toMatch(/^ +TLS +trusted +ECDSA P-256 +software/m);
  await rotate('--manual', '--phase=update_clients');
  await cluster.login('bob', 'bob');
  // Every service hears of the new authority in its own time.
  await until(
    'both are served',
    async () => (await Promise.all(['alice', 'bob'].map(isServed))).every(Boolean) || undefined,
  );
  await rotate('--manual', '--phase=update_servers');
  expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect((await rotate('--manual', '--phase=standby')).status).toBe(0);
  expect(await rotationOf('user')).toMatch(/^standby \(last rotated: \w{3} \d+ \d{4} [\d:]{8} UTC\)$/);

  // H6: also what runs.
  const why = 'the authority that signed the certificate was rotated, and is not believed any more';
  expect(await ended).toBe(`terminating connection: ${why}`);
  const isEnd = ({ event, reason }: { event: string; reason?: unknown }) =>
    event === 'client.disconnect' && reason === why;
  await cluster.auditEvents((all) => all.some(isEnd));

  // Every service has heard of it.
  const refused = await until('the old login is refused', async () => {
    const outcome = await select('alice');
    return outcome.status === 0 ? undefined : outcome;
  });
  expect(refused.stderr).toMatch(/log in again|tsh login/i);
  expect(await isServed('bob')).toBe(true);
  await cluster.login('alice', 'alice');
  expect(await isServed('alice')).toBe(true);
});

test('refusals, word for word', async () => {
  const { stdout: before } = await cluster.tctl('status');
  expect(await rotate('--manual', '--phase=standby')).toMatchObject({
    status: 1,
    stderr: 'ERROR: can not transition to phase "standby" from "standby" phase.\n\n',
  });
  const none = await cluster.tctl('auth', 'rotate');
  expect(none.status).toBe(1);
  expect(none.stderr).toContain(
    'ERROR: required flag --type not provided, not starting interactive mode because stdin does not appear to be a terminal',
  );
  expect((await cluster.tctl('auth', 'rotate', '--type=nothing')).stderr).toContain(
    'enum value must be one of host,user,db,db_client,openssh,jwt',
  );
  expect((await cluster.tctl('auth', 'rotate', '--type=host', '--grace-period=0s')).stderr).toContain(
    'the authority of hosts needs a grace period of five minutes at least',
  );
  expect((await cluster.tctl('status')).stdout).toBe(before);
});

test('with a grace period it goes on by itself', async () => {
  const began = await cluster.tctl('auth', 'rotate', '--type=db_client', '--grace-period=10m');
  expect(began.stdout).toBe("Initiated certificate authority rotation. To check status use 'tctl status'\n");
  expect(await rotationOf('db_client')).toMatch(
    /^in progress \(mode: automatic, phase: init, started: .* UTC, ending: .* UTC\)$/,
  );
});

test('X2 the authority of hosts: every host follows without a restart, and sessions go on', async () => {
  const config = await writeAgentConfig(
    cluster,
    (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim(),
  );
  const { file, raw } = readConfigFile(config);
  await using agent = await startTeleport(teleportConfig({ config }, file, raw), {
    log: silent,
    vars: { SSL_CERT_FILE: cluster.webCaFile },
  });
  expect(agent.auth).toBeUndefined();
  await cluster.login('alice', 'alice');
  const tunnel = await cluster.tunnel('alice', 'orders');
  const session = await tunnel.connect();
  const pins = async () => (await cluster.tctl('status')).stdout.match(/sha256:[0-9a-f]{64}/g) ?? [];
  const [old = ''] = await pins();
  /** By which key the certificates of all ports and of the agent elsewhere are signed. */
  const signers = async () => {
    const identity = JSON.parse(
      readFileSync(join(cluster.dir, 'agent', 'data', 'identity-db.json'), 'utf8'),
    ) as HostIdentity;
    const { auth, proxy } = cluster.teleport;
    const shown = await Promise.all([shownAt(auth!.port, 'h2', identity), shownAt(proxy!.port, TUNNEL_ALPN, identity)]);
    const known = identity.hostCaPems.map((pem) => ({ pem, pin: spkiPin(pem) }));
    return [...shown, identity.certPem].map(
      (cert) => known.find(({ pem }) => isSignedBy(readCertificate(cert), publicKeyOf(pem)))?.pin,
    );
  };
  const follow = async (phase: string, signer: () => string) => {
    expect((await cluster.tctl('auth', 'rotate', '--type=host', '--manual', `--phase=${phase}`)).stderr).toBe('');
    await until(`all hosts follow ${phase}`, async () => {
      const all = await signers().catch(() => []);
      return all.length === 3 && all.every((pin) => pin === signer()) ? true : undefined;
    });
    expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  };

  await follow('init', () => old);
  const fresh = (await pins()).find((pin) => pin !== old)!;
  await follow('update_clients', () => old);
  // Who logged in before has heard of the old authority only, and is served up to here.
  expect(await isServed('alice')).toBe(true);
  await follow('update_servers', () => fresh);
  await follow('standby', () => fresh);
  expect(await pins()).toEqual([fresh]);
  await session.end();

  // The old login knows no host any more; a new one does, and nothing has to be taken away before.
  expect(await isServed('alice')).toBe(false);
  await cluster.login('alice', 'alice');
  expect(await isServed('alice')).toBe(true);
});

/** The certificate, PEM, that a port shows to a host. */
async function shownAt(
  port: number,
  alpn: string,
  { certPem: cert, keyPem: key, hostCaPems: ca }: HostIdentity,
): Promise<string> {
  const servername = hexName(cluster.name);
  const socket = await dialTls({ host: '127.0.0.1', port, servername, alpn: [alpn], timeoutMs: 60_000, ca, cert, key });
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return encodePem('CERTIFICATE', raw);
}
