/**
 * The packets without a type byte, which only a client sends and only first: StartupMessage, SSLRequest, GSSENCRequest,
 * CancelRequest. Pure.
 *
 * Specification: PostgreSQL manual, "Message Formats" and "Protocol Flow", sections "Start-up" and "Canceling Requests in
 * Progress". Protocol 2 and older are refused.
 */

import { TeleportError } from '../errors.js';
import { BufferReader, BufferWriter } from './buffer.js';
import { MAX_CANCEL_KEY_BYTES, MAX_STARTUP_PACKET_BYTES, MIN_CANCEL_KEY_BYTES } from './messages.js';

/** Protocol 3.0: major version in the upper, minor in the lower 16 bits. */
export const PROTOCOL_3_0 = 0x0003_0000;
/** Numbers that stand where a version would. Source: manual; 1234 in the upper half can be no version. */
export const SSL_REQUEST_CODE = 80_877_103;
export const GSSENC_REQUEST_CODE = 80_877_104;
export const CANCEL_REQUEST_CODE = 80_877_102;
/** Shortest packet: a length and a code. */
export const MIN_PACKET_BYTES = 8;

export interface StartupMessage {
  type: 'StartupMessage';
  /** `PROTOCOL_3_0`, or a newer minor version that the server may negotiate down. */
  protocolVersion: number;
  /** `user`, `database`, `application_name`, … in the order sent; of a name sent twice the last value, as PostgreSQL does. */
  parameters: Map<string, string>;
}

export interface CancelRequest {
  type: 'CancelRequest';
  pid: number;
  /** 4 bytes, up to 256 from protocol 3.2 on. A secret. */
  secret: Buffer;
}

export type FirstMessage = StartupMessage | { type: 'SSLRequest' } | { type: 'GSSENCRequest' } | CancelRequest;

/**
 * Decode the first packet of a connection.
 *
 * @param packet  the whole packet, its length word included; a cancel key in the result is not copied
 * @throws TeleportError 'Protocol' when it is not one of the four or not exactly as long as it says, 'NotImplemented' for
 * another major version than 3
 */
export function decodeFirst(packet: Buffer): FirstMessage {
  const length = checkFirstLength(packet.length < 4 ? 0 : packet.readUInt32BE(0));
  const body = new BufferReader(packet, `at start-up (${packet.length} bytes)`);
  if (length !== packet.length) throw body.broken(`its length says ${length}`);
  body.uint32();
  const code = body.uint32();
  const message = decodeBody(code, body);
  body.end();
  return message;
}

/** @param first  the first `MIN_PACKET_BYTES` of a packet, or more */
export const isCancelRequest = (first: Buffer): boolean => first.readUInt32BE(4) === CANCEL_REQUEST_CODE;

/**
 * Check the length word of a first packet before anything is reserved for it.
 *
 * @param length  the length word; it counts itself
 * @param maxBytes  what this peer may send
 */
export function checkFirstLength(length: number, maxBytes = MAX_STARTUP_PACKET_BYTES): number {
  if (length < MIN_PACKET_BYTES || length > maxBytes) {
    throw new TeleportError('Protocol', `PostgreSQL start-up packet of ${length} bytes, allowed are 8 to ${maxBytes}`);
  }
  return length;
}

/**
 * Encode the first packet of a connection.
 *
 * @throws TeleportError 'BadParameter' for a zero byte or an empty name (the name is printed, never the value),
 * 'LimitExceeded' when the packet is larger than a server accepts
 */
export function encodeFirst(message: FirstMessage): Buffer {
  const out = new BufferWriter();
  switch (message.type) {
    case 'SSLRequest':
      out.uint32(SSL_REQUEST_CODE);
      break;
    case 'GSSENCRequest':
      out.uint32(GSSENC_REQUEST_CODE);
      break;
    case 'CancelRequest':
      out.uint32(CANCEL_REQUEST_CODE).int32(message.pid).bytes(message.secret);
      break;
    case 'StartupMessage':
      out.uint32(message.protocolVersion);
      for (const [name, value] of message.parameters) {
        if (name === '') throw new TeleportError('BadParameter', 'a startup parameter has no name');
        out.cstring(name, 'the name of a startup parameter').cstring(value, `startup parameter ${name}`);
      }
      out.uint8(0);
      break;
    default:
      message satisfies never;
  }
  const packet = out.finish();
  if (packet.length > MAX_STARTUP_PACKET_BYTES) {
    throw new TeleportError('LimitExceeded', `startup parameters of ${packet.length} bytes, more than 10000`);
  }
  return packet;
}

function decodeBody(code: number, body: BufferReader): FirstMessage {
  if (code === SSL_REQUEST_CODE) return { type: 'SSLRequest' };
  if (code === GSSENC_REQUEST_CODE) return { type: 'GSSENCRequest' };
  if (code === CANCEL_REQUEST_CODE) {
    const pid = body.int32();
    return { type: 'CancelRequest', pid, secret: cancelKey(body) };
  }
  if (code >>> 16 !== 3) {
    // In PostgreSQL's own words, which go to the client as they do there. Source: ProcessStartupPacket.
    const asked = `${code >>> 16}.${code & 0xffff}`;
    throw new TeleportError('NotImplemented', `unsupported frontend protocol ${asked}: server supports 3.0 to 3.0`);
  }
  const parameters = new Map<string, string>();
  for (let name = body.cstring(); name !== ''; name = body.cstring()) parameters.set(name, body.cstring());
  return { type: 'StartupMessage', protocolVersion: code, parameters };
}

/** The last field of CancelRequest and BackendKeyData: whatever is left, 4 to 256 bytes. */
export function cancelKey(body: BufferReader): Buffer {
  if (body.left < MIN_CANCEL_KEY_BYTES || body.left > MAX_CANCEL_KEY_BYTES) {
    throw body.broken(`a cancel key of ${body.left} bytes`);
  }
  return body.rest();
}
