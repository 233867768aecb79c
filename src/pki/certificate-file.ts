/**
 * Certificates that a person names (authorities, chains), checked where they are read: OpenSSL and Node take a text
 * without a certificate, or with a broken one in its middle, without a word, and the first connection blames the server.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf, systemReason, TeleportError } from '../errors.js';
import { type DerValue, decodeDer, membersOf, TAG } from './der-reader.js';
import { decodePem, MAX_PEM_CHARS, type PemBlock } from './pem.js';

/**
 * OpenSSL needs 0.15 ms for a certificate. A file that a person wrote holds a few; of the bundle of a whole system, which
 * a program wrote, only the structure is looked at. Our own limit.
 */
const MOST_READ_BY_OPENSSL = 32;

/**
 * A file of certificates.
 *
 * @param source  the setting that names the file, as messages begin: `--ca-file`, `AWS_CA_BUNDLE`
 * @param nextStep  a sentence for the end of the hint
 * @returns PEM, one certificate each, at least one
 * @throws TeleportError `BadParameter` with the path, and what is there instead of a certificate
 */
export function readCertificateFile(path: string, source: string, nextStep?: string): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new TeleportError('BadParameter', `${source}: cannot read ${path}: ${systemReason(cause)}`, {
      cause,
      hint: join(EXPECTED, nextStep),
    });
  }
  return certificatesIn(bytes, { source, where: path, nextStep });
}

export interface CertificateNames {
  /** As for `readCertificateFile`. */
  source: string;
  /** The file, or what else holds the text. */
  where: string;
  nextStep?: string | undefined;
}

/** The certificates of a text, at least one. @throws TeleportError `BadParameter` */
export function certificatesIn(text: string | Buffer, { source, where, nextStep }: CertificateNames): string[] {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  const pem = bytes.toString('utf8').replace(/^\uFEFF/, '');
  const fail = (problem: string, hint = EXPECTED, cause?: unknown) =>
    new TeleportError('BadParameter', `${source}: ${problem}`, {
      hint: join(hint.replaceAll('FILE', where), nextStep),
      cause,
    });
  if (!/^[ \t]*-----BEGIN CERTIFICATE-----[ \t]*\r?$/m.test(pem)) {
    const [found, hint] = whatIs(bytes, pem);
    throw fail(`there is no certificate in ${where}: ${found}`, hint);
  }
  // The bundle of a whole system is read for every command that dials: the quick way when nothing is wrong with it.
  const quick = certificatesAmong(pem);
  const isWhole =
    quick.length === pem.split('-----BEGIN').length - 1 && quick.length === pem.split('-----END').length - 1;
  if (isWhole && quick.length > MOST_READ_BY_OPENSSL && quick.every(isCertificate)) return quick;
  let blocks: PemBlock[];
  try {
    blocks = decodePem(pem, 'CERTIFICATE');
  } catch (cause) {
    throw fail(`${where} is broken: ${messageOf(cause)}`, MEND, cause);
  }
  for (const [i, { der }] of blocks.entries()) {
    try {
      checkStructure(der);
      if (blocks.length <= MOST_READ_BY_OPENSSL) new X509Certificate(der);
    } catch (cause) {
      throw fail(`certificate ${i + 1} of ${blocks.length} in ${where} is broken: ${messageOf(cause)}`, MEND, cause);
    }
  }
  return blocks.map((block) => block.pem);
}

/**
 * The blocks of a text that say that they are certificates, for stores that nobody in particular named: whatever else is
 * there is passed over, as Go passes it over. `isCertificate` looks into them.
 *
 * @returns PEM, one block each
 */
export function certificatesAmong(text: string): string[] {
  return [...text.matchAll(BLOCK)].map(([pem]) => `${pem.replaceAll('\r', '')}\n`);
}

/** Whether a block is built like a certificate. */
export function isCertificate(pem: string): boolean {
  try {
    checkStructure(Buffer.from(pem.slice(pem.indexOf('\n'), pem.lastIndexOf('\n-')), 'base64'));
    return true;
  } catch {
    return false;
  }
}

const BLOCK = /^-----BEGIN CERTIFICATE-----\s[^-]+-----END CERTIFICATE-----/gm;
const EXPECTED = 'Name a file of PEM certificates: "-----BEGIN CERTIFICATE-----" begins each of them.';
const MEND =
  'Copy the certificates again from whoever issued them; "openssl x509 -noout -subject -in FILE" reads the first.';
