/**
 * Identity files of the format `file`: one text with the key, both certificates and the authorities (Teleport 18.3.0,
 * api/identityfile). Pure text; who reads and writes the file, with mode 0600, is elsewhere.
 */
import { TeleportError } from '../errors.js';
import { isSshCertificateLine } from '../pki/ssh.js';
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
 * @throws TeleportError `BadParameter` for an unfinished PEM block, or without key or certificate
 */
export function decodeIdentityFile(fileText: string): IdentityFile {
  const [key, certificate, ...authorities] = decodePem(fileText);
  if (key === undefined)
    throw new TeleportError('BadParameter', 'could not find private key bytes in the identity file');
  if (certificate === undefined)
    throw new TeleportError('BadParameter', 'could not find a TLS certificate in the identity file');
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
