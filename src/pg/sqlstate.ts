/**
 * Anything thrown as the ErrorResponse that psql and the drivers understand: the third table of `errors.ts`.
 *
 * Our own errors say FATAL, because the connection ends after them, with a SQLSTATE, and the hint in the hint field.
 */

import { type ErrorCode, type ErrorDetails, isTeleportError, messageOf, TeleportError } from '../errors.js';
import { encodeBackend } from './encode.js';
import { ERROR_FIELDS, type ErrorField, type ErrorResponse } from './messages.js';
import { isServerError } from './server-error.js';

/** SQLSTATE of each of our codes. Source: PostgreSQL manual, "PostgreSQL Error Codes". */
export const SQLSTATES = {
  BadParameter: '22023',
  NotFound: '3D000',
  AlreadyExists: '42710',
  AccessDenied: '28000',
  CompareFailed: '40001',
  LimitExceeded: '53300',
  ConnectionProblem: '08006',
  Protocol: '08P01',
  NotImplemented: '0A000',
} as const satisfies Record<ErrorCode, string>;

/** An error whose SQLSTATE says more than its code does. */
export class StateError extends TeleportError {
  readonly sqlState: string;

  constructor(sqlState: string, code: ErrorCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
    this.sqlState = sqlState;
  }
}

/** More than this program takes in one message: `program_limit_exceeded`. Source: as above, class 54. */
export function tooLong(message: string, hint?: string): StateError {
  return new StateError('54000', 'LimitExceeded', message, { hint });
}

/** The SQLSTATEs of an end that is the operator's doing. Source: as above, "Class 57 — Operator Intervention". */
export type EndState = '57P01' | '57P05';

/** Why a session ends that did nothing wrong by the protocol: a lock, a limit, a service that stops. */
export class SessionEnd extends StateError {
  /** @param why  `due to …`, or the reason behind a colon */
  constructor(sqlState: EndState, why: string, hint?: string) {
    super(sqlState, 'ConnectionProblem', `terminating connection${why.startsWith('due to') ? ' ' : ': '}${why}`, {
      hint,
    });
  }
}

/**
 * A record that could not be written: `disk_full` for a disk, a spool or a share of it that has no room, `io_error` for
 * one that fails. Source: as above, classes 53 and 58.
 */
export function notRecorded(error: unknown): StateError {
  const isFull = isTeleportError(error, 'LimitExceeded');
  const hint = isTeleportError(error) ? error.hint : undefined;
  const code = isFull ? 'LimitExceeded' : 'ConnectionProblem';
  return new StateError(isFull ? '53100' : '58030', code, `audit record failed: ${messageOf(error)}`, {
    hint,
    cause: error,
  });
}

/** A service that stops, in PostgreSQL's own words. @param hint  what to do now */
export function shutdownEnd(hint: string): SessionEnd {
  return new SessionEnd('57P01', 'due to administrator command', hint);
}

/** For what is not ours: a mistake in the program. Source: as above, `internal_error`. */
const INTERNAL_ERROR = 'XX000';

/**
 * The bytes that tell a client of an error. What a database server said goes on exactly as it came; of an error that is
 * not ours the client hears only that there was one.
 */
export function encodeError(error: unknown): Buffer {
  return isServerError(error) ? error.packet : encodeBackend(errorResponse(error));
}

/** The ErrorResponse of anything thrown. */
export function errorResponse(error: unknown): ErrorResponse {
  if (isServerError(error)) return { type: 'ErrorResponse', fields: [...error.fields] };
  const known = isTeleportError(error) ? error : undefined;
  const fields: ErrorField[] = [
    [ERROR_FIELDS.severityLocalized, 'FATAL'],
    [ERROR_FIELDS.severity, 'FATAL'],
    [ERROR_FIELDS.sqlState, known ? sqlStateOf(known) : INTERNAL_ERROR],
    [ERROR_FIELDS.message, bare(known?.message ?? 'internal error')],
  ];
  if (known?.hint) fields.push([ERROR_FIELDS.hint, bare(known.hint)]);
  return { type: 'ErrorResponse', fields };
}

function sqlStateOf(error: TeleportError): string {
  return 'sqlState' in error ? (error as StateError).sqlState : SQLSTATES[error.code];
}

/** An error about a zero byte must not fail because it quotes one. */
function bare(text: string): string {
  return text.replaceAll('\0', '\\0');
}