const CONVERT = 'Convert it: openssl x509';

function join(hint: string, nextStep: string | undefined): string {
  return nextStep === undefined ? hint : `${hint} ${nextStep}`;
}

/** Three parts, and all lengths as they should be. Source: RFC 5280, section 4.1. */
function checkStructure(der: Buffer): void {
  if (membersOf(decodeDer(der), TAG.sequence).length === 3) return;
  throw new TeleportError('BadParameter', 'it is not an X.509 certificate');
}

/** What stands where certificates belong, and what to do about it. No byte of it is repeated: it may be a secret. */
function whatIs(bytes: Buffer, text: string): [found: string, hint?: string] {
  if (text.trim() === '') return ['it is empty'];
  if (text.length > MAX_PEM_CHARS) return [`it has more than ${MAX_PEM_CHARS} characters`];
  const label = /-----BEGIN ([A-Z0-9 ]{1,64})-----/.exec(text)?.[1];
  if (label === 'CERTIFICATE') {
    return [
      'it has its line breaks lost',
      'Keep the lines of PEM text; in YAML write "ca_cert: |" and indent what follows.',
    ];
  }
  if (label?.endsWith('PRIVATE KEY')) return [`it holds a private key (${label})`, KEY];
  if (label?.endsWith('CERTIFICATE REQUEST')) return [`it holds a certificate request (${label})`, REQUEST];
  if (label === 'TRUSTED CERTIFICATE' || label === 'X509 CERTIFICATE') {
    return [`it holds a certificate in a form of OpenSSL alone (${label})`, `${CONVERT} -in FILE -out ca.pem`];
  }
  if (label === 'PKCS7' || label === 'CMS') {
    return [`it holds ${label}`, 'Convert it: openssl pkcs7 -print_certs -in FILE -out ca.pem'];
  }
  if (label !== undefined) return [`it holds ${label}`];
  if (/^(ssh-|ecdsa-|sk-|@cert-authority )/m.test(text)) return ['it holds an SSH key'];
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return ['it holds a web page'];
  if (bytes[0] === 0xff || bytes[0] === 0xfe || bytes.subarray(0, 64).includes(0)) {
    const utf16 = Buffer.from(bytes).toString('utf16le');
    if (utf16.includes('-----BEGIN')) return ['it is text in UTF-16', 'Save it as UTF-8 or ASCII.'];
  }
  return binary(bytes) ?? ['it is not PEM text'];
}

const KEY = 'Name the file of the certificate, not that of a key.';
const REQUEST = 'Name the certificate that was issued by the authority, not the request for one.';

/** DER begins with a SEQUENCE; a Java key store with its magic number. */
function binary(bytes: Buffer): [found: string, hint?: string] | undefined {
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === 0xfeedfeed) {
    return ['it is a Java key store', 'Convert it: keytool -exportcert -rfc -keystore FILE -alias NAME -file ca.pem'];
  }
  try {
    return derFile(membersOf(decodeDer(bytes), TAG.sequence));
  } catch {
    return undefined;
  }
}

function derFile(parts: DerValue[]): [found: string, hint?: string] {
  const [first, second, third] = parts;
  if (parts.length === 3 && first?.tag === TAG.sequence && third?.tag === TAG.bitString) {
    // A request has four members there, a certificate six or more.
    return membersOf(first, TAG.sequence).length < 6
      ? ['it is a certificate request in DER', REQUEST]
      : ['it is a certificate in DER, not PEM', `${CONVERT} -inform der -in FILE -out ca.pem`];
  }
  if (first?.tag === TAG.oid) {
    return ['it is PKCS #7 in DER', 'Convert it: openssl pkcs7 -inform der -print_certs -in FILE -out ca.pem'];
  }
  if (first?.tag === TAG.integer && second?.tag === TAG.sequence && second.content[0] === TAG.oid) {
    const isStore = first.content[0] === 3;
    return isStore
      ? ['it is a PKCS #12 store', 'Convert it: openssl pkcs12 -nokeys -in FILE -out ca.pem']
      : ['it is a private key in DER', KEY];
  }
  if (first?.tag === TAG.integer) return ['it is a private key in DER', KEY];
  return ['it is DER, but not a certificate'];
}
