/**
 * The first message of a TLS connection, read without answering it: server name (SNI) and offered protocols (ALPN).
 * Pure. Spec: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1.
 */
import { TeleportError } from '../errors.js';

/** Longest ClientHello taken. Real ones with post-quantum key shares stay below 4 KiB; a TLS record holds 16 KiB. Our own limit. */
export const MOST_CLIENT_HELLO_BYTES = 16 * 1024;
/** Most bytes to keep while waiting for a whole one: the message, and record headers for tiny fragments. Our own limit. */
export const MOST_CLIENT_HELLO_RECORD_BYTES = 32 * 1024;

/** Most records that it can be cut into: each arriving byte reads them all again. Our own limit. */
const MOST_RECORDS = 256;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;

export interface ClientHello {
  complete: true;
  /** Undefined without SNI (a client that dialled an IP address). */
  serverName: string | undefined;
  /** In the client's order; empty without the extension. */
  alpn: string[];
}

/**
 * Read a ClientHello from the first bytes of a connection.
 *
 * @param bytes  everything received so far, from the first TLS record on; may go on behind the message
 * @returns `complete: false` while more bytes are needed
 * @throws TeleportError `Protocol` when the bytes cannot become a ClientHello
 */
export function parseClientHello(bytes: Buffer): ClientHello | { complete: false } {
  const message = handshakeMessage(bytes);
  if (message === undefined) return { complete: false };
  const body = reader(message);
  body.skip(2 + 32); // legacy_version, random
  body.vector(1, 32); // legacy_session_id
  body.vector(2); // cipher_suites
  body.vector(1); // legacy_compression_methods
  let serverName: string | undefined;
  let alpn: string[] = [];
  if (body.left() > 0) {
    const extensions = reader(body.vector(2));
    while (extensions.left() > 0) {
      const type = extensions.number(2);
      const data = extensions.vector(2);
      if (type === SERVER_NAME) serverName = hostName(data);
      else if (type === ALPN) alpn = protocols(data);
    }
    body.end();
  }
  return { complete: true, serverName, alpn };
}

/** The body of the first handshake message, put together from its records; undefined while incomplete. */
function handshakeMessage(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  let have = 0;
  let wanted: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE_RECORD) throw broken('not a TLS handshake record');
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) throw broken('not a TLS version');
    if (at + 5 > bytes.length) break;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) throw broken('a record of impossible length');
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    if (parts.length > MOST_RECORDS) throw broken('a ClientHello in too many records');
    have += part.length;
    at += 5 + length;
    if (have >= 1 && parts[0]![0] !== CLIENT_HELLO) throw broken('the first message is not a ClientHello');
    if (have < 4) continue;
    wanted ??= Buffer.concat(parts).readUIntBE(1, 3);
    if (wanted > MOST_CLIENT_HELLO_BYTES) throw broken('a ClientHello that is too long');
    if (have >= 4 + wanted) return Buffer.concat(parts).subarray(4, 4 + wanted);
  }
  if (bytes.length > MOST_CLIENT_HELLO_RECORD_BYTES) throw broken('a ClientHello in too many records');
  return undefined;
}

function hostName(data: Buffer): string | undefined {
  const outer = reader(data);
  const list = reader(outer.vector(2));
  outer.end();
  let found: string | undefined;
  while (list.left() > 0) {
    const type = list.number(1);
    const name = list.vector(2);
    if (type === 0 && found === undefined) found = name.toString('latin1');
  }
  return found;
}

function protocols(data: Buffer): string[] {
  const outer = reader(data);
  const list = reader(outer.vector(2));
  outer.end();
  const names: string[] = [];
  while (list.left() > 0) {
    const name = list.vector(1);
    if (name.length === 0) throw broken('an empty protocol name');
    names.push(name.toString('latin1'));
  }
  return names;
}

/** Length-checked reading: every length is compared with what is there before anything is taken. */
function reader(bytes: Buffer) {
  let at = 0;
  const take = (count: number): Buffer => {
    if (count > bytes.length - at) throw broken('a length beyond the message');
    at += count;
    return bytes.subarray(at - count, at);
  };
  const number = (width: 1 | 2) => take(width).readUIntBE(0, width);
  return {
    number,
    skip: (count: number) => void take(count),
    vector(width: 1 | 2, most = 0xffff): Buffer {
      const length = number(width);
      if (length > most) throw broken('a field that is too long');
      return take(length);
    },
    left: () => bytes.length - at,
    end() {
      if (at !== bytes.length) throw broken('bytes behind the last field');
    },
  };
}

function broken(what: string): TeleportError {
  return new TeleportError('Protocol', `broken ClientHello: ${what}`);
}
