/**
 * From a configuration file and command-line flags to what `start` runs: one plain record with every default filled in.
 * The file's grammar is `config-schema.ts`; the command line wins over the file.
 *
 * Source: cli.md 7.1, database-service.md 11, Teleport 18 configuration reference.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseDuration } from '../cli/duration.js';
import type { AwsMatcher } from '../db/discovery.js';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { type HostPort, type HostPortDefaults, parseHostPort } from '../net/host-port.js';
import { joinHostPort } from '../net/socket-errors.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import { redactValue } from '../redact.js';
import { keptKeys } from '../resources/kept-keys.js';
import type { Database, LabelSelector, SignatureSuite } from '../resources/types.js';
import { OTHER_SERVICES, parseConfigText } from './config-schema.js';
import { unusedSettings } from './unused-settings.js';

export interface ResourceMatcher {
  labels: LabelSelector;
  aws?: { assume_role_arn?: string; external_id?: string };
}

export interface AuthConfig {
  listen: HostPort;
  clusterName: string;
  secondFactor: 'off' | 'otp' | 'on' | 'optional';
  signatureSuite: SignatureSuite;
  /** Go duration. */
  sessionTtl: string;
  messageOfTheDay?: string;
  disconnectExpiredCert: boolean;
  clientIdleTimeout?: string;
  requireSessionMfa?: string;
  lockingMode: 'best_effort' | 'strict';
  /** `role,role:token`, kept as written. */
  staticTokens: string[];
}

export interface ProxyConfig {
  listen: HostPort;
  publicAddr: string[];
  /** PEM files; absent: a self-signed certificate in the data folder. */
  keypairs: { keyFile: string; certFile: string }[];
  /** How often `keypairs` are read again; 0: only on SIGHUP. */
  reloadIntervalMs: number;
  proxyProtocol: boolean;
}

export interface DatabaseConfig {
  databases: Database[];
  resources: ResourceMatcher[];
  aws: AwsMatcher[];
}

export interface TeleportConfig {
  file?: string;
  nodename: string;
  dataDir: string;
  pidFile?: string;
  log: { level: 'debug' | 'info' | 'warn' | 'error'; output: string; format: 'text' | 'json' };
  /** Join token, or the absolute path of a file that holds it; read when the host joins, and only then. */
  token?: string;
  /** Pins, or absolute paths of files that hold them; read as the token is. */
  caPins: string[];
  /** Where a process without its own Auth Service joins: a Proxy's web port, or Auth itself. */
  proxyServer?: HostPort;
  authServer?: HostPort;
  diagAddr?: HostPort;
  insecure: boolean;
  auth?: AuthConfig;
  proxy?: ProxyConfig;
  db?: DatabaseConfig;
  /** Enabled sections of products that this program does not have. */
  ignored: string[];
  /** Settings and flags that were given and have no effect here, as they are typed. */
  unused: string[];
}

export interface StartFlags {
  config?: string | undefined;
  roles?: string[] | undefined;
  token?: string | undefined;
  authServer?: string[] | undefined;
  dataDir?: string | undefined;
  nodename?: string | undefined;
  caPin?: string[] | undefined;
  insecure?: boolean | undefined;
  debug?: boolean | undefined;
  pidFile?: string | undefined;
  diagAddr?: string | undefined;
  listenIp?: string | undefined;
  fips?: boolean | undefined;
  permitUserEnv?: boolean | undefined;
  advertiseIp?: string | undefined;
  /** One more entry of `db_service.databases`. */
  database?: Record<string, unknown> | undefined;
}

export const DEFAULT_CONFIG_FILE = '/etc/teleport.yaml';
export const DEFAULT_DATA_DIR = '/var/lib/teleport';
const ROLES = ['proxy', 'auth', 'db', 'node', 'app', 'windowsdesktop', 'discovery'] as const;
/** Default ports of the two listeners, Teleport's own. */
const AUTH_PORT = 3025;
const WEB_PORT = 3080;
const DIAG_PORT = 3000;
/** What a timer can hold. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

type Raw = Record<string, unknown>;

/** Read the file named by `--config` (or the default one where it exists), else nothing. */
export function readConfigFile(path: string | undefined): { file?: string; raw: Raw } {
  const file = path ?? (existsSync(DEFAULT_CONFIG_FILE) ? DEFAULT_CONFIG_FILE : undefined);
  if (file === undefined) return { raw: {} };
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (cause) {
    if (nodeCodeOf(cause) === 'ENOENT')
      throw new TeleportError('BadParameter', `path '${file}' does not exist`, { cause });
    throw new TeleportError('BadParameter', `failed to open file: ${file}: ${messageOf(cause)}`, { cause });
  }
  return { file, raw: parseConfigText(source, file) };
}

