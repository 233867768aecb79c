/**
 * IP addresses as addresses, not as texts: one spelling for each, IPv4 inside IPv6 as IPv4, IPv6 in its shortest form
 * (RFC 5952), without a zone. Pure.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { hostOf } from './host-port.js';

/** Its one spelling: `::ffff:10.0.0.1` → `10.0.0.1`, `2001:DB8:0:0:0:0:0:1` → `2001:db8::1`. Undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  const address = text.replace(/%.*$/, '');
  if (isIP(address) !== 6) return isIPv4(address) ? address : undefined;
  const shortest = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(shortest);
  if (!mapped) return shortest;
  return mapped
    .slice(1)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((two) => [two >> 8, two & 0xff])
    .join('.');
}

/** The address of `ip`, `ip:port` or `[ip]:port`, in its one spelling; undefined when there is none. */
export function ipOf(addr: string): string | undefined {
  return canonicalIp(hostOf(addr));
}

/** True when both are one address, however they are written. */
export function isSameIp(a: string, b: string): boolean {
  const address = canonicalIp(a);
  return address !== undefined && address === canonicalIp(b);
}

/** What belongs to one host or home: an IPv4 address, or the first 64 bits of an IPv6 one. Any other text is itself. */
export function networkOf(text: string): string {
  return firstBytesOf(text, 8);
}

/** What one owner may have in all: an IPv4 address, or the first 48 bits of an IPv6 one. Any other text is itself. */
export function siteOf(text: string): string {
  return firstBytesOf(text, 6);
}

function firstBytesOf(text: string, count: number): string {
  const address = canonicalIp(text);
  if (address === undefined || isIPv4(address)) return address ?? text;
  const bytes = ipBytes(address)!.fill(0, count);
  return `${ipOfBytes(bytes)}/${count * 8}`;
}

/** 4 bytes, or 16; undefined when it is not an address. */
export function ipBytes(text: string): Buffer | undefined {
  const address = canonicalIp(text);
  if (address === undefined) return undefined;
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [front = [], back = []] = address.split('::').map((part) =>
    part
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16)),
  );
  const bytes = Buffer.alloc(16);
  for (const [at, group] of front.entries()) bytes.writeUInt16BE(group, at * 2);
  for (const [at, group] of back.entries()) bytes.writeUInt16BE(group, 16 - (back.length - at) * 2);
  return bytes;
}

/** The address in 4 or 16 bytes. */
export function ipOfBytes(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return canonicalIp(Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16)).join(':'))!;
}

/** True for an address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const width = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : 0;
  if (width === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= width);
}

/** A list of addresses and networks (`10.0.0.0/8`). */
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
      const text = canonicalIp(address);
      return text !== undefined && list.check(text, isIPv4(text) ? 'ipv4' : 'ipv6');
    },
  };
}

/** What this machine is called by whoever is on it. */
export const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '::1'] as const;

const LOOPBACK = addressList(['127.0.0.0/8', '::1']);

/** True for this machine itself, by name or address: only who is on it can reach it. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || LOOPBACK.has(host);
}

/** True for what stands for every address of this machine. */
export function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** An address to dial for a socket that listens everywhere. */
export function connectable(host: string): string {
  if (host !== '' && !isUnspecified(host)) return host;
  return host === '::' ? '::1' : '127.0.0.1';
}
