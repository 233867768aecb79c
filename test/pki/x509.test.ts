/**
 * Tests: src/pki/certificate.ts, src/pki/der-reader.ts, src/pki/der.ts, src/pki/extensions.ts, src/pki/name.ts
 * Tests: src/pki/signing.ts, src/pki/verify.ts
 */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTeleportError } from '../../src/errors.js';
import { readCertificate } from '../../src/pki/certificate.js';
import { decodeDer } from '../../src/pki/der-reader.js';
import { keyIdOf } from '../../src/pki/extensions.js';
import { generateKey, readPublicKey, sameKey, spkiDer } from '../../src/pki/keys.js';
import {
  checkPins,
  createCa,
  createCsr,
  emptyCrl,
  encodePem,
  issueLeaf,
  issuerOf,
  publicKeyOf,
  readCsr,
  type SigningCa,
  selfSignedWebCertificate,
  spkiPin,
  splitPem,
  subjectOf,
  verifyLeaf,
} from '../../src/pki/x509.js';

const captured = (name: string) => readFileSync(new URL(`../fixtures/certs/${name}`, import.meta.url), 'utf8');
const der = (pem: string) => readCertificate(pem).der;
const now = new Date('2026-11-21T04:00:00Z');
const MINUTE_MS = 60_000;
const SUBJECT = [
  { oid: '2.5.4.10', values: ['auditor', 'editor', 'access'] },
  { oid: '2.5.4.17', values: ['{"db_users":["*"]}'] },
  { oid: '2.5.4.3', values: ['alice@example.com'] },
  { oid: '1.3.9999.2.5', values: ['dev', '*'] },
  { oid: '1.3.9999.2.8', values: [] },
];

let rsa: SigningCa;
let ec: SigningCa;
let ed: SigningCa;

beforeAll(async () => {
  const [rsaKey, ecKey, edKey] = await Promise.all([
    generateKey('rsa2048'),
    generateKey('ecdsa-p256'),
    generateKey('ed25519'),
  ]);
  const make = (key: typeof rsaKey) => ({
    certPem: createCa({ clusterName: 'root.example.com', key, now }).certPem,
    key,
  });
  [rsa, ec, ed] = [make(rsaKey), make(ecKey), make(edKey)];
});

const leafOptions = (ca: SigningCa, subjectKey = ec.key) => ({
  ca,
  publicKey: subjectKey,
  subject: SUBJECT,
  notBefore: new Date(now.getTime() - MINUTE_MS),
  notAfter: new Date(now.getTime() + 60 * MINUTE_MS),
});

describe('authorities', () => {
  test('a new authority has the shape of a captured one, field by field', () => {
    const [ours, theirs] = [readCertificate(ec.certPem), readCertificate(captured('host-ca.pem'))];
    expect([...ours.subject.keys()]).toEqual([...theirs.subject.keys()]);
    expect(ours.subject.get('2.5.4.5')).toEqual([ours.serial.toString()]);
    expect(theirs.subject.get('2.5.4.5')).toEqual([theirs.serial.toString()]);
    expect(ours.issuerDer).toEqual(ours.subjectDer);
    expect([...ours.extensions.keys()]).toEqual([...theirs.extensions.keys()]);
    for (const oid of ['2.5.29.15', '2.5.29.19']) expect(ours.extensions.get(oid)).toEqual(theirs.extensions.get(oid));
    expect(ours.notBefore).toEqual(now);
    expect(ours.notAfter.getTime() - now.getTime()).toBe(theirs.notAfter.getTime() - theirs.notBefore.getTime());
  });

  test('an RSA authority may also encipher keys, like the captured db authority', () => {
    const usage = (pem: string) => readCertificate(pem).extensions.get('2.5.29.15');
    expect(usage(rsa.certPem)).toEqual(usage(captured('db-ca.pem')));
  });

  test('the subject key id of a captured authority is the SHA-1 of its key', () => {
    const { spkiDer: spki, extensions } = readCertificate(captured('host-ca.pem'));
    expect(decodeDer(extensions.get('2.5.29.14')!.value).content).toEqual(keyIdOf(spki));
  });
});

