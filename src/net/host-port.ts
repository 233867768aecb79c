/**
 * Addresses as people type them: `host:port`, `[v6]:port`, `host`, a bare IPv6 address, `:port`, and a port alone. Digits
 * alone are a port, never the IPv4 address that the system's resolver would make of them. Pure.
 */
import { isIPv6 } from 'node:net';

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

/** @returns undefined for what is no address, or lacks what has no default */
export function parseHostPort(typed: string, defaults: HostPortDefaults = {}): HostPort | undefined {
  const text = typed.trim();
  const [host, digits] = isIPv6(text) ? [text, undefined] : /^\d+$/.test(text) ? ['', text] : split(text);
  const at = host || defaults.host;
  const port = digits === undefined ? defaults.port : Number(digits);
  if (host === undefined || !at || port === undefined || port > 65_535) return undefined;
  return { host: at, port };
}

function split(text: string): [host: string | undefined, port: string | undefined] {
  const match = /^(?:\[([^[\]\s]+)\]|([^[\]\s:/@?#]*))(?::(\d{1,5}))?$/.exec(text);
  if (!match || (match[1] !== undefined && !isIPv6(match[1].replace(/%.*$/, '')))) return [undefined, undefined];
  return [match[1] ?? match[2], match[3]];
}
