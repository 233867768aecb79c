/**
 * Addresses as people type them: `host:port`, `[v6]:port`, `host`, a bare IPv6 address, `:port`, and a port alone. Digits
 * alone are a port, and other numbers are not a host: the system's resolver would make an IPv4 address of `10.1` or `0x10`. Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface HostPort {
  host: string;
  port: number;
}

export interface HostPortDefaults {
  /** Where a port alone is; without it a host must be named. */
  host?: string | undefined;
  /** Without it a port must be named. */
  port?: number | undefined;
}

/** Such a host is an IPv4 address or a mistake; no top-level domain is a number. */
const ENDS_IN_NUMBER = /(^|\.)(\d+|0x[\da-f]*)\.?$/i;

/** @returns undefined for what is not an address, or lacks what has no default */
export function parseHostPort(typed: string, defaults: HostPortDefaults = {}): HostPort | undefined {
  const text = typed.trim();
  const [host, digits] = isIPv6(text) ? [text, undefined] : /^\d+$/.test(text) ? ['', text] : split(text);
  const at = host || defaults.host;
  const port = digits === undefined ? defaults.port : Number(digits);
  if (host === undefined || !at || port === undefined || port > 65_535) return undefined;
  if (ENDS_IN_NUMBER.test(at) && !isIPv4(at)) return undefined;
  return { host: at, port };
}

function split(text: string): [host: string | undefined, port: string | undefined] {
  const { host, port } = splitHostPort(text);
  const isBracketed = text.startsWith('[');
  if (isBracketed ? !isIPv6(host.replace(/%.*$/, '')) : !/^[^[\]\s:/@?#*,;]*$/.test(host))
    return [undefined, undefined];
  return port === undefined || /^\d{1,5}$/.test(port) ? [host, port] : [undefined, undefined];
}

/**
 * The two sides of the last colon as they stand, the brackets of an IPv6 address taken off: nothing is checked. Without a
 * port it is undefined; a bare IPv6 address has none.
 */
export function splitHostPort(text: string): { host: string; port: string | undefined } {
  const [, bracketed, plain = text, port] =
    /^(?:\[([^\]]*)\]|(.*?))(?::([^:]*))?$/s.exec(isIPv6(text) ? `[${text}]` : text) ?? [];
  return { host: bracketed ?? plain, port };
}

/** The host of `host:port`, `[v6]:port`, `host` or a bare IPv6 address, with or without a scheme. */
export function hostOf(address: string): string {
  return splitHostPort(address.replace(/^[a-z]+:\/\//, '')).host;
}

/** The port of the same; undefined for none, 0 for an impossible one. */
export function portOf(address: string): number | undefined {
  const { port } = splitHostPort(address);
  return port === undefined ? undefined : isPort(Number(port)) ? Number(port) : 0;
}

/** True for a port that can be dialled. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}

/** `host:port`, IPv6 in brackets. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