describe('leaves', () => {
  test('every signer signs every kind of key, and Node finds the chain right', () => {
    for (const ca of [rsa, ec, ed]) {
      for (const subject of [rsa, ec, ed]) {
        const leaf = new X509Certificate(issueLeaf(leafOptions(ca, subject.key)));
        const issuer = new X509Certificate(ca.certPem);
        expect(leaf.checkIssued(issuer)).toBe(true);
        expect(leaf.verify(issuer.publicKey)).toBe(true);
        expect(sameKey(leaf.publicKey, subject.key)).toBe(true);
      }
    }
  });

  test('extensions are those of captured leaves', () => {
    const ours = readCertificate(issueLeaf(leafOptions(ec))).extensions;
    const theirs = readCertificate(captured('user-tls.pem')).extensions;
    expect([...ours.keys()]).toEqual([...theirs.keys()]);
    for (const oid of ['2.5.29.15', '2.5.29.37', '2.5.29.19']) expect(ours.get(oid)).toEqual(theirs.get(oid));
    const withRsa = readCertificate(issueLeaf(leafOptions(ec, rsa.key))).extensions.get('2.5.29.15');
    expect(withRsa).toEqual(readCertificate(captured('user-db.pem')).extensions.get('2.5.29.15'));
  });

  test('names and addresses of a captured listener come out in the same bytes', () => {
    const sans = ['peer', 'localhost', 'remote.kube.proxy.teleport.cluster.local', '*.teleport.cluster.local'];
    sans.push('teleport.cluster.local', '*.localhost', '127.0.0.1', '::1', 'peer', '::ffff:127.0.0.1');
    const ours = readCertificate(issueLeaf({ ...leafOptions(ec), sans })).extensions.get('2.5.29.17');
    expect(ours).toEqual(readCertificate(captured('host-postgres-listener.pem')).extensions.get('2.5.29.17'));
  });

  test('roles share one sorted RDN, private attributes have one each, and empty lists leave no trace', () => {
    const cert = issueLeaf(leafOptions(ec));
    expect(subjectOf(cert)).toEqual(
      new Map([
        ['2.5.4.10', ['access', 'editor', 'auditor']],
        ['2.5.4.17', ['{"db_users":["*"]}']],
        ['2.5.4.3', ['alice@example.com']],
        ['1.3.9999.2.5', ['dev', '*']],
      ]),
    );
    const lines = new X509Certificate(cert).subject.split('\n');
    expect(lines[0]).toBe('O=access + O=editor + O=auditor');
    expect(lines.slice(-2)).toEqual(['1.3.9999.2.5=dev', '1.3.9999.2.5=*']);
  });

  test('the issuer is the subject of the authority byte for byte, also of a captured one', () => {
    const leaf = readCertificate(issueLeaf(leafOptions(ec)));
    expect(leaf.issuerDer).toEqual(readCertificate(ec.certPem).subjectDer);
    expect(issuerOf(captured('user-tls.pem'))).toEqual(subjectOf(captured('user-ca.pem')));
    expect(readCertificate(captured('user-tls.pem')).issuerDer).toEqual(
      readCertificate(captured('user-ca.pem')).subjectDer,
    );
  });

  test('a key that is not the authority’s is refused', () => {
    expect(() => issueLeaf(leafOptions({ certPem: ec.certPem, key: ed.key }))).toThrow('does not belong');
  });

  test('times beyond 2049 survive', () => {
    const notAfter = new Date('2061-02-03T04:05:06Z');
    const leaf = readCertificate(issueLeaf({ ...leafOptions(ec), notAfter }));
    expect(leaf.notAfter).toEqual(notAfter);
  });
});

