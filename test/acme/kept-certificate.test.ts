/**
 * A Proxy's certificate from a real ACME server: had by TLS-ALPN-01 on the Proxy's own port, kept, renewed, and not had.
 * Tests: src/acme/issue.ts, src/acme/library/client.ts, src/teleport/acme.ts, src/proxy/challenges.ts
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '../../src/log.js';
import type { TeleportFile } from '../../src/resources/teleport-yaml.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { freePort } from '../support/free-port.js';
import { PEBBLE, type Pebble, startPebble } from '../support/pebble.js';
import { until } from '../support/until.js';

const NAME = 'teleport.acme.test';
let dir: string;
let port: number;
let pebble: Pebble | undefined;
let running: RunningTeleport | undefined;
let log: string;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'acme-'));
  port = await freePort();
  log = '';
});
afterEach(async () => {
  await running?.close({ drainMs: 0 });
  await pebble?.stop();
  running = pebble = undefined;
  rmSync(dir, { recursive: true, force: true });
});

async function start(acme: object = {}, now = () => new Date()): Promise<void> {
  const config = {
    teleport: { nodename: 'host', data_dir: join(dir, 'data') },
    auth_service: { enabled: true, listen_addr: '127.0.0.1:0', cluster_name: 'acme.test' },
    proxy_service: {
      enabled: true,
      web_listen_addr: `127.0.0.1:${port}`,
      public_addr: [`${NAME}:${port}`],
      acme: { enabled: true, uri: pebble!.directory, ca_file: pebble!.caFile, email: 'ops@example.com', ...acme },
    },
    db_service: { enabled: false },
  };
  running = await startTeleport(teleportConfig({}, 'teleport.yaml', config as TeleportFile), {
    log: createLogger({
      level: 'info',
      component: 'TEST',
      write: (line) => {
        log += line;
      },
    }),
    vars: {},
    now,
  });
}

const shown = (options: object = {}) =>
  new Promise<{ issuer: string; serial: string; names: string; alpn: string | false }>((done, failed) => {
    const socket = connect({ host: '127.0.0.1', port, servername: NAME, rejectUnauthorized: false, ...options });
    socket.once('error', failed).once('secureConnect', () => {
      const { issuer, serialNumber, subjectaltname = '' } = socket.getPeerCertificate();
      const { alpnProtocol: alpn } = socket;
      socket.destroy();
      done({ issuer: String(issuer.CN ?? ''), serial: serialNumber, names: subjectaltname, alpn: alpn ?? false });
    });
  });

const untilIssued = (before?: string) =>
  until('the Proxy shows a certificate of the ACME server', async () => {
    const now = await shown();
    return now.issuer.startsWith('Pebble') && now.serial !== before ? now : undefined;
  });

const itWithPebble = PEBBLE ? test : test.skip;

describe('with Pebble, which is made from its Go module where Go is there', () => {
  itWithPebble(
    'a certificate is had, shown without a restart, kept, and found by a restart without the authority',
    async () => {
      pebble = await startPebble({ challengePort: port });
      await start();
      const { serial, names } = await untilIssued();
      expect(names).toBe(`DNS:${NAME}`);
      expect(log).toContain('An ACME authority asks at port 443');
      for (const file of readdirSync(join(dir, 'data/acme'))) {
        expect([file, statSync(join(dir, 'data/acme', file)).mode & 0o777]).toEqual([file, 0o600]);
      }
      // The challenge is over: nobody is answered any more.
      await expect(shown({ ALPNProtocols: ['acme-tls/1'] })).rejects.toThrow();
      await running!.close({ drainMs: 0 });
      const { directory, stop } = pebble;
      await stop();
      pebble = { directory, caFile: '', stop: async () => {} };
      await start({ ca_file: '' });
      expect((await shown()).serial).toBe(serial);
    },
  );

  itWithPebble('it is renewed when two thirds of its life are over, and the account stays', async () => {
    pebble = await startPebble({ challengePort: port, lifeSeconds: 75 });
    await start();
    const { serial } = await untilIssued();
    const account = readFileSync(join(dir, 'data/acme/account.key'), 'utf8');
    await running!.close({ drainMs: 0 });
    // As far as a clock may be from those of other certificates here.
    await start({}, () => new Date(Date.now() + 55_000));
    await untilIssued(serial);
    expect(readFileSync(join(dir, 'data/acme/account.key'), 'utf8')).toBe(account);
  });

  itWithPebble(
    'an authority that does not get through is named, with what it needs; people are served meanwhile',
    async () => {
      pebble = await startPebble({ challengePort: await freePort() });
      await start();
      await until('it is in the log', async () => (log.includes('Cannot renew, trying again.') ? true : undefined));
      expect(log).toContain(`no certificate from ${pebble.directory}`);
      expect(log).toContain(`It dials port 443 of ${NAME}: that must lead to this Proxy`);
      expect((await shown()).issuer).not.toMatch(/^Pebble/);
    },
  );

  itWithPebble('an authority that knows its customers', async () => {
    pebble = await startPebble({
      challengePort: port,
      bindings: { customer: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' },
    });
    writeFileSync(join(dir, 'hmac'), 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W\n');
    await start({ eab: { key_id: 'customer', hmac_key_file: join(dir, 'hmac') } });
    await untilIssued();
  });
});

test('acme-tls/1 is answered for the name and the time of a challenge only, and is no way to anything else', async () => {
  pebble = { directory: 'https://127.0.0.1:9/dir', caFile: '', stop: async () => {} };
  await start();
  await expect(shown({ ALPNProtocols: ['acme-tls/1'] })).rejects.toThrow();
  expect((await shown({ ALPNProtocols: ['acme-tls/1', 'http/1.1'] })).alpn).toBe('http/1.1');
});
