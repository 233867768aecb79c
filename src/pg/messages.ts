/**
 * The words of the PostgreSQL frontend/backend protocol 3.0: every message as a type, the tag tables, the limits.
 *
 * Specification: PostgreSQL manual, "Frontend/Backend Protocol", chapters "Message Formats" and "Error and Notice Message
 * Fields". Type and field meanings keep the manual's words. Packets without a type byte are in `startup.ts`.
 */

/** Largest startup packet, length word included. Source: PostgreSQL `MAX_STARTUP_PACKET_LENGTH` (libpq/pqcomm.h). */
export const MAX_STARTUP_PACKET_BYTES = 10_000;
/**
 * Largest body while the peer is still a stranger, that is before AuthenticationOk is acted upon. Source: PostgreSQL
 * `PG_MAX_AUTH_TOKEN_LENGTH` (libpq/auth.h), the largest that either side sends in that phase.
 */
export const MAX_STRANGER_BODY_BYTES = 65_535;
/** Largest body ever. Source: PostgreSQL `PQ_LARGE_MESSAGE_LIMIT` (libpq.h) = `MaxAllocSize - 1`, a little under 1 GiB. */
export const MAX_BODY_BYTES = 0x3fff_fffe;
/** Longest cancel key. Source: manual, BackendKeyData: "The maximum length of the field is 256 bytes". */
export const MAX_CANCEL_KEY_BYTES = 256;
/** Shortest cancel key, and the only length in protocol 3.0. Source: as above. */
export const MIN_CANCEL_KEY_BYTES = 4;

/** I = idle, T = in a transaction, E = in a failed transaction. */
export type TxStatus = 'I' | 'T' | 'E';
/** S = prepared statement, P = portal. */
export type StatementOrPortal = 'S' | 'P';
/** One field of ErrorResponse or NoticeResponse: its letter and its text, in the order of the wire. */
export type ErrorField = readonly [code: string, value: string];

export interface BackendKey {
  /** Process id of the server process, as a signed 32-bit number. */
  pid: number;
  /** 4 bytes in protocol 3.0, up to 256 in 3.2. A secret: never print it. */
  secret: Buffer;
}

export interface FieldDescription {
  name: string;
  tableOid: number;
  /** Attribute number of the column in its table; 0 when it is not a column. */
  column: number;
  typeOid: number;
  /** Negative = variable width. */
  typeSize: number;
  typeModifier: number;
  /** 0 = text, 1 = binary. */
  format: number;
}

type Bare<T extends string> = { type: T };
type CopyResponse<T extends string> = { type: T; format: number; columnFormats: number[] };

export type FrontendMessage =
  | {
      type: 'Bind';
      portal: string;
      statement: string;
      parameterFormats: number[];
      parameters: (Buffer | null)[];
      resultFormats: number[];
    }
  | { type: 'Close'; target: StatementOrPortal; name: string }
  | { type: 'CopyData'; data: Buffer }
  | Bare<'CopyDone'>
  | { type: 'CopyFail'; message: string }
  | { type: 'Describe'; target: StatementOrPortal; name: string }
  | { type: 'Execute'; portal: string; maxRows: number }
  | Bare<'Flush'>
  | {
      type: 'FunctionCall';
      functionOid: number;
      argumentFormats: number[];
      arguments: (Buffer | null)[];
      resultFormat: number;
    }
  | { type: 'Parse'; statement: string; query: string; parameterTypes: number[] }
  | { type: 'Query'; query: string }
  | Bare<'Sync'>
  | Bare<'Terminate'>
  | { type: 'PasswordMessage'; password: string }
  | { type: 'SASLInitialResponse'; mechanism: string; data: Buffer | null }
  | { type: 'SASLResponse'; data: Buffer }
  | { type: 'GSSResponse'; data: Buffer };

