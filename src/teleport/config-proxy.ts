/** The section `proxy_service`, with defaults filled in. Source: Teleport 18 configuration reference. */
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { joinHostPort } from '../host-port.js';
import { isNetwork } from '../ip.js';
import { POSTGRES_PORT, WEB_PORT } from '../net/ports.js';
import { configAddress, listenAt, listenHost } from '../resources/config-address.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';

export interface ProxyConfig {
  listen: HostPort;
  /** A port of its own for PostgreSQL. */
  postgresListen: HostPort | undefined;
  /** Where people find it. */
  postgresPublicAddr: string[];
  publicAddr: string[];
  /** PEM files; absent: a self-signed certificate in the data folder. */
  keypairs: { keyFile: string; certFile: string }[];
  /** How often `keypairs` are read again; 0: only on SIGHUP. */
  reloadIntervalMs: number;
  /** Load balancers whose PROXY headers are believed. */
  proxyHeadersFrom: string[];
}

/** What a timer can hold. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

type ProxySection = NonNullable<TeleportFile['proxy_service']>;

export function proxyConfig(raw: ProxySection, listenIp: string | undefined, hasFile: boolean): ProxyConfig {
  return {
    keypairs: keypairsOf(raw),
    reloadIntervalMs: reloadIntervalOf(raw),
    listen: listenAt(
      raw.web_listen_addr ?? listenHost(listenIp) ?? (hasFile ? '0.0.0.0' : '127.0.0.1'),
      'proxy_service.web_listen_addr',
      WEB_PORT,
    ),
    publicAddr: (raw.public_addr ?? []).map((addr) => {
      const { host, port } = configAddress(addr, 'proxy_service.public_addr', { port: 443 });
      return joinHostPort(host, port);
    }),
    postgresListen: raw.postgres_listen_addr
      ? listenAt(raw.postgres_listen_addr, 'proxy_service.postgres_listen_addr', POSTGRES_PORT)
      : undefined,
    postgresPublicAddr: (raw.postgres_public_addr ?? []).map((addr) => {
      const { host, port } = configAddress(addr, 'proxy_service.postgres_public_addr', { port: POSTGRES_PORT });
      return joinHostPort(host, port);
    }),
    proxyHeadersFrom: balancersOf(raw),
  };
}

/** Whoever may write a PROXY header may be anybody: it is believed from addresses that are written down, and no others. */
function balancersOf({ proxy_protocol: mode, proxy_protocol_from: from = [] }: ProxySection): string[] {
  const wrong = from.find((entry) => !isNetwork(entry));
  if (wrong !== undefined) {
    throw new TeleportError(
      'BadParameter',
      `proxy_service.proxy_protocol_from: ${JSON.stringify(wrong)} is neither an address nor a network`,
      { hint: 'Write it as 10.0.3.7 or 10.0.0.0/8.' },
    );
  }
  if (mode !== 'on') return [];
  if (from.length > 0) return from;
  throw new TeleportError(
    'BadParameter',
    'proxy_service.proxy_protocol: on needs proxy_service.proxy_protocol_from, the addresses of your load balancers',
    { hint: 'Add for example: proxy_protocol_from: [10.0.3.7, 10.0.4.0/24]' },
  );
}

function keypairsOf(raw: ProxySection): ProxyConfig['keypairs'] {
  const keypairs = (raw.https_keypairs ?? []).map((pair) => ({
    keyFile: required(pair.key_file, 'key_file'),
    certFile: required(pair.cert_file, 'cert_file'),
  }));
  const { https_key_file: keyFile, https_cert_file: certFile } = raw;
  if (keyFile || certFile) {
    if (!keyFile || !certFile)
      throw new TeleportError('BadParameter', 'please provide both https_key_file and https_cert_file');
    keypairs.push({ keyFile, certFile });
  }
  if (raw.acme?.enabled && keypairs.length === 0) {
    throw new TeleportError(
      'NotImplemented',
      'proxy_service.acme: fetching a certificate from an ACME authority is not supported',
      {
        hint: 'Give the Proxy a certificate with "https_keypairs" (key_file, cert_file), or set "acme: {enabled: no}".',
      },
    );
  }
  return keypairs;
}

function required(value: string | undefined, key: string): string {
  if (value === undefined) throw new TeleportError('BadParameter', `proxy_service.https_keypairs: ${key} is missing`);
  return value;
}

function reloadIntervalOf({ https_keypairs_reload_interval: interval = '0s' }: ProxySection): number {
  const ms = goDurationMs(interval);
  if (ms !== undefined && ms >= 0 && ms <= LONGEST_INTERVAL_MS) return ms;
  throw new TeleportError(
    'BadParameter',
    `proxy_service.https_keypairs_reload_interval: "${interval}" is not an interval`,
    { hint: 'Write it as 30m, 1h or 24h, at most 24 days; 0 switches it off.' },
  );
}
