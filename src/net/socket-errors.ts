/** Node's and OpenSSL's errors turned into ours at this door, in the words in which Go programs say the same. */
import { type CertificateProblem, certificateProblem } from '../certificate-problem.js';
import { causesOf, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'read: connection reset by peer',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EADDRNOTAVAIL: "connect: can't assign requested address",
  ETIMEDOUT: 'i/o timeout',
  EACCES: 'connect: permission denied',
  EPERM: 'connect: operation not permitted',
  ENOENT: 'connect: no such file or directory',
};

/** How a peer that is simply gone shows itself. */
const GONE = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ENOTCONN',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
]);

/** True when an error only says that the other side left: an ordinary end after the last message. */
export function isDisconnect(error: unknown): boolean {
  return GONE.has(nodeCodeOf(error) ?? '');
}

/**
 * The peer's word against our own certificate, wherever in the chain of causes it is said: `unknown certificate
 * authority`, `certificate expired`, … Undefined when it was something else. Source: RFC 8446, section 6.2.
 */
export function certificateAlert(error: unknown): string | undefined {
  const alerts = causesOf(error).map((link) => ALERT.exec(nodeCodeOf(link) ?? '')?.[1]);
  const found = alerts.find((alert) => alert && /CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE/.test(alert));
  return found && alertText(found);
}

/** `dial tcp 127.0.0.1:1: connect: connection refused`, `dial tcp: lookup nope: no such host`. */
export function dialError(error: unknown, address: string): TeleportError {
  // A name with several addresses fails with one error for each.
  const first = (error as { errors?: unknown[] }).errors?.at(-1) ?? error;
  const { address: ip, port, hostname } = first as { address?: string; port?: number; hostname?: string };
  const code = nodeCodeOf(first) ?? '';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    const why = code === 'ENOTFOUND' ? 'no such host' : 'temporary failure in name resolution';
    return new TeleportError('ConnectionProblem', `dial tcp: lookup ${hostname ?? address}: ${why}`, { cause: error });
  }
  const where = ip !== undefined && port !== undefined ? joinHostPort(ip, port) : address;
  const network = where.startsWith('/') ? 'unix' : 'tcp';
  return new TeleportError('ConnectionProblem', `dial ${network} ${where}: ${REASONS[code] ?? messageOf(first)}`, {
    cause: error,
  });
}

/**
 * A failed handshake. The result carries `certificateProblem` and `host` when the certificate was refused.
 *
 * @param host  the name that was expected, as written to a person
 */
export function handshakeError(error: unknown, host: string): TeleportError {
  const problem = certificateProblem(error);
  const wrapped = new TeleportError('ConnectionProblem', handshakeText(error, problem), { cause: error });
  return problem === undefined ? wrapped : Object.assign(wrapped, { certificateProblem: problem, host });
}

/** How OpenSSL's name of an alert looks in Node's error codes. */
const ALERT = /^ERR_SSL_(?:TLSV1|SSLV3|TLSV13|SSL\/TLS)_ALERT_(.+)$/;

/** OpenSSL's words for a peer that speaks another protocol: plain HTTP, SSH, a database. */
const NO_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST']);

function alertText(name: string): string {
  return name.toLowerCase().replaceAll('_', ' ');
}

function handshakeText(error: unknown, problem: CertificateProblem | undefined): string {
  switch (problem) {
    case 'unknown-authority':
      return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
    case 'expired':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
    case 'name':
      return `tls: failed to verify certificate: x509: ${(error as { reason?: string }).reason ?? messageOf(error)}`;
    case undefined: {
      const code = nodeCodeOf(error) ?? '';
      const alert = ALERT.exec(code)?.[1];
      if (alert) return `remote error: tls: ${alertText(alert)}`;
      if (NO_TLS.has(code)) return 'tls: first record does not look like a TLS handshake';
      if (code === 'ECONNRESET') return 'the connection was closed during the TLS handshake';
      return `tls: ${messageOf(error)}`;
    }
  }
}