/** @throws BadParameter for what contradicts itself: no service, no address to join, a database without a name. */
export function teleportConfig(flags: StartFlags, file: string | undefined, raw: Raw): TeleportConfig {
  const global = section(raw, 'teleport');
  const enabled = enabledRoles(flags.roles, raw, file !== undefined);
  const nodename = flags.nodename ?? text(global, 'nodename') ?? hostname();
  const dataDir = flags.dataDir ?? text(global, 'data_dir') ?? DEFAULT_DATA_DIR;
  const log = section(global, 'log');
  const config: TeleportConfig = {
    nodename,
    dataDir,
    log: {
      level: flags.debug ? 'debug' : logLevel(text(log, 'severity')),
      output: text(log, 'output') ?? 'stderr',
      format: (text(section(log, 'format'), 'output') as 'text' | 'json' | undefined) ?? 'text',
    },
    caPins: flags.caPin?.length ? flags.caPin : ((global.ca_pin as string[] | undefined) ?? []).filter(Boolean),
    insecure: flags.insecure ?? false,
    ignored: OTHER_SERVICES.filter((name) => name !== 'debug_service' && isOn((raw[name] as Raw | undefined)?.enabled)),
    unused: unusedSettings(flags, raw, enabled),
  };
  if (file !== undefined) config.file = file;
  const pidFile = flags.pidFile ?? text(global, 'pid_file');
  if (pidFile) config.pidFile = pidFile;
  const diag = flags.diagAddr ?? text(global, 'diag_addr');
  if (diag) config.diagAddr = dialAt(diag, 'diag_addr', DIAG_PORT);
  const token = flags.token ?? text(section(global, 'join_params'), 'token_name') ?? text(global, 'auth_token');
  if (token) config.token = token;

  const proxyServer = text(global, 'proxy_server');
  const authServer =
    flags.authServer?.[0] ?? text(global, 'auth_server') ?? (global.auth_servers as string[] | undefined)?.[0];
  if (proxyServer && !flags.authServer?.length) config.proxyServer = dialAt(proxyServer, 'proxy_server', WEB_PORT);
  else if (authServer) config.authServer = dialAt(authServer, 'auth_server', AUTH_PORT);

  if (enabled.auth) config.auth = authConfig(section(raw, 'auth_service'), nodename, flags.listenIp);
  if (enabled.proxy) config.proxy = proxyConfig(section(raw, 'proxy_service'), flags.listenIp, file !== undefined);
  if (enabled.db) {
    config.db = databaseConfig(section(raw, 'db_service'));
    if (flags.database) config.db.databases.push(staticDatabase(flags.database));
    for (const database of config.db.databases) {
      config.unused.push(...keptKeys(database).map((key) => `db_service.databases, ${database.metadata.name}: ${key}`));
    }
  }

  if (!config.auth && !config.proxy && !config.db) {
    throw new TeleportError('BadParameter', 'config: enable at least one of auth_service, proxy_service, db_service', {
      hint: `Set "enabled: yes" in one of these sections${file ? ` of ${file}` : ''}, or name roles: teleport start --roles=auth,proxy,db`,
    });
  }
  if (!config.auth && !config.proxyServer && !config.authServer) {
    throw new TeleportError('BadParameter', 'config: auth_server or proxy_server is required', {
      hint: 'Set "proxy_server: HOST:PORT" in the section "teleport", or pass --auth-server=HOST:PORT.',
    });
  }
  return config;
}