describe('verification', () => {
  const cas = () => [ed.certPem, rsa.certPem + ec.certPem];

  test('a captured user certificate is good with the captured authority, in its time only', () => {
    const options = { cas: [captured('host-ca.pem'), captured('user-ca.pem')] };
    const { caPem } = verifyLeaf(der(captured('user-db.pem')), { ...options, now });
    expect(caPem.trim()).toBe(captured('user-ca.pem').trim());
    const late = () => verifyLeaf(der(captured('user-db.pem')), { ...options, now: new Date('2026-11-22T00:00:00Z') });
    expect(late).toThrow('access denied: the certificate has expired');
    const foreign = () => verifyLeaf(der(captured('user-db.pem')), { cas: [captured('host-ca.pem')], now });
    expect(foreign).toThrow('unknown authority');
  });

  test('an authority of the same name with another key does not do', () => {
    const leaf = der(issueLeaf(leafOptions(ec)));
    expect(verifyLeaf(leaf, { cas: cas(), now, usage: 'clientAuth' }).leaf.der).toEqual(leaf);
    expect(() => verifyLeaf(leaf, { cas: [ed.certPem, rsa.certPem], now })).toThrow('unknown authority');
  });

  test('exactly one certificate, no authority, and the usage that was asked for', () => {
    const leaf = der(issueLeaf(leafOptions(ec)));
    expect(() => verifyLeaf([leaf, der(ec.certPem)], { cas: cas(), now })).toThrow(
      'access denied: intermediaries are not supported',
    );
    expect(() => verifyLeaf([], { cas: cas(), now })).toThrow('access denied');
    expect(() => verifyLeaf(der(ec.certPem), { cas: cas(), now })).toThrow('access denied');
    const server = der(issueLeaf({ ...leafOptions(ec), extendedKeyUsage: ['serverAuth'] }));
    expect(() => verifyLeaf(server, { cas: cas(), now, usage: 'clientAuth' })).toThrow('not for clientAuth');
  });

  test('a single changed bit anywhere is refused or was not signed', () => {
    const leaf = der(issueLeaf(leafOptions(ec)));
    for (let at = 0; at < leaf.length; at++) {
      const changed = Buffer.from(leaf);
      changed[at] = changed[at]! ^ 0x01;
      expect(() => verifyLeaf(changed, { cas: cas(), now })).toThrow(
        expect.objectContaining({ name: 'TeleportError' }),
      );
    }
  });

  test('cut at every byte, certificates and requests end in our own errors', async () => {
    const cert = der(captured('user-db.pem'));
    const request = Buffer.from(
      createCsr({ subject: SUBJECT, key: ec.key }).split('\n').slice(1, -2).join(''),
      'base64',
    );
    expect(() => readCertificate(Buffer.concat([cert, Buffer.of(0)]))).toThrow('left over');
    for (let length = 0; length < cert.length; length++)
      expect(codeOf(() => readCertificate(cert.subarray(0, length)))).toBe('Protocol');
    for (let length = 0; length < request.length; length++) {
      const cut = encodePem('CERTIFICATE REQUEST', request.subarray(0, length));
      expect(['Protocol', 'BadParameter']).toContain(codeOf(() => readCsr(cut)));
    }
  });

  test('random changes of a captured certificate never crash the reader', () => {
    const cert = der(captured('user-db.pem'));
    let seed = 7;
    const random = (limit: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % limit;
    };
    for (let round = 0; round < 3000; round++) {
      const changed = Buffer.from(cert);
      for (let change = 0; change < 3; change++) changed[random(changed.length)] = random(256);
      const code = codeOf(() => readCertificate(changed));
      expect([undefined, 'Protocol', 'BadParameter']).toContain(code);
    }
  });
});

