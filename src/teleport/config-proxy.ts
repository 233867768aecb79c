/** The section `proxy_service`, with defaults filled in. Source: Teleport 18 configuration reference. */
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { hostOf, joinHostPort } from '../host-port.js';
import { ipOf, isNetwork } from '../ip.js';
import { POSTGRES_PORT, WEB_PORT } from '../net/ports.js';
import { configAddress, listenAt, listenHost } from '../resources/config-address.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';
import { LONGEST_TIMER_MS } from '../wait.js';

export interface ProxyConfig {
  listen: HostPort;
  /** A port of its own for PostgreSQL. */
  postgresListen: HostPort | undefined;
  /** Where people find it. */
  postgresPublicAddr: string[];
  publicAddr: string[];
  /** PEM files; absent: a self-signed certificate in the data folder. */
  keypairs: { keyFile: string; certFile: string }[];
  /** Where the certificate comes from instead. */
  acme: AcmeConfig | undefined;
  /** How often `keypairs` are read again; 0: only on SIGHUP. */
  reloadIntervalMs: number;
  /** Load balancers whose PROXY headers are believed. */
  proxyHeadersFrom: string[];
}

export interface AcmeConfig {
  /** URL. */
  directory: string;
  email: string | undefined;
  /** DNS names of `public_addr`. */
  names: string[];
  /** PEM: who signs the authority's own HTTPS. */
  caFile: string | undefined;
  binding: { keyId: string; hmacKeyFile: string } | undefined;
}

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

type ProxySection = NonNullable<TeleportFile['proxy_service']>;

export function proxyConfig(raw: ProxySection, listenIp: string | undefined, hasFile: boolean): ProxyConfig {
  const keypairs = keypairsOf(raw);
  const publicAddr = (raw.public_addr ?? []).map((addr) => {
    const { host, port } = configAddress(addr, 'proxy_service.public_addr', { port: 443 });
    return joinHostPort(host, port);
  });
  return {
    keypairs,
    acme: acmeOf(raw, { keypairs, publicAddr }),
    reloadIntervalMs: reloadIntervalOf(raw),
    listen: listenAt(
      raw.web_listen_addr ?? listenHost(listenIp) ?? (hasFile ? '0.0.0.0' : '127.0.0.1'),
      'proxy_service.web_listen_addr',
      WEB_PORT,
    ),
    publicAddr,
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
  return keypairs;
}

/** @throws BadParameter where no authority could vouch for a name, or two things say where the certificate is from */
function acmeOf(
  { acme }: ProxySection,
  { keypairs, publicAddr }: Pick<ProxyConfig, 'keypairs' | 'publicAddr'>,
): AcmeConfig | undefined {
  if (!acme?.enabled) return undefined;
  const bad = (what: string, hint: string) =>
    new TeleportError('BadParameter', `proxy_service.acme: ${what}`, { hint });
  if (keypairs.length > 0) {
    throw bad('it excludes https_keypairs', 'Remove one of them: the certificate has one source.');
  }
  const hosts = [...new Set(publicAddr.map((addr) => hostOf(addr).toLowerCase()))];
  const names = hosts.filter((host) => !ipOf(host) && host.includes('.'));
  if (names.length === 0) {
    const why = 'no certificate can be had without a DNS name in public_addr';
    throw bad(
      why,
      'Set proxy_service.public_addr to the name and port that people use, such as teleport.example.com:443.',
    );
  }
  const wildcard = names.find((name) => name.includes('*'));
  if (wildcard)
    throw bad(
      `${wildcard} is a wildcard`,
      'Its challenge (TLS-ALPN-01) is for single names. Give the Proxy https_keypairs.',
    );
  const directory = acme.uri || LETS_ENCRYPT;
  if (!URL.canParse(directory) || new URL(directory).protocol !== 'https:') {
    throw bad(
      `uri ${JSON.stringify(directory)} is not the https:// URL of a directory`,
      `The default is ${LETS_ENCRYPT}.`,
    );
  }
  const { key_id: keyId, hmac_key_file: hmacKeyFile } = acme.eab ?? {};
  if (Boolean(keyId) !== Boolean(hmacKeyFile)) {
    throw bad(
      'eab needs key_id and hmac_key_file',
      'Both come from the authority; the file holds the key, in base64url.',
    );
  }
  return {
    ...{ directory, names, email: acme.email || undefined, caFile: acme.ca_file || undefined },
    binding: keyId && hmacKeyFile ? { keyId, hmacKeyFile } : undefined,
  };
}

function required(value: string | undefined, key: string): string {
  if (value === undefined) throw new TeleportError('BadParameter', `proxy_service.https_keypairs: ${key} is missing`);
  return value;
}

function reloadIntervalOf({ https_keypairs_reload_interval: interval = '0s' }: ProxySection): number {
  const ms = goDurationMs(interval);
  if (ms !== undefined && ms >= 0 && ms <= LONGEST_TIMER_MS) return ms;
  throw new TeleportError(
    'BadParameter',
    `proxy_service.https_keypairs_reload_interval: "${interval}" is not an interval`,
    { hint: 'Write it as 30m, 1h or 24h, at most 24 days; 0 switches it off.' },
  );
}
