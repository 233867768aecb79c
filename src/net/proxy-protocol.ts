/**
 * The PROXY protocol: a header before the first byte of a connection that says who is really calling. Version 1 (text)
 * and 2 (binary) are read, version 2 is written. Spec: haproxy.org, "The PROXY protocol", 2020/03/05, sections 2.1, 2.2.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { peek } from './peek.js';

const SIGNATURE_2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const SIGNATURE_1 = Buffer.from('PROXY ');
/** Longest line of version 1, from the specification. */
const MAX_LINE_BYTES = 107;
/** Longest version 2 header believed: addresses and a few TLVs. Ours. */
const MAX_HEADER_BYTES = 2048;

export interface Endpoint {
  address: string;
  port: number;
}

export interface ProxyHeader {
  /** Undefined for LOCAL (a health check of the load balancer) and UNKNOWN. */
  source: Endpoint | undefined;
  /** Length of the header in bytes. */
  length: number;
}

/** A version 2 header. An IPv4 address beside an IPv6 one is written as IPv4-mapped. */
export function encodeProxyHeader(source: Endpoint, destination: Endpoint): Buffer {
  const isV4 = isIPv4(plain(source.address)) && isIPv4(plain(destination.address));
  const body = Buffer.concat([
    addressBytes(source.address, isV4),
    addressBytes(destination.address, isV4),
    uint16(source.port),
    uint16(destination.port),
  ]);
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
 * @returns the caller's address, or undefined without header or address
 * @throws TeleportError `Protocol`, `ConnectionProblem`
 */
export async function takeProxyHeader(
  socket: Duplex,
  { timeoutMs }: { timeoutMs: number },
): Promise<Endpoint | undefined> {
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
  return found.source;
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
  if (bodyLength < 2 * width + 4) throw broken();
  const address = addressText(bytes.subarray(16, 16 + width));
  return { source: { address, port: bytes.readUInt16BE(16 + 2 * width) }, length };
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
  if (!isRight || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw broken();
  return { source: { address: source, port: Number(port) }, length };
}

/** `::ffff:10.0.0.1` → `10.0.0.1`. */
function plain(address: string): string {
  return address.toLowerCase().startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

function addressBytes(address: string, isV4: boolean): Buffer {
  const text = plain(address);
  if (isIPv4(text)) {
    const four = Buffer.from(text.split('.').map(Number));
    return isV4 ? four : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), four]);
  }
  if (isIP(text) !== 6) throw new TeleportError('BadParameter', 'not an IP address');
  const [head = '', tail] = text.replace(/%.*$/, '').split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(withoutDots(head));
  const right = tail === undefined ? [] : groups(withoutDots(tail));
  const zeros = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.concat([...left, ...zeros, ...right].map((group) => uint16(Number.parseInt(group, 16))));
}

/** The dotted end of an IPv6 address as two groups. */
function withoutDots(part: string): string {
  return part.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
    const group = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  const mapped = bytes.subarray(0, 12).toString('hex') === '00000000000000000000ffff';
  return mapped ? bytes.subarray(12).join('.') : shortest(groups.join(':'));
}

function shortest(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

function uint16(value: number): Buffer {
  return Buffer.of((value >> 8) & 0xff, value & 0xff);
}

function broken(): TeleportError {
  return new TeleportError('Protocol', 'broken PROXY header');
}

/** A list of addresses and networks (`10.0.0.0/8`) from which a header is believed. */
export function addressList(entries: readonly string[]): { has(address: string): boolean } {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return {
    has(address) {
      const text = plain(address);
      return isIP(text) !== 0 && list.check(text, isIPv4(text) ? 'ipv4' : 'ipv6');
    },
  };
}