function enabledRoles(
  roles: string[] | undefined,
  raw: Raw,
  hasFile: boolean,
): { auth: boolean; proxy: boolean; db: boolean } {
  if (roles?.length) {
    const bad = roles.find((role) => !(ROLES as readonly string[]).includes(role));
    if (bad !== undefined)
      throw new TeleportError('BadParameter', `unknown role: '${redactValue(bad)}'`, {
        hint: 'Known roles: auth, proxy, db.',
      });
    return { auth: roles.includes('auth'), proxy: roles.includes('proxy'), db: roles.includes('db') };
  }
  if (!hasFile) return { auth: true, proxy: true, db: true };
  const on = (name: string, otherwise: boolean) => {
    const value = section(raw, name).enabled;
    return value === undefined ? otherwise : isOn(value);
  };
  // As in Teleport: auth and proxy run unless switched off; a database service must be asked for.
  return { auth: on('auth_service', true), proxy: on('proxy_service', true), db: on('db_service', false) };
}

function authConfig(raw: Raw, nodename: string, listenIp: string | undefined): AuthConfig {
  const authentication = section(raw, 'authentication');
  const factors = authentication.second_factors as string[] | undefined;
  const named = text(authentication, 'second_factor');
  const secondFactor = factors
    ? factors.includes('otp')
      ? 'otp'
      : 'on'
    : ((named as AuthConfig['secondFactor']) ?? 'otp');
  const bad = factors?.find((factor) => factor !== 'otp') ?? (named === 'webauthn' ? named : undefined);
  if (bad !== undefined) {
    throw new TeleportError('NotImplemented', `second factor "${bad}" is not supported by this Auth Service`, {
      hint: 'Use "second_factor: otp" (or off, on, optional).',
    });
  }
  refuseUnheld(authentication);
  const config: AuthConfig = {
    listen: listenAt(
      text(raw, 'listen_addr') ?? listenHost(listenIp) ?? '127.0.0.1',
      'auth_service.listen_addr',
      AUTH_PORT,
    ),
    clusterName: text(raw, 'cluster_name') ?? nodename,
    secondFactor,
    signatureSuite: (text(authentication, 'signature_algorithm_suite') as SignatureSuite | undefined) ?? 'balanced-v1',
    sessionTtl: text(authentication, 'default_session_ttl') ?? '12h0m0s',
    disconnectExpiredCert: isOn(raw.disconnect_expired_cert),
    lockingMode: (text(authentication, 'locking_mode') as 'best_effort' | 'strict' | undefined) ?? 'best_effort',
    staticTokens: ((raw.tokens as string[] | undefined) ?? []).map(String),
  };
  const motd = text(raw, 'message_of_the_day');
  if (motd) config.messageOfTheDay = motd;
  const idle = text(raw, 'client_idle_timeout');
  if (idle && idle !== 'never') {
    if (parseDuration(idle) === undefined) {
      throw new TeleportError('BadParameter', `auth_service.client_idle_timeout: "${idle}" is not a duration`, {
        hint: 'Write it as 30m or 1h, or "never".',
      });
    }
    config.clientIdleTimeout = idle;
  }
  const mfa = text(authentication, 'require_session_mfa');
  if (mfa) config.requireSessionMfa = mfa;
  return config;
}

/** Settings that would keep people out and that nothing here holds to: said at the start, not found out later. */
function refuseUnheld(authentication: Raw): void {
  const refuse = (setting: string, hint: string): TeleportError =>
    new TeleportError('NotImplemented', `auth_service.authentication.${setting} is not supported`, { hint });
  const mfa = text(authentication, 'require_session_mfa');
  if (mfa?.startsWith('hardware_key')) {
    throw refuse(
      `require_session_mfa: ${mfa}`,
      'Hardware keys are not known here: use "require_session_mfa: yes" or "no".',
    );
  }
  if (mfa !== undefined && !/^(yes|no|true|false|on|off|1|0)$/i.test(mfa)) {
    throw new TeleportError(
      'BadParameter',
      `auth_service.authentication.require_session_mfa: expected yes or no, got "${mfa}"`,
    );
  }
  if (text(authentication, 'locking_mode') === 'strict') {
    const why =
      'Running sessions go on with the last known locks while Auth is out of reach; a new one always asks it.';
    throw refuse('locking_mode: strict', `${why} Use "locking_mode: best_effort".`);
  }
  if (authentication.local_auth === false) {
    throw refuse('local_auth: no', 'People sign in to this cluster with a password. Leave the setting out.');
  }
  const { mode } = section(authentication, 'device_trust');
  if (mode !== undefined && !['off', 'optional', '', false].includes(mode as string | boolean)) {
    throw refuse(`device_trust.mode: ${String(mode)}`, 'Devices are not known here: use "device_trust: {mode: off}".');
  }
}

