/** A throw-away authority for TLS tests of this room: RSA keys from `node:crypto`, certificates from node-forge. */
import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

export interface TestPair {
  key: string;
  cert: string;
}
export interface TestCa extends TestPair {
  issue(commonName: string, dnsNames?: string[], notAfter?: Date): TestPair;
}

/** Every certificate of one authority uses one leaf key, because keys are slow and nobody looks at them here. */
export function testCa(cluster: string): TestCa {
  const own = rsa();
  const leaf = rsa();
  const attributes = [
    { name: 'commonName', value: cluster },
    { name: 'organizationName', value: cluster },
  ];
  let serial = 1;
  const sign = (
    publicKey: string,
    subject: forge.pki.CertificateField[],
    extensions: object[],
    notAfter: Date,
  ): string => {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
    certificate.serialNumber = (serial++).toString(16).padStart(2, '0');
    certificate.validity.notBefore = new Date(Date.now() - 60_000);
    certificate.validity.notAfter = notAfter;
    certificate.setSubject(subject);
    certificate.setIssuer(attributes);
    certificate.setExtensions(extensions);
    certificate.sign(forge.pki.privateKeyFromPem(own.privateKey), forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  };
  const inAnHour = (): Date => new Date(Date.now() + 3_600_000);
  const cert = sign(
    own.publicKey,
    attributes,
    [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', keyCertSign: true },
    ],
    inAnHour(),
  );
  return {
    key: own.privateKey,
    cert,
    issue: (commonName, dnsNames = [], notAfter = inAnHour()) => ({
      key: leaf.privateKey,
      cert: sign(
        leaf.publicKey,
        [{ name: 'commonName', value: commonName }],
        dnsNames.length === 0
          ? []
          : [{ name: 'subjectAltName', altNames: dnsNames.map((value) => ({ type: 2, value })) }],
        notAfter,
      ),
    }),
  };
}

function rsa(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}
