/** The address without its port, IPv4 inside IPv6 as IPv4; undefined when it is none. `[::1]:5432` → `::1`. */
import { isIP } from 'node:net';

export function ipOf(addr: string): string | undefined {
  const host = isIP(addr) ? addr : addr.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const plain = host.startsWith('::ffff:') && isIP(host.slice(7)) === 4 ? host.slice(7) : host;
  return isIP(plain) ? plain : undefined;
}
