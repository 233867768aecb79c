/**
 * The configuration that `teleport configure` makes, as a record whose members stand in the order of the file. Pure.
 * Source: cli.md 7.3.
 */
import { TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { AUTH_PORT } from '../net/ports.js';
import { checkClusterName } from '../resources/cluster-name.js';
import { configAddress } from '../resources/config-address.js';
import { FILE_VERSIONS, type WrittenFile } from '../resources/teleport-yaml.js';

export interface SampleOptions {
  nodename: string;
  dataDir: string;
  roles: readonly string[];
  version: string;
  clusterName?: string | undefined;
  acme: boolean;
  acmeEmail?: string | undefined;
  /** host or host:port. */
  publicAddr?: string | undefined;
  /** Absolute paths. */
  keypair?: { keyFile: string; certFile: string } | undefined;
  token?: string | undefined;
  joinMethod: 'token' | 'iam';
  authServer?: string | undefined;
  proxy?: string | undefined;
  nodeLabels?: Record<string, string> | undefined;
}

const ROLES = ['auth', 'proxy', 'node', 'db'];
const HTTPS_PORT = 443;

/** @throws BadParameter for what contradicts itself */
export function sampleConfig(options: SampleOptions): WrittenFile {
  const version = FILE_VERSIONS.find((known) => known === options.version);
  if (version === undefined) throw bad(`version must be one of ${FILE_VERSIONS.join(', ')}`);
  check(options);
  const { roles } = options;
  const on = (role: string) => (roles.includes(role) ? 'yes' : 'no');
  return {
    version,
    teleport: {
      nodename: options.nodename,
      data_dir: options.dataDir,
      join_params: { token_name: options.token ?? '', method: options.joinMethod },
      ...addresses(options),
      log: { output: 'stderr', severity: 'INFO', format: { output: 'text' } },
      ca_pin: '',
      diag_addr: '',
    },
    auth_service: {
      enabled: on('auth'),
      ...(roles.includes('auth') ? { listen_addr: `0.0.0.0:${AUTH_PORT}` } : {}),
      ...(roles.includes('auth') && options.clusterName ? { cluster_name: options.clusterName } : {}),
      ...(roles.includes('auth') && version !== 'v1' ? { proxy_listener_mode: 'multiplex' } : {}),
    },
    ssh_service: {
      enabled: on('node'),
      ...(roles.includes('node') && options.nodeLabels ? { labels: options.nodeLabels } : {}),
    },
    proxy_service: proxyService(options, on('proxy')),
    // Every database that "tctl create" makes; an agent that serves some only comes from `db configure create`.
    ...(roles.includes('db') ? { db_service: { enabled: 'yes', resources: [{ labels: { '*': '*' } }] } } : {}),
  };
}

function check({ version, roles, acme, clusterName, keypair, authServer, proxy }: SampleOptions): void {
  const unknown = roles.find((role) => !ROLES.includes(role));
  if (unknown === 'discovery') {
    throw bad(
      'this command does not write the section discovery_service',
      'Write the section discovery_service by hand: "tctl tokens add --type=discovery" shows it.',
    );
  }
  if (unknown !== undefined) throw bad(`unknown role: '${unknown}'`, `Known roles: ${ROLES.join(', ')}.`);
  if (clusterName) checkClusterName(clusterName, '--cluster-name');
  if (acme && keypair) throw bad('could not use --key-file/--cert-file when ACME is enabled');
  if (acme && !clusterName)
    throw bad('please provide --cluster-name when using ACME, for example --cluster-name=example.com');
  if (authServer && proxy && version === 'v3')
    throw bad('--auth-server and --proxy cannot both be set with --version=v3');
}

function addresses({ version, authServer, proxy }: SampleOptions): WrittenFile['teleport'] & object {
  if (version !== 'v3') {
    const all = [authServer, proxy].flatMap((address) => address || []);
    return all.length > 0 ? { auth_servers: all } : {};
  }
  return { ...(authServer ? { auth_server: authServer } : {}), ...(proxy ? { proxy_server: proxy } : {}) };
}

function proxyService(options: SampleOptions, enabled: 'yes' | 'no'): WrittenFile['proxy_service'] & object {
  const { acme, keypair } = options;
  const isOn = enabled === 'yes';
  const address = options.publicAddr || (acme ? options.clusterName : undefined);
  const at = address ? configAddress(address, '--public-addr', { port: HTTPS_PORT }) : undefined;
  return {
    enabled,
    ...(isOn && at ? { web_listen_addr: `0.0.0.0:${at.port}`, public_addr: joinHostPort(at.host, at.port) } : {}),
    https_keypairs: isOn && keypair ? [{ key_file: keypair.keyFile, cert_file: keypair.certFile }] : [],
    https_keypairs_reload_interval: '0s',
    acme: isOn && acme ? { enabled: 'yes', ...(options.acmeEmail ? { email: options.acmeEmail } : {}) } : {},
  };
}

function bad(message: string, hint?: string): TeleportError {
  return new TeleportError('BadParameter', message, { hint });
}
