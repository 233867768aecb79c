/**
 * Addresses as people type them: `host:port`, `[v6]:port`, `host`, a bare IPv6 address, `:port`, and a port alone. Digits
 * alone are a port, and other numbers are no host: the system's resolver would make an IPv4 address of `10.1` or `0x10`. Pure.
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

/** @returns undefined for what is no address, or lacks what has no default */
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
  const match = /^(?:\[([^[\]\s]+)\]|([^[\]\s:/@?#*,;]*))(?::(\d{1,5}))?$/.exec(text);
  if (!match || (match[1] !== undefined && !isIPv6(match[1].replace(/%.*$/, '')))) return [undefined, undefined];
  return [match[1] ?? match[2], match[3]];
}
