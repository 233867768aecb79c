/** Throw-away authorities and server or client certificates for tests, on keys that are quick to make. */
import type { KeyObject } from 'node:crypto';
import { generateKey, privateKeyPem, publicHalf } from '../../src/pki/keys.js';
import { createCa, issueLeaf, NAME_OID, type SigningCa } from '../../src/pki/x509.js';

export interface TestCertificate {
  /** PEM. */
  cert: string;
  /** PEM. */
  key: string;
  privateKey: KeyObject;
}

export interface TestCa extends SigningCa {
  /**
   * A certificate for these names (DNS or IP; the first is the common name), good for a day on both sides of `now`.
   * `sans`: other subject alternative names than these.
   */
  issue(names: string | string[], options?: { now?: Date; sans?: string[] }): Promise<TestCertificate>;
}

const DAY_MS = 86_400_000;

export async function createTestCa(name = 'Test CA', options: { now?: Date } = {}): Promise<TestCa> {
  const now = options.now ?? new Date();
  const key = await generateKey('ecdsa-p256');
  const { certPem } = createCa({ clusterName: name, key, now: new Date(now.getTime() - DAY_MS), days: 30 });
  const ca = { certPem, key };
  return {
    ...ca,
    async issue(names, { now: at = now, sans } = {}) {
      const all = [names].flat();
      const privateKey = await generateKey('ecdsa-p256');
      const cert = issueLeaf({
        ca,
        publicKey: publicHalf(privateKey),
        subject: [{ oid: NAME_OID.commonName, values: [all[0] ?? 'nobody'] }],
        sans: sans ?? all,
        notBefore: new Date(at.getTime() - DAY_MS),
        notAfter: new Date(at.getTime() + DAY_MS),
      });
      return { cert, key: privateKeyPem(privateKey), privateKey };
    },
  };
}