function proxyConfig(raw: Raw, listenIp: string | undefined, hasFile: boolean): ProxyConfig {
  const acme = section(raw, 'acme');
  const keypairs = ((raw.https_keypairs as Raw[] | undefined) ?? []).map((pair) => ({
    keyFile: required(pair, 'key_file', 'proxy_service.https_keypairs'),
    certFile: required(pair, 'cert_file', 'proxy_service.https_keypairs'),
  }));
  const [keyFile, certFile] = [text(raw, 'https_key_file'), text(raw, 'https_cert_file')];
  if (keyFile || certFile) {
    if (!keyFile || !certFile)
      throw new TeleportError('BadParameter', 'please provide both https_key_file and https_cert_file');
    keypairs.push({ keyFile, certFile });
  }
  if (isOn(acme.enabled) && keypairs.length === 0) {
    throw new TeleportError(
      'NotImplemented',
      'proxy_service.acme: fetching a certificate from an ACME authority is not supported',
      {
        hint: 'Give the Proxy a certificate with "https_keypairs" (key_file, cert_file), or set "acme: {enabled: no}".',
      },
    );
  }
  const interval = text(raw, 'https_keypairs_reload_interval') ?? '0s';
  const reloadIntervalMs = parseDuration(interval);
  if (reloadIntervalMs === undefined || reloadIntervalMs < 0 || reloadIntervalMs > LONGEST_INTERVAL_MS) {
    throw new TeleportError(
      'BadParameter',
      `proxy_service.https_keypairs_reload_interval: "${interval}" is not an interval`,
      { hint: 'Write it as 30m, 1h or 24h, at most 24 days; 0 switches it off.' },
    );
  }
  return {
    listen: listenAt(
      text(raw, 'web_listen_addr') ?? listenHost(listenIp) ?? (hasFile ? '0.0.0.0' : '127.0.0.1'),
      'proxy_service.web_listen_addr',
      WEB_PORT,
    ),
    publicAddr: ((raw.public_addr as string[] | undefined) ?? []).map((addr) => {
      const { host, port } = address(addr, 'proxy_service.public_addr', { port: 443 });
      return joinHostPort(host, port);
    }),
    keypairs,
    reloadIntervalMs,
    proxyProtocol: text(raw, 'proxy_protocol') === 'on',
  };
}

/** The section `db_service` of a whole file. Certificates that it names are read. */
export function databaseSection(raw: Raw): DatabaseConfig {
  return databaseConfig(section(raw, 'db_service'));
}

function databaseConfig(raw: Raw): DatabaseConfig {
  return {
    databases: ((raw.databases as Raw[] | undefined) ?? []).map(staticDatabase),
    resources: ((raw.resources as Raw[] | undefined) ?? []).map((entry) => ({
      labels: (entry.labels as LabelSelector | undefined) ?? {},
      ...(entry.aws ? { aws: entry.aws as { assume_role_arn?: string; external_id?: string } } : {}),
    })),
    aws: ((raw.aws as Raw[] | undefined) ?? []).map((entry) => ({
      ...(entry as unknown as AwsMatcher),
      types: (entry.types as string[] | undefined) ?? [],
      regions: (entry.regions as string[] | undefined) ?? [],
    })),
  };
}

