/** A fresh authority and leaves for the tests of this room. */
import type { KeyObject } from 'node:crypto';
import { generateKey, publicHalf } from '../../src/pki/keys.js';
import { createCa, issueLeaf } from '../../src/pki/x509.js';

export interface Leaf {
  cert: string;
  key: string;
}

export async function testAuthority(name = 'example.com') {
  const key = await generateKey('ecdsa-p256');
  const ca = createCa({ clusterName: name, key, now: new Date(Date.now() - 60_000) });
  const leafKey = await generateKey('ecdsa-p256');
  return {
    caPem: ca.certPem,
    issue(sans: string[], options: { notAfter?: Date; commonName?: string } = {}): Leaf {
      const cert = issueLeaf({
        ca: { certPem: ca.certPem, key },
        publicKey: publicHalf(leafKey),
        subject: [{ oid: '2.5.4.3', values: [options.commonName ?? 'leaf'] }],
        sans,
        notBefore: new Date(Date.now() - 50_000),
        notAfter: options.notAfter ?? new Date(Date.now() + 3_600_000),
      });
      return { cert, key: pem(leafKey) };
    },
  };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