export type BackendMessage =
  | Bare<'AuthenticationOk'>
  | Bare<'AuthenticationKerberosV5'>
  | Bare<'AuthenticationCleartextPassword'>
  | { type: 'AuthenticationMD5Password'; salt: Buffer }
  | Bare<'AuthenticationGSS'>
  | { type: 'AuthenticationGSSContinue'; data: Buffer }
  | Bare<'AuthenticationSSPI'>
  | { type: 'AuthenticationSASL'; mechanisms: string[] }
  | { type: 'AuthenticationSASLContinue'; data: Buffer }
  | { type: 'AuthenticationSASLFinal'; data: Buffer }
  | ({ type: 'BackendKeyData' } & BackendKey)
  | Bare<'BindComplete'>
  | Bare<'CloseComplete'>
  | { type: 'CommandComplete'; commandTag: string }
  | { type: 'CopyData'; data: Buffer }
  | Bare<'CopyDone'>
  | CopyResponse<'CopyInResponse'>
  | CopyResponse<'CopyOutResponse'>
  | CopyResponse<'CopyBothResponse'>
  | { type: 'DataRow'; values: (Buffer | null)[] }
  | Bare<'EmptyQueryResponse'>
  | ErrorResponse
  | { type: 'NoticeResponse'; fields: ErrorField[] }
  | { type: 'FunctionCallResponse'; value: Buffer | null }
  /** `newestVersion`: major in the upper, minor in the lower 16 bits; the manual says "minor", every server sends both. */
  | { type: 'NegotiateProtocolVersion'; newestVersion: number; unrecognizedOptions: string[] }
  | Bare<'NoData'>
  | { type: 'NotificationResponse'; pid: number; channel: string; payload: string }
  | { type: 'ParameterDescription'; typeOids: number[] }
  | { type: 'ParameterStatus'; name: string; value: string }
  | Bare<'ParseComplete'>
  | Bare<'PortalSuspended'>
  | { type: 'ReadyForQuery'; txStatus: TxStatus }
  | { type: 'RowDescription'; fields: FieldDescription[] };

export interface ErrorResponse {
  type: 'ErrorResponse';
  fields: ErrorField[];
}

/** What the tag `p` means depends on the authentication in progress; whoever decodes has to say it. */
export type PasswordMeaning = 'PasswordMessage' | 'SASLInitialResponse' | 'SASLResponse' | 'GSSResponse';

/** Tag letter of each frontend message; `p` is four messages in one letter (see `PasswordMeaning`). */
export const FRONTEND_TAGS = {
  Bind: 'B',
  Close: 'C',
  CopyData: 'd',
  CopyDone: 'c',
  CopyFail: 'f',
  Describe: 'D',
  Execute: 'E',
  Flush: 'H',
  FunctionCall: 'F',
  GSSResponse: 'p',
  Parse: 'P',
  PasswordMessage: 'p',
  Query: 'Q',
  SASLInitialResponse: 'p',
  SASLResponse: 'p',
  Sync: 'S',
  Terminate: 'X',
} as const satisfies Record<FrontendMessage['type'], string>;

/** Tag letter of each backend message; all Authentication messages share `R` and differ in their first number. */
export const BACKEND_TAGS = {
  AuthenticationOk: 'R',
  AuthenticationKerberosV5: 'R',
  AuthenticationCleartextPassword: 'R',
  AuthenticationMD5Password: 'R',
  AuthenticationGSS: 'R',
  AuthenticationGSSContinue: 'R',
  AuthenticationSSPI: 'R',
  AuthenticationSASL: 'R',
  AuthenticationSASLContinue: 'R',
  AuthenticationSASLFinal: 'R',
  BackendKeyData: 'K',
  BindComplete: '2',
  CloseComplete: '3',
  CommandComplete: 'C',
  CopyBothResponse: 'W',
  CopyData: 'd',
  CopyDone: 'c',
  CopyInResponse: 'G',
  CopyOutResponse: 'H',
  DataRow: 'D',
  EmptyQueryResponse: 'I',
  ErrorResponse: 'E',
  FunctionCallResponse: 'V',
  NegotiateProtocolVersion: 'v',
  NoData: 'n',
  NoticeResponse: 'N',
  NotificationResponse: 'A',
  ParameterDescription: 't',
  ParameterStatus: 'S',
  ParseComplete: '1',
  PortalSuspended: 's',
  ReadyForQuery: 'Z',
  RowDescription: 'T',
} as const satisfies Record<BackendMessage['type'], string>;

/** First number of each Authentication message. */
export const AUTHENTICATION_CODES = {
  AuthenticationOk: 0,
  AuthenticationKerberosV5: 2,
  AuthenticationCleartextPassword: 3,
  AuthenticationMD5Password: 5,
  AuthenticationGSS: 7,
  AuthenticationGSSContinue: 8,
  AuthenticationSSPI: 9,
  AuthenticationSASL: 10,
  AuthenticationSASLContinue: 11,
  AuthenticationSASLFinal: 12,
} as const;

/** Letters of the fields of ErrorResponse and NoticeResponse that we name. */
export const ERROR_FIELDS = {
  severityLocalized: 'S',
  severity: 'V',
  sqlState: 'C',
  message: 'M',
  detail: 'D',
  hint: 'H',
  position: 'P',
} as const;

/** How a message is named in errors: `'Q' (24 bytes)`. Never a byte of its content. */
export function nameTag(tag: number, bodyBytes: number): string {
  const letter = tag > 0x20 && tag < 0x7f ? `'${String.fromCharCode(tag)}'` : `0x${tag.toString(16).padStart(2, '0')}`;
  return `${letter} (${bodyBytes} bytes)`;
}

/** The byte of a tag letter. */
export function tagByte(letter: string): number {
  return letter.charCodeAt(0);
}
