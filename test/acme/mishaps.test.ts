/**
 * The certificate from an ACME authority while nothing goes well: an authority that does not answer, and a damaged file.
 * Tests: src/acme/issue.ts, src/renewal.ts
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AcmeAuthority } from '../../src/acme/issue.js';
import { KeptCertificate } from '../../src/acme/kept-certificate.js';
import { createLogger } from '../../src/log.js';
import { createTestCa } from '../support/ca.js';

const NAME = 'teleport.acme.test';
let dir: string;
let log: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'acme-'));
  log = '';
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = (authority: AcmeAuthority = { directory: 'https://127.0.0.1:9/dir' }) =>
  KeptCertificate.open({
    dir,
    authority,
    names: [NAME],
    vars: {},
    now: () => new Date(),
    log: createLogger({
      level: 'info',
      component: 'TEST',
      write: (line) => {
        log += line;
      },
    }),
  });

test('a certificate that is closed ends its order at once, and does not call that a failure', async () => {
  const ca = createTestCa('ACME HTTPS');
  const mute = createServer(ca.issue('127.0.0.1')).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  const kept = await open({ directory: `https://127.0.0.1:${port}/dir`, ca: [ca.certPem] });
  try {
    kept.begin({ answerChallenge: () => {}, setWebCertificate: () => {} });
    await once(mute, 'request');
    const asked = performance.now();
    await kept.close();
    expect(performance.now() - asked).toBeLessThan(5_000);
    expect(log).toBe('');
  } finally {
    mute.closeAllConnections();
    mute.close();
  }
});

test('a kept file is used where it is whole, whatever comes first in it; a damaged one is said, and does not stop the start', async () => {
  const ca = createTestCa('ACME');
  const [{ cert, key }, other] = [ca.issue(NAME), ca.issue(NAME)];
  const opened = async (text: string) => {
    log = '';
    writeFileSync(join(dir, 'certificate.pem'), text);
    return (await open()).current;
  };
  for (const whole of [key + cert, cert + key]) {
    expect((await opened(whole))?.certPem).toBe(cert);
    expect(log).toBe('');
  }
  for (const damaged of [
    '',
    key,
    cert,
    key + cert.slice(0, 200),
    key + cert.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'),
    other.key + cert,
  ]) {
    expect(await opened(damaged)).toBeUndefined();
    expect(log).toContain('The certificate that was kept cannot be used; a new one is fetched.');
    expect(log).toContain(join(dir, 'certificate.pem'));
  }
});
