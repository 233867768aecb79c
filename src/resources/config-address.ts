/** Addresses of the configuration file and of flags. */
import { isIP } from 'node:net';
import { TeleportError } from '../errors.js';
import { type HostPort, type HostPortDefaults, parseHostPort } from '../host-port.js';
import { redactValue } from '../redact.js';

/** An address of the file or of a flag. @throws BadParameter with the setting's name */
export function configAddress(value: string, key: string, defaults: HostPortDefaults): HostPort {
  const found = parseHostPort(value.replace(/^(https?|tcp):\/\//, '').replace(/\/$/, ''), defaults);
  if (found) return found;
  const wanted = defaults.host === undefined ? 'HOST or HOST:PORT' : 'HOST:PORT';
  throw new TeleportError(
    'BadParameter',
    `${key}: ${JSON.stringify(redactValue(value))} is not an address, expected ${wanted}`,
  );
}

/** Where to dial: this machine, when only a port is given. */
export const dialAt = (value: string, key: string, port: number) =>
  configAddress(value, key, { host: '127.0.0.1', port });
/** Where to listen: on all of this machine's addresses, when only a port is given. */
export const listenAt = (value: string, key: string, port: number) =>
  configAddress(value, key, { host: '0.0.0.0', port });

/** `--listen-ip`, as the host of a listener. */
export function listenHost(ip: string | undefined): string | undefined {
  if (ip === undefined || isIP(ip) !== 0) return ip;
  throw new TeleportError('BadParameter', `--listen-ip: ${JSON.stringify(ip)} is not an IP address`);
}
