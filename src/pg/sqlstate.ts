/**
 * Anything thrown as the ErrorResponse that psql and the drivers understand: the third table of `errors.ts`.
 *
 * Our own errors say FATAL, because the connection ends after them, with a SQLSTATE, and the hint in the hint field. One
 * exception: an AccessDenied carries no severity. Real `tsh db connect` adds its advice when the words `access to db
 * denied` stand in the first 100 bytes of psql's stderr; psql opens that line with `psql: error: connection to server at
 * "localhost" (127.0.0.1), port 12345 failed: `, and a `FATAL:  ` behind it pushes the words over the edge. Without the
 * fields S and V psql prints the message bare, as it does for the messages of a Teleport agent, which have nothing but M.
 */

import { type ErrorCode, isTeleportError } from '../errors.js';
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
  const fields: ErrorField[] = [];
  if (known?.code !== 'AccessDenied') {
    fields.push([ERROR_FIELDS.severityLocalized, 'FATAL'], [ERROR_FIELDS.severity, 'FATAL']);
  }
  fields.push([ERROR_FIELDS.sqlState, known ? SQLSTATES[known.code] : INTERNAL_ERROR]);
  fields.push([ERROR_FIELDS.message, bare(known?.message ?? 'internal error')]);
  if (known?.hint) fields.push([ERROR_FIELDS.hint, bare(known.hint)]);
  return { type: 'ErrorResponse', fields };
}

/** An error about a zero byte must not fail because it quotes one. */
function bare(text: string): string {
  return text.replaceAll('\0', '\\0');
}
