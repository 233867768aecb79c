/**
 * The one error class of the house and its codes.
 *
 * The codes are Teleport's own words. Three tables turn a code into something else, each in the room that needs it:
 * `cli/exit.ts` (text for people), `api/status.ts` (gRPC status), `pg/sqlstate.ts` (SQLSTATE). `docs/errors.md` has one
 * heading a code; a test compares the two lists.
 */
import { getSystemErrorMap } from 'node:util';

/** Every code, in the order of `docs/errors.md`. */
export const ERROR_CODES = [
  'BadParameter',
  'NotFound',
  'AlreadyExists',
  'AccessDenied',
  'CompareFailed',
  'LimitExceeded',
  'ConnectionProblem',
  'Protocol',
  'NotImplemented',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorDetails {
  /** One or more whole sentences with the command that puts it right. */
  hint?: string | undefined;
  /** What went wrong below; never shown to a stranger. */
  cause?: unknown;
}

/** An error that a person, a peer or psql can be told as it stands. No secret is ever in `message` or `hint`. */
export class TeleportError extends Error {
  override readonly name = 'TeleportError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }
}

/** True for our own errors, optionally of one code. Works across module copies (bundles, test realms). */
export function isTeleportError(value: unknown, code?: ErrorCode): value is TeleportError {
  return (
    value instanceof Error &&
    value.name === 'TeleportError' &&
    (code === undefined || (value as TeleportError).code === code)
  );
}

/** What the system says of a failed call in words (`no space left on device`), or the message of anything else. */
export function systemReason(value: unknown): string {
  const { errno } = (value ?? {}) as { errno?: unknown };
  return (typeof errno === 'number' ? getSystemErrorMap().get(errno)?.[1] : undefined) ?? messageOf(value);
}

/** The text of anything thrown, without its stack. */
export function messageOf(value: unknown): string {
  // Not only `instanceof Error`: Node's own errors belong to another realm under a test runner.
  const message = (value as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(value);
}

/** Node's error code (`ECONNREFUSED`, `ENOENT`, …) of anything thrown, or undefined. */
export function nodeCodeOf(value: unknown): string | undefined {
  const code = (value as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
