/**
 * Messages to bytes: tag, length, body. The mirror of `decode.ts`; what one writes the other reads.
 *
 * Specification: PostgreSQL manual, "Message Formats".
 */

import { BufferWriter } from './buffer.js';
import {
  AUTHENTICATION_CODES,
  BACKEND_TAGS,
  type BackendMessage,
  type ErrorField,
  FRONTEND_TAGS,
  type FrontendMessage,
} from './messages.js';

/**
 * One client message as bytes.
 *
 * @throws TeleportError 'BadParameter' for a zero byte in a text, 'LimitExceeded' for a list of more than 65535 items
 */
export function encodeFrontend(message: FrontendMessage): Buffer {
  const out = new BufferWriter(FRONTEND_TAGS[message.type]);
  switch (message.type) {
    case 'Bind':
      out.cstring(message.portal, 'portal name').cstring(message.statement, 'statement name');
      out.list(message.parameterFormats, (format) => out.int16(format));
      out.list(message.parameters, (value) => out.value(value));
      out.list(message.resultFormats, (format) => out.int16(format));
      break;
    case 'Close':
    case 'Describe':
      out.letter(message.target).cstring(message.name, 'statement or portal name');
      break;
    case 'CopyFail':
      out.cstring(message.message, 'CopyFail message');
      break;
    case 'Execute':
      out.cstring(message.portal, 'portal name').int32(message.maxRows);
      break;
    case 'FunctionCall':
      out.uint32(message.functionOid);
      out.list(message.argumentFormats, (format) => out.int16(format));
      out.list(message.arguments, (value) => out.value(value));
      out.int16(message.resultFormat);
      break;
    case 'Parse':
      out.cstring(message.statement, 'statement name').cstring(message.query, 'query');
      out.list(message.parameterTypes, (oid) => out.uint32(oid));
      break;
    case 'Query':
      out.cstring(message.query, 'query');
      break;
    case 'PasswordMessage':
      out.cstring(message.password, 'password');
      break;
    case 'SASLInitialResponse':
      out.cstring(message.mechanism, 'SASL mechanism').value(message.data);
      break;
    case 'CopyData':
    case 'SASLResponse':
    case 'GSSResponse':
      out.bytes(message.data);
      break;
    case 'CopyDone':
    case 'Flush':
    case 'Sync':
    case 'Terminate':
      break;
    default:
      message satisfies never;
  }
  return out.finish();
}

/** One server message as bytes. Throws as `encodeFrontend`. */
export function encodeBackend(message: BackendMessage): Buffer {
  const out = new BufferWriter(BACKEND_TAGS[message.type]);
  if (message.type in AUTHENTICATION_CODES) {
    out.int32(AUTHENTICATION_CODES[message.type as keyof typeof AUTHENTICATION_CODES]);
  }
  switch (message.type) {
    case 'AuthenticationMD5Password':
      out.bytes(message.salt);
      break;
    case 'AuthenticationSASL':
      for (const name of message.mechanisms) out.cstring(name, 'SASL mechanism');
      out.uint8(0);
      break;
    case 'AuthenticationGSSContinue':
    case 'AuthenticationSASLContinue':
    case 'AuthenticationSASLFinal':
    case 'CopyData':
      out.bytes(message.data);
      break;
    case 'BackendKeyData':
      out.int32(message.pid).bytes(message.secret);
      break;
    case 'CommandComplete':
      out.cstring(message.commandTag, 'command tag');
      break;
    case 'CopyInResponse':
    case 'CopyOutResponse':
    case 'CopyBothResponse':
      out.uint8(message.format).list(message.columnFormats, (format) => out.int16(format));
      break;
    case 'DataRow':
      out.list(message.values, (value) => out.value(value));
      break;
    case 'ErrorResponse':
    case 'NoticeResponse':
      errorFields(out, message.fields);
      break;
    case 'FunctionCallResponse':
      out.value(message.value);
      break;
    case 'NegotiateProtocolVersion':
      out.int32(message.newestVersion).uint32(message.unrecognizedOptions.length);
      for (const name of message.unrecognizedOptions) out.cstring(name, 'protocol option');
      break;
    case 'NotificationResponse':
      out.int32(message.pid).cstring(message.channel, 'channel').cstring(message.payload, 'payload');
      break;
    case 'ParameterDescription':
      out.list(message.typeOids, (oid) => out.uint32(oid));
      break;
    case 'ParameterStatus':
      out.cstring(message.name, 'parameter name').cstring(message.value, `parameter ${message.name}`);
      break;
    case 'ReadyForQuery':
      out.letter(message.txStatus);
      break;
    case 'RowDescription':
      out.list(message.fields, (field) => {
        out.cstring(field.name, 'column name').uint32(field.tableOid).int16(field.column).uint32(field.typeOid);
        out.int16(field.typeSize).int32(field.typeModifier).int16(field.format);
      });
      break;
    case 'AuthenticationOk':
    case 'AuthenticationKerberosV5':
    case 'AuthenticationCleartextPassword':
    case 'AuthenticationGSS':
    case 'AuthenticationSSPI':
    case 'BindComplete':
    case 'CloseComplete':
    case 'CopyDone':
    case 'EmptyQueryResponse':
    case 'NoData':
    case 'ParseComplete':
    case 'PortalSuspended':
      break;
    default:
      message satisfies never;
  }
  return out.finish();
}

function errorFields(out: BufferWriter, fields: readonly ErrorField[]): void {
  for (const [code, value] of fields) out.letter(code).cstring(value, `error field ${code}`);
  out.uint8(0);
}