describe('requests', () => {
  test('subject and key of all three kinds come back, a foreign signature is refused', () => {
    for (const { key } of [rsa, ec, ed]) {
      const { subject, publicKey } = readCsr(createCsr({ subject: SUBJECT, key }));
      expect(subject.get('1.3.9999.2.5')).toEqual(['dev', '*']);
      expect(sameKey(publicKey, key)).toBe(true);
    }
    const csr = createCsr({ subject: SUBJECT, key: ed.key });
    const body = Buffer.from(csr.split('\n').slice(1, -2).join(''), 'base64');
    body[body.length - 1] = body[body.length - 1]! ^ 1;
    expect(() => readCsr(encodePem('CERTIFICATE REQUEST', body))).toThrow(
      'signature of the certificate request is wrong',
    );
  });
});

describe('pins and PEM', () => {
  test('a pin is the hash of the public key, and every authority needs one', () => {
    const pin = spkiPin(ec.certPem);
    expect(pin).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(() => checkPins([pin, spkiPin(rsa.certPem)], [ec.certPem + rsa.certPem])).not.toThrow();
    expect(() => checkPins([pin], [ec.certPem, rsa.certPem])).toThrow(/^cluster pin does not match any provided/);
    expect(() => checkPins([pin], [])).toThrow('cluster pin');
    expect(() => checkPins(['abc'], [ec.certPem])).toThrow(
      'invalid format for certificate pin, expected algorithm:pin',
    );
    expect(() => checkPins(['a:b:c'], [ec.certPem])).toThrow('expected algorithm:pin');
    expect(() => checkPins(['md5:b'], [ec.certPem])).toThrow(
      'sha256 only supported hashing algorithm for certificate pin',
    );
  });

  test('PEM text is split by label; a block without end is an error', () => {
    const both = `# comment\n${ec.certPem}${publicPem()}${rsa.certPem}`;
    expect(splitPem(both, 'CERTIFICATE')).toEqual([ec.certPem, rsa.certPem]);
    expect(splitPem(both)).toHaveLength(3);
    expect(() => splitPem(ec.certPem.slice(0, -10))).toThrow('does not end');
    expect(sameKey(readPublicKey(both), ec.key)).toBe(true);
  });

  function publicPem(): string {
    return encodePem('PUBLIC KEY', spkiDer(ec.key));
  }
});

test('a self-signed web certificate vouches for its names', () => {
  const pem = selfSignedWebCertificate({ names: ['localhost', '127.0.0.1'], key: ec.key, now });
  const cert = new X509Certificate(pem);
  expect(cert.checkHost('localhost')).toBe('localhost');
  expect(cert.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(cert.verify(publicKeyOf(pem))).toBe(true);
});

test('openssl agrees: chains, requests, CRLs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pki-'));
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    if (!hasProgram('openssl', 'version')) return void console.warn('skipped: openssl is not installed');
    for (const ca of [rsa, ec, ed]) {
      const caFile = file('ca.pem', ca.certPem);
      const leafFile = file('leaf.pem', issueLeaf({ ...leafOptions(ca, rsa.key), sans: ['db.example.com', '::1'] }));
      const at = String(now.getTime() / 1000);
      expect(openssl('verify', '-x509_strict', '-attime', at, '-CAfile', caFile, leafFile)).toContain('OK');
      const crl = openssl(
        'crl',
        '-inform',
        'der',
        '-in',
        file('a.crl', emptyCrl(ca, now)),
        '-CAfile',
        caFile,
        '-noout',
        '-text',
      );
      expect(crl).toContain('No Revoked Certificates');
      openssl('req', '-verify', '-noout', '-in', file('a.csr', createCsr({ subject: SUBJECT, key: ca.key })));
    }
    const web = file('web.pem', selfSignedWebCertificate({ names: ['localhost'], key: ec.key, now }));
    const at = String(now.getTime() / 1000 + 60);
    expect(openssl('verify', '-attime', at, '-CAfile', web, '-verify_hostname', 'localhost', web)).toContain('OK');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function hasProgram(name: string, ...args: string[]): boolean {
  try {
    execFileSync(name, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (isTeleportError(error)) return error.code;
    throw error;
  }
}
