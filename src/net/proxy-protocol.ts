/**
 * The PROXY protocol: a header before the first byte of a connection that says who is really calling. Version 1 (text)
 * and 2 (binary) are read, version 2 is written. Spec: haproxy.org, "The PROXY protocol", 2020/03/05, sections 2.1, 2.2.
 */
import { isIP, isIPv4 } from 'node:net';
import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { isPort } from '../host-port.js';
import { canonicalIp, ipBytes, ipOfBytes } from '../ip.js';
import { peek } from './peek.js';

const SIGNATURE_2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Before an IPv4 address where IPv6 is wanted (RFC 4291, 2.5.5.2). */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const SIGNATURE_1 = Buffer.from('PROXY ');
/** Longest line of version 1, from the specification. */
const MAX_LINE_BYTES = 107;
/** Longest version 2 header believed: addresses, and what a Proxy of the cluster signs them with. Our own limit. */
const MAX_HEADER_BYTES = 6 * 1024;
/** The types that the specification (2.2.7) leaves to applications begin here. */
const TYPE_SIGNED = 0xe7;

export interface SocketEndpoint {
  address: string;
  port: number;
}

export interface ProxyHeader {
  /** Undefined for LOCAL (a health check of the load balancer) and UNKNOWN. */
  source: SocketEndpoint | undefined;
  /** Length of the header in bytes. */
  length: number;
  /** The addresses and ports as they stand in the header, and what was added to prove them. */
  addresses?: Buffer;
  proof?: Buffer | undefined;
}

/**
 * A version 2 header. An IPv4 address beside an IPv6 one is written as IPv4-mapped.
 *
 * @param prove  what is added to prove these bytes, which are the addresses
 */
export function encodeProxyHeader(
  source: SocketEndpoint,
  destination: SocketEndpoint,
  prove?: (addresses: Buffer) => Buffer,
): Buffer {
  const isV4 = [source, destination].every(({ address }) => isIPv4(canonicalIp(address) ?? ''));
  const addresses = Buffer.concat([
    addressBytes(source.address, isV4),
    addressBytes(destination.address, isV4),
    uint16(source.port),
    uint16(destination.port),
  ]);
  const proof = prove?.(addresses);
  const added = proof ? [Buffer.of(TYPE_SIGNED), uint16(proof.length), proof] : [];
  const body = Buffer.concat([addresses, ...added]);
  return Buffer.concat([SIGNATURE_2, Buffer.of(0x21, isV4 ? 0x11 : 0x21), uint16(body.length), body]);
}

/**
 * Read the header at the start of some bytes.
 *
 * @returns undefined while more bytes are needed, null when there is no header
 * @throws TeleportError `Protocol` for a broken one
 */
export function decodeProxyHeader(bytes: Buffer): ProxyHeader | null | undefined {
  if (startsLike(bytes, SIGNATURE_2)) return bytes.length < 16 ? undefined : binary(bytes);
  if (startsLike(bytes, SIGNATURE_1)) return bytes.length < SIGNATURE_1.length ? undefined : line(bytes);
  return null;
}

/** True when these first bytes (8 are enough) are those of a PROXY header. */
export function isProxyHeader(bytes: Buffer): boolean {
  return bytes.length >= 5 && (bytes.subarray(0, 5).toString('latin1') === 'PROXY' || startsLike(bytes, SIGNATURE_2));
}

/**
 * Take the header from a connection, if one is there; what follows stays in it.
 *
 * @returns undefined without header
 * @throws TeleportError `Protocol`, `ConnectionProblem`
 */
export async function takeProxyHeader(
  socket: Duplex,
  { timeoutMs }: { timeoutMs: number },
): Promise<ProxyHeader | undefined> {
  let header: ProxyHeader | null = null;
  await peek(socket, {
    timeoutMs,
    until(bytes) {
      const found = decodeProxyHeader(bytes);
      if (found === undefined) return false;
      header = found;
      return true;
    },
  });
  const found = header as ProxyHeader | null;
  if (found === null) return undefined;
  socket.read(found.length);
  return found;
}

function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return length > 0 && bytes.subarray(0, length).equals(signature.subarray(0, length));
}

function binary(bytes: Buffer): ProxyHeader | undefined {
  const [versionAndCommand, family] = [bytes[12]!, bytes[13]!];
  const bodyLength = bytes.readUInt16BE(14);
  const length = 16 + bodyLength;
  if (versionAndCommand >> 4 !== 2 || length > MAX_HEADER_BYTES) throw broken();
  if (bytes.length < length) return undefined;
  const command = versionAndCommand & 0xf;
  if (command > 1) throw broken();
  const width = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  if (command === 0 || width === 0) return { source: undefined, length };
  const end = 16 + 2 * width + 4;
  if (bodyLength < 2 * width + 4) throw broken();
  const address = ipOfBytes(bytes.subarray(16, 16 + width));
  const source = { address, port: bytes.readUInt16BE(16 + 2 * width) };
  return { source, length, addresses: bytes.subarray(16, end), proof: proofIn(bytes.subarray(end, length)) };
}

/** The first value of our own type among those that may follow the addresses. */
function proofIn(values: Buffer): Buffer | undefined {
  for (let at = 0; at + 3 <= values.length; ) {
    const next = at + 3 + values.readUInt16BE(at + 1);
    if (next > values.length) throw broken();
    if (values[at] === TYPE_SIGNED) return values.subarray(at + 3, next);
    at = next;
  }
  return undefined;
}

function line(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n');
  if (end < 0) {
    if (bytes.length >= MAX_LINE_BYTES) throw broken();
    return undefined;
  }
  const [, family, source = '', , port = ''] = bytes.subarray(0, end).toString('latin1').split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { source: undefined, length };
  const isRight = family === 'TCP4' ? isIP(source) === 4 : family === 'TCP6' && isIP(source) === 6;
  const from = Number(port);
  if (!isRight || !/^\d{1,5}$/.test(port) || (from !== 0 && !isPort(from))) throw broken();
  return { source: { address: canonicalIp(source)!, port: from }, length };
}

function addressBytes(address: string, isV4: boolean): Buffer {
  const bytes = ipBytes(address);
  if (bytes === undefined) throw new TeleportError('BadParameter', 'not an IP address');
  return isV4 || bytes.length === 16 ? bytes : Buffer.concat([MAPPED, bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.of((value >> 8) & 0xff, value & 0xff);
}

function broken(): TeleportError {
  return new TeleportError('Protocol', 'broken PROXY header');
}
