/**
 * Node's and OpenSSL's errors turned into ours at this door, in the words in which Go programs say the same. Certificate
 * problems carry a property, so that nobody has to look at text.
 */
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';

export type CertificateProblem = 'unknown-authority' | 'name' | 'expired';

const CERTIFICATE_PROBLEMS: Record<string, CertificateProblem> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-authority',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-authority',
  CERT_SIGNATURE_FAILURE: 'unknown-authority',
  INVALID_CA: 'unknown-authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'name',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'expired',
};

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

/** What was wrong with the server's certificate, wherever in the chain of causes it is said; undefined if nothing. */
export function certificateProblem(error: unknown): CertificateProblem | undefined {
  let link = error as { certificateProblem?: CertificateProblem; cause?: unknown } | null | undefined;
  for (let depth = 0; depth < 16 && typeof link === 'object' && link !== null; depth++) {
    const said = link.certificateProblem;
    const problem = said ?? CERTIFICATE_PROBLEMS[nodeCodeOf(link) ?? ''];
    if (problem !== undefined) return problem;
    link = link.cause as typeof link;
  }
  return undefined;
}

/**
 * The peer's word against our own certificate, wherever in the chain of causes it is said: `unknown certificate
 * authority`, `certificate expired`, … Undefined when it was something else. Source: RFC 8446, section 6.2.
 */
export function certificateAlert(error: unknown): string | undefined {
  let link = error as { cause?: unknown } | null | undefined;
  for (let depth = 0; depth < 16 && typeof link === 'object' && link !== null; depth++) {
    const alert = ALERT.exec(nodeCodeOf(link) ?? '')?.[1];
    if (alert && /CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE/.test(alert)) return alertText(alert);
    link = link.cause as typeof link;
  }
  return undefined;
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

/** `host:port`, IPv6 in brackets. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
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
