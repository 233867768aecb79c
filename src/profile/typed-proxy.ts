/** The address of a Proxy as a person types it after `--proxy`. Pure. Spec: login-and-profile.md 1.5. */
import { isIP } from 'node:net';
import { TeleportError } from '../errors.js';
import { hostOf, isPort, portOf } from '../host-port.js';

export interface TypedProxy {
  host: string;
  /** Absent when none was typed. */
  port?: number;
  sshPort?: number;
}

/**
 * `host`, `host:webport`, `host:webport,sshport`; a leading `https://` is cut off.
 *
 * @throws TeleportError `BadParameter`
 */
export function parseProxy(typed: string): TypedProxy {
  const [web = '', ssh, more] = typed
    .trim()
    .replace(/^https:\/\//, '')
    .replace(/\/+$/, '')
    .split(',');
  const port = portOf(web);
  const host = hostOf(web);
  const isHost = isName(host) || isIP(host) === 6;
  const sshPort = ssh === undefined ? undefined : Number(ssh);
  if (!isHost || more !== undefined || port === 0 || (sshPort !== undefined && !isPort(sshPort))) {
    throw new TeleportError('BadParameter', `invalid proxy address: ${JSON.stringify(typed)}`, {
      hint: 'Write --proxy=host or --proxy=host:port.',
    });
  }
  return { host, ...(port === undefined ? {} : { port }), ...(sshPort === undefined ? {} : { sshPort }) };
}

/** A name or an IPv4 address. Digits alone are a port without its host, and `10.1` or `0x10` is not an address. */
function isName(host: string): boolean {
  if (!/^[^\s/@:?#*]+$/.test(host) || !URL.canParse(`https://${host}`)) return false;
  return isIP(new URL(`https://${host}`).hostname) === 0 || isIP(host) !== 0;
}

/** Host of what was typed after `--proxy`. @throws TeleportError `BadParameter` */
export function proxyHostOf(typed: string): string {
  return parseProxy(typed).host;
}
