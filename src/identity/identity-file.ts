/**
 * Identity files of the format `file`: one text with the key, both certificates and the authorities (Teleport 18.3.0,
 * api/identityfile). Pure text; who reads and writes the file, with mode 0600, is elsewhere.
 */
import { messageOf, TeleportError } from '../errors.js';
import type { PemBlock } from '../pki/pem.js';
import { isSshCertificateLine } from '../pki/ssh/certificate.js';
import { decodePem } from '../pki/x509.js';

export interface IdentityFile {
  /** One key for SSH and TLS, PEM. */
  privateKeyPem: string;
  /** Absent in files of others who keep it in `FILE-cert.pub`. */
  sshCertLine?: string;
  tlsCertPem: string;
  /** Host CA lines as in `known_hosts`, without newline. */
  sshCaLines: string[];
  /** Host CA certificates, PEM, one each. */
  tlsCaPems: string[];
}

const MAKE_ANEW = 'Make a new one: tsh login --out=FILE, or on the Auth host: tctl auth sign --user=NAME --out=FILE';

/** The text in Teleport's order; every part ends with a newline. */
export function encodeIdentityFile(file: IdentityFile): string {
  const ssh = file.sshCertLine === undefined ? [] : [file.sshCertLine];
  return [file.privateKeyPem, ...ssh, file.tlsCertPem, ...file.sshCaLines, ...file.tlsCaPems]
    .map((part) => (part.endsWith('\n') ? part : `${part}\n`))
    .join('');
}

/**
 * Read by position: the first PEM block is the key, the second the TLS certificate, all others are authorities. Of
 * several SSH certificates the last one counts; other lines are ignored.
 *
 * @param path  of the file, for messages
 * @throws TeleportError `BadParameter` for an unfinished PEM block, or without key, certificate or authorities
 */
export function decodeIdentityFile(fileText: string, path?: string): IdentityFile {
  const refuse = (why: string, cause?: unknown) =>
    new TeleportError('BadParameter', path === undefined ? why : `${why} ${path}`, { cause, hint: MAKE_ANEW });
  let blocks: PemBlock[];
  try {
    blocks = decodePem(fileText);
  } catch (cause) {
    throw refuse(`${messageOf(cause)}, in the identity file`, cause);
  }
  const [key, certificate, ...authorities] = blocks;
  if (!key?.type.endsWith('PRIVATE KEY')) throw refuse('could not find private key bytes in the identity file');
  if (certificate?.type !== 'CERTIFICATE') throw refuse('could not find a TLS certificate in the identity file');
  if (authorities.length === 0) throw refuse('could not find certificates of authorities in the identity file');
  const other = authorities.find(({ type }) => type !== 'CERTIFICATE');
  if (other) throw refuse(`found ${other.type} in place of the certificate of an authority in the identity file`);
  const lines = fileText.split('\n').map((line) => line.trim());
  const sshCertLine = lines.findLast(isSshCertificateLine);
  return {
    privateKeyPem: key.pem,
    ...(sshCertLine === undefined ? {} : { sshCertLine }),
    tlsCertPem: certificate.pem,
    sshCaLines: lines.filter((line) => line.startsWith('@cert-authority')),
    tlsCaPems: authorities.map(({ pem }) => pem),
  };
}
