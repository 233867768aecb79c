/**
 * Files of certificates as people name them: the right one, and everything that is taken for it.
 * Tests: src/pki/csr.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { certificateDer } from '../../src/pki/certificate.js';
import { certificatesAmong, isCertificate, readCertificateFile } from '../../src/pki/certificate-file.js';
import { createCsr } from '../../src/pki/csr.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../src/pki/keys.js';
import { createTestCa } from '../support/ca.js';

const dir = mkdtempSync(join(tmpdir(), 'certificate-file-'));
const path = join(dir, 'ca.pem');
const ca = createTestCa('Company');
const other = createTestCa('Other');
const key = await generateKey('ecdsa-p256');
const body = ca.certPem.split('\n').slice(1, -2);
const openssl = (...args: string[]) => {
  const { stdout, status } = spawnSync('openssl', args, { cwd: dir });
  return status === 0 ? stdout : undefined;
};

afterAll(() => rmSync(dir, { recursive: true }));

function read(content: string | Uint8Array): string[] {
  writeFileSync(path, content);
  return readCertificateFile(path, '--ca-file');
}

describe('S16 a file of authorities', () => {
  test.each([
    ['one', ca.certPem],
    ['one with Windows line ends', ca.certPem.replaceAll('\n', '\r\n')],
    ['one behind a byte order mark', `\uFEFF${ca.certPem}`],
    ['one without a line end at its end', ca.certPem.trimEnd()],
    ['one that is indented', ca.certPem.replace(/^/gm, '  ')],
    ['one behind a text and a key', `subject=/CN=x\n${privateKeyPem(key)}${ca.certPem}`],
  ])('%s is read', (_what, text) => {
    expect(read(text)).toEqual([ca.certPem]);
  });

  test('all of a bundle are read, of a large one too', () => {
    expect(read(ca.certPem + other.certPem)).toEqual([ca.certPem, other.certPem]);
    expect(read(rootCertificates.join('\n'))).toHaveLength(rootCertificates.length);
  });

  const der = certificateDer(ca.certPem);
  test.each<[string, string | Uint8Array, string, string]>([
    ['nothing', '', 'it is empty', 'BEGIN CERTIFICATE'],
    ['blanks', ' \n\n', 'it is empty', 'BEGIN CERTIFICATE'],
    ['a private key', privateKeyPem(key), 'it holds a private key (PRIVATE KEY)', 'not that of a key'],
    ['a public key', publicKeyPem(key), 'it holds PUBLIC KEY', 'BEGIN CERTIFICATE'],
    ['a request', createCsr({ key, subject: [] }), 'it holds a certificate request (CERTIFICATE REQUEST)', 'issued'],
    [
      'a trusted one',
      ca.certPem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'),
      'form of OpenSSL alone',
      'openssl x509',
    ],
    ['PKCS #7', '-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n', 'it holds PKCS7', 'openssl pkcs7 -print_certs'],
    [
      'a revocation list',
      '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n',
      'it holds X509 CRL',
      'CERTIFICATE',
    ],
    ['DER', der, 'it is a certificate in DER, not PEM', `openssl x509 -inform der -in ${path}`],
    ['a key in DER', key.export({ type: 'pkcs8', format: 'der' }), 'it is a private key in DER', 'not that of a key'],
    [
      'an old key in DER',
      key.export({ type: 'sec1', format: 'der' }),
      'it is a private key in DER',
      'not that of a key',
    ],
    ['a Java key store', Buffer.from('feedfeed00000002', 'hex'), 'it is a Java key store', 'keytool'],
    ['an SSH key', 'ssh-ed25519 AAAA someone\n', 'it holds an SSH key', 'BEGIN CERTIFICATE'],
    ['a web page', '<!DOCTYPE html><html>log in</html>', 'it holds a web page', 'BEGIN CERTIFICATE'],
    ['UTF-16', Buffer.from(`\uFEFF${ca.certPem}`, 'utf16le'), 'it is text in UTF-16', 'UTF-8'],
    ['lost line breaks', ca.certPem.replaceAll('\n', ' '), 'it has its line breaks lost', 'YAML'],
    ['written line breaks', ca.certPem.replaceAll('\n', '\\n'), 'it has its line breaks lost', 'YAML'],
    ['Base64 without its marks', body.join('\n'), 'it is not PEM text', 'BEGIN CERTIFICATE'],
    ['something else', 'hello\n', 'it is not PEM text', 'BEGIN CERTIFICATE'],
    ['noise', Buffer.from([0x80, 0, 1, 2, 3]), 'it is not PEM text', 'BEGIN CERTIFICATE'],
  ])('with %s is refused by its path, with what it is and what to do', (_what, content, found, hint) => {
    expect(() => read(content)).toThrow(
      expect.objectContaining({
        code: 'BadParameter',
        message: expect.stringContaining(`--ca-file: there is no certificate in ${path}: `),
        hint: expect.stringContaining(hint),
      }),
    );
    expect(() => read(content)).toThrow(found);
    expect(() => read(content)).not.toThrow(/MI[A-Za-z0-9]{8}/); // it may be a secret
  });

  const broken = (lines: string[]) =>
    ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  const changed = Buffer.from(der);
  changed[6] = 0xff; // inside the version
  test.each<[string, string, RegExp]>([
    ['other characters', ca.certPem + broken(['***', ...body]) + other.certPem, /is broken: .*line \d+: .*Base64/],
    ['a line that is lost', ca.certPem + broken(body.slice(1)) + other.certPem, /certificate 2 of 3 in .* is broken/],
    ['other data', ca.certPem + broken(['AAAA']), /certificate 2 of 2 in .* is broken/],
    ['data like it', ca.certPem + broken(['MAkwAjAAMAADAQA=']), /certificate 2 of 2 in .* is broken/],
    ['changed bytes', broken(changed.toString('base64').match(/.{1,64}/g)!), /certificate 1 of 1 in .* is broken/],
    ['no end', ca.certPem + other.certPem.slice(0, -30), /line \d+: .*CERTIFICATE block does not end|does not end/],
    [
      'two files joined without a line end',
      ca.certPem.trimEnd() + other.certPem,
      /line \d+: one block ends and another begins/,
    ],
    ['no beginning', `${body.join('\n')}\n-----END CERTIFICATE-----\n${ca.certPem}`, /line \d+: .* did not begin/],
    ['one of many', `${rootCertificates.join('\n')}\n${broken(['AAAA'])}`, /certificate \d+ of \d+ in .* is broken/],
    ['one of many without end', `${rootCertificates.join('\n')}\n${ca.certPem.slice(0, -30)}`, /does not end/],
  ])('with %s in its middle is refused, with the place', (_what, text, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'BadParameter', message: expect.stringMatching(message) }),
    );
    expect(() => read(text)).toThrow(path);
  });

  test('that is missing, or a folder, is refused by its path', () => {
    const missing = join(dir, 'missing.pem');
    expect(() => readCertificateFile(missing, 'AWS_CA_BUNDLE')).toThrow(/^AWS_CA_BUNDLE: .*missing\.pem/);
    const folder = join(dir, 'folder');
    mkdirSync(folder);
    expect(() => readCertificateFile(folder, 'SSL_CERT_FILE')).toThrow(
      `SSL_CERT_FILE: cannot read ${folder}: illegal operation on a directory`,
    );
  });

  test('made by openssl as PKCS #12 or PKCS #7 is known for what it is', () => {
    writeFileSync(path, ca.certPem);
    const store = openssl('pkcs12', '-export', '-nokeys', '-in', path, '-passout', 'pass:x');
    const list = openssl('crl2pkcs7', '-nocrl', '-certfile', path, '-outform', 'DER');
    if (!store || !list) return; // no openssl on this machine
    expect(() => read(store)).toThrow('it is a PKCS #12 store');
    expect(() => read(list)).toThrow('it is PKCS #7 in DER');
  });
});

test('of a store that nobody named, what is no certificate is passed over, and the next ones count', () => {
  const text = `${ca.certPem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${privateKeyPem(key)}${other.certPem}`;
  expect(certificatesAmong(text).filter(isCertificate)).toEqual([ca.certPem, other.certPem]);
});
