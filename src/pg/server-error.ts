/**
 * An ErrorResponse of a server as an error of ours: thrown like any other, and sent on unchanged where a client waits.
 *
 * Specification: PostgreSQL manual, "Error and Notice Message Fields" and "PostgreSQL Error Codes".
 */

import { type ErrorCode, isTeleportError, TeleportError } from '../errors.js';
import { BACKEND_TAGS, ERROR_FIELDS, type ErrorField, tagByte } from './messages.js';

/** What a server said, with every field of it. `message` and `hint` are the server's own words. */
export class ServerError extends TeleportError {
  /** Every field in the order of the wire. */
  readonly fields: readonly ErrorField[];
  /** FATAL, ERROR, … not translated where the server says so (since 9.6). */
  readonly severity: string;
  /** Five letters, or empty when the server named none. */
  readonly sqlState: string;
  readonly detail: string | undefined;
  /** The whole message as it came, tag and length included. */
  readonly packet: Buffer;

  /** @param body  the body that the fields were decoded from; copied */
  constructor(fields: readonly ErrorField[], body: Buffer) {
    const field = (letter: string) => fields.find(([code]) => code === letter)?.[1];
    const sqlState = field(ERROR_FIELDS.sqlState) ?? '';
    super(codeOf(sqlState), field(ERROR_FIELDS.message) ?? 'the database server refused without a reason', {
      hint: field(ERROR_FIELDS.hint),
    });
    this.fields = fields;
    this.severity = field(ERROR_FIELDS.severity) ?? field(ERROR_FIELDS.severityLocalized) ?? '';
    this.sqlState = sqlState;
    this.detail = field(ERROR_FIELDS.detail);
    this.packet = Buffer.alloc(5 + body.length);
    this.packet.writeUInt8(tagByte(BACKEND_TAGS.ErrorResponse), 0);
    this.packet.writeUInt32BE(4 + body.length, 1);
    body.copy(this.packet, 5);
  }
}

/** True for an error that a database server sent, optionally of one SQLSTATE. */
export function isServerError(value: unknown, sqlState?: string): value is ServerError {
  return (
    isTeleportError(value) &&
    'sqlState' in value &&
    'packet' in value &&
    (sqlState ?? value.sqlState) === value.sqlState
  );
}

/** From SQLSTATE to our code: the longest beginning that matches. Anything else was a statement that cannot be right. */
const CODE_OF_SQLSTATE: readonly (readonly [start: string, code: ErrorCode])[] = [
  ['08P01', 'Protocol'],
  ['42501', 'AccessDenied'],
  ['42710', 'AlreadyExists'],
  ['42P04', 'AlreadyExists'],
  ['42704', 'NotFound'],
  ['42P01', 'NotFound'],
  ['08', 'ConnectionProblem'],
  ['57P', 'ConnectionProblem'],
  ['0A', 'NotImplemented'],
  ['28', 'AccessDenied'],
  ['3D', 'NotFound'],
  ['40', 'CompareFailed'],
  ['53', 'LimitExceeded'],
  ['54', 'LimitExceeded'],
];

function codeOf(sqlState: string): ErrorCode {
  return CODE_OF_SQLSTATE.find(([start]) => sqlState.startsWith(start))?.[1] ?? 'BadParameter';
}
