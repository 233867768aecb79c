/**
 * Error code ↔ gRPC status, both ways (Teleport 18.3.0, api/trail), and what Node says when a connection broke before
 * any status came. The message travels as it is, several lines included; nobody here decides by its text, except for the
 * two texts by which Teleport's own client knows that a new login would help.
 */
import { Code, ConnectError } from '@connectrpc/connect';
import { type ErrorCode, isTeleportError, messageOf, nodeCodeOf, TeleportError } from '../errors.js';

const STATUS = {
  BadParameter: Code.InvalidArgument,
  NotFound: Code.NotFound,
  AlreadyExists: Code.AlreadyExists,
  AccessDenied: Code.PermissionDenied,
  CompareFailed: Code.FailedPrecondition,
  LimitExceeded: Code.ResourceExhausted,
  ConnectionProblem: Code.Unavailable,
  Protocol: Code.Internal,
  NotImplemented: Code.Unimplemented,
} as const satisfies Record<ErrorCode, Code>;

/** Statuses that have a word of ours and whose text is shown bare. */
const CODES = new Map<Code, ErrorCode>([
  [Code.InvalidArgument, 'BadParameter'],
  [Code.NotFound, 'NotFound'],
  [Code.AlreadyExists, 'AlreadyExists'],
  [Code.PermissionDenied, 'AccessDenied'],
  [Code.FailedPrecondition, 'CompareFailed'],
  [Code.ResourceExhausted, 'LimitExceeded'],
  [Code.Unavailable, 'ConnectionProblem'],
  [Code.Unimplemented, 'NotImplemented'],
]);

/** The others stay raw in Teleport's client: `rpc error: code = X desc = …`. */
const RAW_CODES = new Map<Code, ErrorCode>([
  [Code.Canceled, 'ConnectionProblem'],
  [Code.DeadlineExceeded, 'ConnectionProblem'],
  [Code.Aborted, 'CompareFailed'],
  [Code.OutOfRange, 'BadParameter'],
  [Code.Unauthenticated, 'AccessDenied'],
]);

/** Text of the refusal that a client answers with a new login (3.3). */
export const CREDENTIALS_EXPIRED = 'access denied: client credentials have expired, please relogin.';
const EXPIRED_ALERT = 'tls: expired certificate';

const ALERTS: Record<string, string> = {
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'remote error: tls: certificate required',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'remote error: tls: unknown certificate authority',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `remote error: ${EXPIRED_ALERT}`,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'remote error: tls: bad certificate',
};

/**
 * What a handler threw, as the status that the caller gets. Our errors by their code, a ConnectError as it is, anything
 * else is a mistake of ours: status 2 (Unknown) without its text.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (isTeleportError(error))
    return new ConnectError(cut(error.message), STATUS[error.code], undefined, undefined, error.cause);
  return new ConnectError('internal error', Code.Unknown, undefined, undefined, error);
}

/** Longest text of a status: it travels in a header, percent-encoded, and a caller may have written most of it. */
const MAX_STATUS_CHARS = 4096;

/** At a whole character, and of whole characters only: half a surrogate pair cannot be percent-encoded. */
function cut(text: string): string {
  const whole =
    text.length <= MAX_STATUS_CHARS ? text : `${text.slice(0, MAX_STATUS_CHARS).replace(/[\uD800-\uDBFF]$/, '')} …`;
  return Buffer.from(whole, 'utf8').toString('utf8');
}

/** Status 2 (Unknown), as Teleport answers a `--query` that cannot be parsed. */
export function unknownStatus(message: string): ConnectError {
  return new ConnectError(cut(message), Code.Unknown);
}

/**
 * What a call threw, as one of our errors.
 *
 * @param options.broken  what the connection itself died of, when that is known
 */
export function fromConnectError(error: unknown, options: { broken?: unknown } = {}): TeleportError {
  if (isTeleportError(error)) return error;
  const inner = error instanceof ConnectError ? error.cause : undefined;
  if (isTeleportError(inner)) return inner;
  if (error instanceof ConnectError && isStatus(error)) return fromStatus(error);
  const alert = tlsAlert(options.broken) ?? tlsAlert(error);
  if (alert !== undefined) return alert;
  if (isTeleportError(options.broken)) return options.broken;
  if (error instanceof ConnectError && error.code === Code.ResourceExhausted) return fromStatus(error);
  if (error instanceof ConnectError && (error.code === Code.DeadlineExceeded || error.code === Code.Canceled)) {
    if (options.broken === undefined) return fromStatus(error);
  }
  if (error instanceof ConnectError && PARSE_FAILURES.has(error.code) && options.broken === undefined) {
    return new TeleportError('Protocol', error.rawMessage, { cause: error });
  }
  const reason = options.broken ?? (error instanceof ConnectError ? error.rawMessage : undefined);
  const because = reason === undefined ? '' : `: ${messageOf(reason)}`;
  return new TeleportError('ConnectionProblem', `the connection to the Auth Service was closed${because}`, {
    cause: options.broken ?? error,
  });
}

/** True for a call that the other end refused before it did anything with it. */
export function wasNotTaken(error: unknown): boolean {
  return error instanceof ConnectError && error.rawMessage.includes('NGHTTP2_REFUSED_STREAM');
}

/** True for a call whose time was over here, before the other side said anything. */
export function isOwnDeadline(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.DeadlineExceeded && !isStatus(error);
}

/** True for the two errors that a login and one more try can put right. */
export function isExpiredCredentials(error: unknown): boolean {
  return (
    isTeleportError(error) &&
    ((error.code === 'AccessDenied' && error.message === CREDENTIALS_EXPIRED) || error.message.includes(EXPIRED_ALERT))
  );
}

/** A refusal of our certificate that arrived as a TLS alert, also after `secureConnect` (TLS 1.3). */
export function tlsAlert(error: unknown): TeleportError | undefined {
  // Not `instanceof Error`: Node's own errors belong to another realm under a test runner.
  for (let link = error; typeof link === 'object' && link !== null; link = (link as Error).cause) {
    const text = ALERTS[nodeCodeOf(link) ?? ''];
    if (text !== undefined) return new TeleportError('AccessDenied', text, { cause: error });
  }
  return undefined;
}

const PARSE_FAILURES = new Set<Code>([Code.InvalidArgument, Code.Unimplemented, Code.Unknown]);

/** The other side's own words, as opposed to something that happened on the way. */
function isStatus(error: ConnectError): boolean {
  return error.metadata.has('grpc-status');
}

/** Of services that are ours alone. */
const OWN_SERVICE = /^unknown (method \w+ for )?service teleshift\.v1\.\w+$/;

function fromStatus(error: ConnectError): TeleportError {
  const code = CODES.get(error.code);
  if (code !== undefined) {
    if (OWN_SERVICE.test(error.rawMessage)) {
      const hint = 'It runs a real Teleport, or an older version of these programs.';
      return new TeleportError(code, 'the cluster does not serve this', { cause: error, hint });
    }
    const text = error.rawMessage || `the Auth Service answered ${Code[error.code]} without a reason`;
    return new TeleportError(code, text, { cause: error });
  }
  return new TeleportError(
    RAW_CODES.get(error.code) ?? 'Protocol',
    `rpc error: code = ${Code[error.code]} desc = ${error.rawMessage}`,
    { cause: error },
  );
}
