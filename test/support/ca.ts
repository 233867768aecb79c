/**
 * The one throw-away authority of the tests: P-256 keys made on the spot and X.509 (RFC 5280) written here. It shares no
 * line with `src`, so that our reader meets certificates that our writer has not made.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { bytes, der, integer, oid, SEQUENCE, text, time } from './der.js';

export interface TestCertificate {
  /** PEM. */
  cert: string;
  /** PEM. */
  key: string;
  privateKey: KeyObject;
}

export interface CertificateOptions {
  /** Default: a day ago and a day ahead. */
  from?: Date;
  to?: Date;
  /** DNS names and IP addresses. */
  sans?: readonly string[];
  /** Attributes in order; several values of a standard one (2.5.4.*) share one RDN, as in Teleport's certificates. */
  subject?: readonly { oid: string; values: readonly string[] }[];
  /** Default: both. */
  usages?: readonly ('serverAuth' | 'clientAuth')[];
}

export interface TestCa {
  /** PEM. */
  certPem: string;
  /** A certificate with a key of its own for these names (DNS or IP); the first is the common name. */
  issue(names: string | readonly string[], options?: CertificateOptions): TestCertificate;
  /** PEM of a certificate for somebody's public key, or for the public half of a private one. */
  sign(key: KeyObject | string, options: CertificateOptions): string;
}

/**
 * @param name  common name and organization, as Teleport's authorities have them
 * @param options.subject  attributes behind them
 */
export function createTestCa(
  name = 'Test CA',
  { from, to, subject: more = [] }: Pick<CertificateOptions, 'from' | 'to' | 'subject'> = {},
): TestCa {
  const { privateKey, publicKey } = newKey();
  const spki = spkiOf(publicKey);
  // The bits of a P-256 key, an uncompressed point, are the end of its SPKI.
  const keyId = createHash('sha1').update(spki.subarray(-65)).digest();
  const own = nameOf([{ oid: ORGANIZATION, values: [name] }, { oid: COMMON_NAME, values: [name] }, ...more]);
  const certificate = (subject: Buffer, key: Buffer, validity: CertificateOptions, extensions: Buffer[]): string => {
    const { from = inDays(-1), to = inDays(1) } = validity;
    const serial = randomBytes(16);
    serial[0] = (serial[0]! & 0x3f) | 0x40; // positive, and no zero in front
    const signed = der(
      SEQUENCE,
      der(0xa0, integer(2)),
      der(0x02, serial),
      ECDSA_WITH_SHA256,
      own,
      der(SEQUENCE, time(from), time(to)),
      subject,
      key,
      der(0xa3, der(SEQUENCE, ...extensions)),
    );
    const signature = sign('sha256', signed, privateKey);
    return pemOf(der(SEQUENCE, signed, ECDSA_WITH_SHA256, bits(0, signature)));
  };
  const signLeaf: TestCa['sign'] = (
    key,
    { subject = [], sans = [], usages = ['serverAuth', 'clientAuth'], ...validity },
  ) => {
    const isRsa = typeof key === 'object' && key.asymmetricKeyType === 'rsa';
    return certificate(nameOf(subject), spkiOf(key), validity, [
      extension('2.5.29.15', isRsa ? bits(5, bytes(0xa0)) : bits(7, bytes(0x80)), true),
      extension('2.5.29.37', der(SEQUENCE, ...usages.map((usage) => oid(USAGE[usage])))),
      extension('2.5.29.19', der(SEQUENCE), true),
      extension('2.5.29.35', der(SEQUENCE, der(0x80, keyId))),
      ...(sans.length > 0 ? [extension('2.5.29.17', der(SEQUENCE, ...sans.map(generalName)))] : []),
    ]);
  };
  return {
    certPem: certificate(own, spki, { from: from ?? inDays(-2), to: to ?? inDays(30) }, [
      extension('2.5.29.15', bits(1, bytes(0x86)), true),
      extension('2.5.29.19', der(SEQUENCE, der(0x01, bytes(0xff))), true),
      extension('2.5.29.14', der(0x04, keyId)),
    ]),
    issue(names, options = {}) {
      const sans = [names].flat();
      const pair = newKey();
      const subject = [{ oid: COMMON_NAME, values: [sans[0] ?? 'nobody'] }];
      return {
        cert: signLeaf(pair.publicKey, { subject, sans, ...options }),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        privateKey: pair.privateKey,
      };
    },
    sign: signLeaf,
  };
}

/** The subject of a host's certificate, as far as clients look at it: its role in the cluster. */
export const hostOf = (role: string): NonNullable<CertificateOptions['subject']> => [
  { oid: ORGANIZATION, values: [role] },
];

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const USAGE = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' };
const ECDSA_WITH_SHA256 = der(SEQUENCE, oid('1.2.840.10045.4.3.2'));

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
const bits = (unused: number, content: Buffer) => der(0x03, bytes(unused), content);

function spkiOf(key: KeyObject | string): Buffer {
  const isPublic = typeof key === 'object' && key.type === 'public';
  return (isPublic ? key : createPublicKey(key)).export({ type: 'spki', format: 'der' });
}

function nameOf(attributes: NonNullable<CertificateOptions['subject']>): Buffer {
  const rdns = attributes.flatMap((attribute) => {
    const members = attribute.values.map((value) => der(SEQUENCE, oid(attribute.oid), text(value)));
    if (!attribute.oid.startsWith('2.5.4.')) return members.map((member) => der(0x31, member));
    return members.length > 0 ? [der(0x31, ...members.sort(Buffer.compare))] : [];
  });
  return der(SEQUENCE, ...rdns);
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return der(SEQUENCE, oid(id), ...(isCritical ? [der(0x01, bytes(0xff))] : []), der(0x04, value));
}

function generalName(name: string): Buffer {
  const family = isIP(name);
  if (family === 0) return der(0x82, Buffer.from(name, 'latin1'));
  return der(0x87, family === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6Bytes(name));
}

function ipv6Bytes(address: string): Buffer {
  // The address parser of URLs writes every form in groups of hex.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [left, right] = [head, tail].map((part) => part.split(':').filter(Boolean));
  const groups = [...left!, ...Array(8 - left!.length - right!.length).fill('0'), ...right!];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function pemOf(content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g)!;
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}