/** One entry of `db_service.databases` as a db resource; files are read here, rules are checked where it registers. */
function staticDatabase(raw: Raw): Database {
  const tls = section(raw, 'tls');
  const caFile = text(tls, 'ca_cert_file') ?? text(raw, 'ca_cert_file');
  const spec: Database['spec'] = { protocol: text(raw, 'protocol') ?? '', uri: text(raw, 'uri') ?? '' };
  spec.tls = { mode: (text(tls, 'mode') as 'verify-full' | 'verify-ca' | 'insecure' | undefined) ?? 'verify-full' };
  if (caFile) {
    const source = `ca_cert_file of database "${text(raw, 'name') ?? ''}"`;
    spec.tls.ca_cert = readCertificateFile(caFile, source).join('');
  }
  const serverName = text(tls, 'server_name');
  if (serverName) spec.tls.server_name = serverName;
  if (isOn(tls.trust_system_cert_pool)) spec.tls.trust_system_cert_pool = true;
  if (raw.aws) {
    spec.aws = { ...(raw.aws as Raw) };
    const account = /^arn:[\w-]+:iam::(\d{12}):role\//.exec(spec.aws.assume_role_arn ?? '')?.[1];
    if (!spec.aws.account_id && account) spec.aws.account_id = account;
  }
  if (raw.admin_user) spec.admin_user = raw.admin_user as { name?: string; default_database?: string };
  const dynamic = raw.dynamic_labels as { name: string; period: string; command: string[] }[] | undefined;
  if (dynamic?.length) {
    spec.dynamic_labels = Object.fromEntries(dynamic.map(({ name, period, command }) => [name, { period, command }]));
  }
  const description = text(raw, 'description');
  return {
    kind: 'db',
    version: 'v3',
    metadata: {
      name: text(raw, 'name') ?? '',
      ...(description ? { description } : {}),
      labels: {
        ...((raw.static_labels as Record<string, string> | undefined) ?? {}),
        'teleport.dev/origin': 'config-file',
      },
    },
    spec,
  };
}

/** An address of the file or of a flag. @throws BadParameter with the setting's name */
function address(value: string, key: string, defaults: HostPortDefaults): HostPort {
  const found = parseHostPort(value.replace(/^(https?|tcp):\/\//, '').replace(/\/$/, ''), defaults);
  if (found) return found;
  const wanted = defaults.host === undefined ? 'HOST or HOST:PORT' : 'HOST:PORT';
  throw new TeleportError(
    'BadParameter',
    `${key}: ${JSON.stringify(redactValue(value))} is not an address, expected ${wanted}`,
  );
}

/** Where to dial: this machine, when only a port is given. */
const dialAt = (value: string, key: string, port: number) => address(value, key, { host: '127.0.0.1', port });
/** Where to listen: on all of this machine's addresses, when only a port is given. */
const listenAt = (value: string, key: string, port: number) => address(value, key, { host: '0.0.0.0', port });

/** `--listen-ip`, as the host of a listener. */
function listenHost(ip: string | undefined): string | undefined {
  if (ip === undefined || isIP(ip) !== 0) return ip;
  throw new TeleportError('BadParameter', `--listen-ip: ${JSON.stringify(ip)} is not an IP address`);
}

/** The self-signed web certificate's files, named as Teleport names them. */
export function webCertFiles(dataDir: string): { keyFile: string; certFile: string } {
  return { keyFile: join(dataDir, 'webproxy_key.pem'), certFile: join(dataDir, 'webproxy_cert.pem') };
}

function logLevel(severity: string | undefined): TeleportConfig['log']['level'] {
  switch (severity?.toLowerCase()) {
    case 'debug':
    case 'trace':
      return 'debug';
    case 'warn':
    case 'warning':
      return 'warn';
    case 'err':
    case 'error':
      return 'error';
    case undefined:
    case '':
    case 'info':
      return 'info';
    default:
      throw new TeleportError('BadParameter', `unsupported logger severity: "${severity}"`, {
        hint: 'Use debug, info, warn or error.',
      });
  }
}

function section(raw: Raw, key: string): Raw {
  return (raw[key] as Raw | undefined) ?? {};
}

function text(raw: Raw, key: string): string | undefined {
  const value = raw[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function required(raw: Raw, key: string, where: string): string {
  const value = text(raw, key);
  if (value === undefined) throw new TeleportError('BadParameter', `${where}: ${key} is missing`);
  return value;
}

function isOn(value: unknown): boolean {
  return value === true || ['yes', 'true', 'on', 'y', '1'].includes(String(value).toLowerCase());
}
