/**
 * Bytes to messages, one whole body at a time. Strict: a body is used to its last byte or refused, an unknown tag is
 * refused. Knows nothing of chunks and limits (`stream.ts`) and nothing of packets without a tag (`startup.ts`).
 *
 * Specification: PostgreSQL manual, "Message Formats".
 */

import { TeleportError } from '../errors.js';
import { BufferReader } from './buffer.js';
import {
  AUTHENTICATION_CODES,
  type BackendMessage,
  type ErrorField,
  type FieldDescription,
  type FrontendMessage,
  nameTag,
  type PasswordMeaning,
  type StatementOrPortal,
  type TxStatus,
} from './messages.js';
import { cancelKey } from './startup.js';

/**
 * Decode one message sent by a server.
 *
 * @param tag  first byte of the message, for example 0x5a for 'Z'
 * @param body  the bytes after the length word; not copied, so the message is valid as long as they are
 * @throws TeleportError 'Protocol' for an unknown tag and for a body that is too short, too long or impossible
 */
export function decodeBackend(tag: number, body: Buffer): BackendMessage {
  return decodeWith(BACKEND_READERS, tag, body);
}

/**
 * Decode one message sent by a client.
 *
 * @param tag  first byte of the message
 * @param body  the bytes after the length word; not copied
 * @param meaning  what the tag `p` stands for at this point of the login
 * @throws TeleportError 'Protocol' as `decodeBackend`
 */
export function decodeFrontend(
  tag: number,
  body: Buffer,
  meaning: PasswordMeaning = 'PasswordMessage',
): FrontendMessage {
  return decodeWith(tag === 0x70 ? { p: PASSWORD_READERS[meaning] } : FRONTEND_READERS, tag, body);
}

type Reader<T> = (body: BufferReader) => T;

function decodeWith<T>(readers: Record<string, Reader<T>>, tag: number, body: Buffer): T {
  const letter = String.fromCharCode(tag);
  const read = Object.hasOwn(readers, letter) ? readers[letter] : undefined;
  if (!read) throw new TeleportError('Protocol', `unknown PostgreSQL message ${nameTag(tag, body.length)}`);
  const reader = new BufferReader(body, nameTag(tag, body.length));
  const message = read(reader);
  reader.end();
  return message;
}

const bare =
  <T extends string>(type: T) =>
  () => ({ type });

const FRONTEND_READERS: Record<string, Reader<FrontendMessage>> = {
  B: (body) => ({
    type: 'Bind',
    portal: body.cstring(),
    statement: body.cstring(),
    parameterFormats: body.list(() => body.int16()),
    parameters: body.list(() => body.value()),
    resultFormats: body.list(() => body.int16()),
  }),
  C: (body) => ({ type: 'Close', target: target(body), name: body.cstring() }),
  D: (body) => ({ type: 'Describe', target: target(body), name: body.cstring() }),
  E: (body) => ({ type: 'Execute', portal: body.cstring(), maxRows: body.int32() }),
  F: (body) => ({
    type: 'FunctionCall',
    functionOid: body.uint32(),
    argumentFormats: body.list(() => body.int16()),
    arguments: body.list(() => body.value()),
    resultFormat: body.int16(),
  }),
  H: bare('Flush'),
  P: (body) => ({
    type: 'Parse',
    statement: body.cstring(),
    query: body.cstring(),
    parameterTypes: body.list(() => body.uint32()),
  }),
  Q: (body) => ({ type: 'Query', query: body.cstring() }),
  S: bare('Sync'),
  X: bare('Terminate'),
  c: bare('CopyDone'),
  d: (body) => ({ type: 'CopyData', data: body.rest() }),
  f: (body) => ({ type: 'CopyFail', message: body.cstring() }),
};

const PASSWORD_READERS: Record<PasswordMeaning, Reader<FrontendMessage>> = {
  PasswordMessage: (body) => ({ type: 'PasswordMessage', password: body.cstring() }),
  SASLInitialResponse: (body) => ({ type: 'SASLInitialResponse', mechanism: body.cstring(), data: body.value() }),
  SASLResponse: (body) => ({ type: 'SASLResponse', data: body.rest() }),
  GSSResponse: (body) => ({ type: 'GSSResponse', data: body.rest() }),
};

