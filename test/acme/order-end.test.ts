/** A Proxy that stops does not wait for an ACME authority that does not answer. Tests: src/acme/issue.ts, src/renewal.ts */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { KeptCertificate } from '../../src/acme/kept-certificate.js';
import { createLogger } from '../../src/log.js';
import { createTestCa } from '../support/ca.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'acme-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a certificate that is closed ends its order at once, and does not call that a failure', async () => {
  const ca = createTestCa('ACME HTTPS');
  const mute = createServer(ca.issue('127.0.0.1')).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  let log = '';
  const kept = await KeptCertificate.open({
    dir,
    authority: { directory: `https://127.0.0.1:${(mute.address() as AddressInfo).port}/dir`, ca: [ca.certPem] },
    names: ['teleport.acme.test'],
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
