/**
 * Certificates, keys and pins that teleport.yaml names: each is checked when the file is read.
 * Tests: src/resources/default-paths.ts, src/teleport/host-files.ts, src/teleport/membership.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, privateKeyPem } from '../../src/pki/keys.js';
import { webCertFiles } from '../../src/resources/default-paths.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { readKeypair, webCertificate } from '../../src/teleport/host-files.js';
import { readPins } from '../../src/teleport/membership.js';
import { createTestCa } from '../support/ca.js';

const dir = mkdtempSync(join(tmpdir(), 'certificates-'));
afterAll(() => rmSync(dir, { recursive: true }));

const ca = createTestCa();
const other = privateKeyPem(await generateKey('ecdsa-p256'));
const { cert, key } = ca.issue('localhost');

function put(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}

function databaseWith(settings: string) {
  const text = `db_service: {enabled: yes, databases: [{name: pg, protocol: postgres, uri: "pg:5432", ${settings}}]}`;
  return teleportConfig({}, 'teleport.yaml', parseConfigText(text, 'teleport.yaml')).db!.databases[0]!;
}

describe('S16 the authorities of a database', () => {
  const settings = (file: string) => [`tls: {ca_cert_file: ${file}}`, `ca_cert_file: ${file}`];

  test('are taken from the file, each in one form', () => {
    const file = put('ca.pem', `\uFEFFCompany\r\n${(ca.certPem + cert).replaceAll('\n', '\r\n')}`);
    for (const one of settings(file)) expect(databaseWith(one).spec.tls?.ca_cert).toBe(ca.certPem + cert);
  });

  test.each([
    ['empty.pem', '', 'it is empty'],
    ['key.pem', other, 'it holds a private key (PRIVATE KEY)'],
    ['broken.pem', `${ca.certPem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, 'certificate 2 of 2'],
    ['cut.pem', ca.certPem.slice(0, 200), 'does not end'],
  ])('are refused at start when the file is %s, by its path and the name of the database', (name, text, found) => {
    const file = put(name, text);
    for (const one of settings(file)) {
      expect(() => databaseWith(one)).toThrow(
        expect.objectContaining({
          code: 'BadParameter',
          message: expect.stringMatching(/^ca_cert_file of database "pg": /),
        }),
      );
      expect(() => databaseWith(one)).toThrow(file);
      expect(() => databaseWith(one)).toThrow(found);
    }
  });

  test('are refused when there is no such file', () => {
    const missing = join(dir, 'missing.pem');
    for (const one of settings(missing)) expect(() => databaseWith(one)).toThrow(missing);
  });
});

describe('S16 the certificate of the Proxy', () => {
  const pair = (certText: string, keyText: string) =>
    readKeypair({ certFile: put('web.crt', certText), keyFile: put('web.key', keyText) });

  test('is its whole chain', async () => {
    expect(await pair(cert + ca.certPem, key)).toEqual({ certPem: cert + ca.certPem, keyPem: key });
  });

  test.each([
    ['a key in its place', key, key, 'web.crt: it holds a private key'],
    ['nothing', '', key, 'web.crt: it is empty'],
    ['a chain whose second half is cut', cert + ca.certPem.slice(0, -40), key, 'does not end'],
    [
      'a chain whose second half is broken',
      `${cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      key,
      'certificate 2 of 2',
    ],
    ['a certificate in place of the key', cert, cert, 'web.key: no private key found'],
    ['no key', cert, '', 'web.key: no private key found'],
    ['the key of another', cert, other, 'web.key is not the key of the certificate'],
  ])('is refused with %s', async (_what, certText, keyText, message) => {
    await expect(pair(certText, keyText)).rejects.toMatchObject({
      code: 'BadParameter',
      message: expect.stringContaining(message),
    });
  });
});

test('S16 a broken certificate that the Proxy made itself is refused by its path, with the way to a new one', async () => {
  const { certFile, keyFile } = webCertFiles(dir);
  const made = await webCertificate(dir, ['localhost'], new Date());
  expect(await webCertificate(dir, ['localhost'], new Date())).toEqual(made);
  writeFileSync(certFile, made.certPem.slice(0, 100));
  await expect(webCertificate(dir, ['localhost'], new Date())).rejects.toMatchObject({
    code: 'BadParameter',
    message: expect.stringContaining(certFile),
    hint: expect.stringContaining(`remove it and ${keyFile}`),
  });
});

describe('S16 a file of CA pins', () => {
  test('holds one a line', async () => {
    const file = put('pins', 'sha256:aa\nsha256:bb\n');
    expect(await readPins(['sha256:cc', file])).toEqual(['sha256:cc', 'sha256:aa', 'sha256:bb']);
  });

  test.each([
    ['is empty', '\n', 'it is empty'],
    ['is a certificate', ca.certPem, 'it holds PEM text, not pins'],
  ])('that %s is refused by its path', async (_what, text, found) => {
    const file = put('pins', text);
    await expect(readPins([file])).rejects.toThrow(`cannot read the CA pin from ${file}: ${found}`);
  });

  test('that is missing is refused by its path', async () => {
    const file = join(dir, 'nowhere');
    await expect(readPins([file])).rejects.toThrow(`cannot read the CA pin from ${file}: no such file`);
  });
});