const BACKEND_READERS: Record<string, Reader<BackendMessage>> = {
  1: bare('ParseComplete'),
  2: bare('BindComplete'),
  3: bare('CloseComplete'),
  A: (body) => ({
    type: 'NotificationResponse',
    pid: body.int32(),
    channel: body.cstring(),
    payload: body.cstring(),
  }),
  C: (body) => ({ type: 'CommandComplete', commandTag: body.cstring() }),
  D: (body) => ({ type: 'DataRow', values: body.list(() => body.value()) }),
  E: (body) => ({ type: 'ErrorResponse', fields: errorFields(body) }),
  G: (body) => ({ type: 'CopyInResponse', ...copyFormats(body) }),
  H: (body) => ({ type: 'CopyOutResponse', ...copyFormats(body) }),
  I: bare('EmptyQueryResponse'),
  K: (body) => ({ type: 'BackendKeyData', pid: body.int32(), secret: cancelKey(body) }),
  N: (body) => ({ type: 'NoticeResponse', fields: errorFields(body) }),
  R: authentication,
  S: (body) => ({ type: 'ParameterStatus', name: body.cstring(), value: body.cstring() }),
  T: (body) => ({ type: 'RowDescription', fields: body.list(() => fieldDescription(body)) }),
  V: (body) => ({ type: 'FunctionCallResponse', value: body.value() }),
  W: (body) => ({ type: 'CopyBothResponse', ...copyFormats(body) }),
  Z: (body) => ({ type: 'ReadyForQuery', txStatus: txStatus(body) }),
  c: bare('CopyDone'),
  d: (body) => ({ type: 'CopyData', data: body.rest() }),
  n: bare('NoData'),
  s: bare('PortalSuspended'),
  t: (body) => ({ type: 'ParameterDescription', typeOids: body.list(() => body.uint32()) }),
  v: negotiateProtocolVersion,
};

function target(body: BufferReader): StatementOrPortal {
  const letter = String.fromCharCode(body.uint8());
  if (letter !== 'S' && letter !== 'P') throw body.broken('neither a statement nor a portal');
  return letter;
}

function txStatus(body: BufferReader): TxStatus {
  const letter = String.fromCharCode(body.uint8());
  if (letter !== 'I' && letter !== 'T' && letter !== 'E') throw body.broken('an unknown transaction status');
  return letter;
}

function errorFields(body: BufferReader): ErrorField[] {
  const fields: ErrorField[] = [];
  for (let code = body.uint8(); code !== 0; code = body.uint8()) {
    fields.push([String.fromCharCode(code), body.cstring()]);
  }
  return fields;
}

function copyFormats(body: BufferReader) {
  return { format: body.uint8(), columnFormats: body.list(() => body.int16()) };
}

function fieldDescription(body: BufferReader): FieldDescription {
  return {
    name: body.cstring(),
    tableOid: body.uint32(),
    column: body.int16(),
    typeOid: body.uint32(),
    typeSize: body.int16(),
    typeModifier: body.int32(),
    format: body.int16(),
  };
}

function negotiateProtocolVersion(body: BufferReader): BackendMessage {
  const newestVersion = body.int32();
  const unrecognizedOptions: string[] = [];
  for (let left = body.uint32(); left > 0; left--) unrecognizedOptions.push(body.cstring());
  return { type: 'NegotiateProtocolVersion', newestVersion, unrecognizedOptions };
}

function authentication(body: BufferReader): BackendMessage {
  const code = body.int32();
  switch (code) {
    case AUTHENTICATION_CODES.AuthenticationOk:
      return { type: 'AuthenticationOk' };
    case AUTHENTICATION_CODES.AuthenticationKerberosV5:
      return { type: 'AuthenticationKerberosV5' };
    case AUTHENTICATION_CODES.AuthenticationCleartextPassword:
      return { type: 'AuthenticationCleartextPassword' };
    case AUTHENTICATION_CODES.AuthenticationMD5Password:
      return { type: 'AuthenticationMD5Password', salt: body.bytes(4) };
    case AUTHENTICATION_CODES.AuthenticationGSS:
      return { type: 'AuthenticationGSS' };
    case AUTHENTICATION_CODES.AuthenticationGSSContinue:
      return { type: 'AuthenticationGSSContinue', data: body.rest() };
    case AUTHENTICATION_CODES.AuthenticationSSPI:
      return { type: 'AuthenticationSSPI' };
    case AUTHENTICATION_CODES.AuthenticationSASL: {
      const mechanisms: string[] = [];
      for (let name = body.cstring(); name !== ''; name = body.cstring()) mechanisms.push(name);
      return { type: 'AuthenticationSASL', mechanisms };
    }
    case AUTHENTICATION_CODES.AuthenticationSASLContinue:
      return { type: 'AuthenticationSASLContinue', data: body.rest() };
    case AUTHENTICATION_CODES.AuthenticationSASLFinal:
      return { type: 'AuthenticationSASLFinal', data: body.rest() };
    default:
      // 13 is Redshift's digest for users with a SHA-256 password, 14 its native identity provider; IAM logins meet neither.
      throw body.broken(`authentication method ${code}, which we do not know`);
  }
}
