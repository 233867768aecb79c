/**
 * From a configuration file and command-line flags to what `start` runs: one plain record with every default filled in.
 * The file's grammar is `resources/teleport-yaml.ts`; the command line wins over the file.
 *
 * Source: cli.md 7.1, database-service.md 11, Teleport 18 configuration reference.
 */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import type { ConnectionLimits } from '../net/crowd.js';
import { AUTH_PORT, WEB_PORT } from '../net/ports.js';
import { redactValue } from '../redact.js';
import { dialAt } from '../resources/config-address.js';
import { DEFAULT_CONFIG_FILE, DEFAULT_DATA_DIR } from '../resources/default-paths.js';
import { keptKeys } from '../resources/kept-keys.js';
import {
  OTHER_SERVICES,
  parseConfigText,
  settingsWithoutEffect,
  type TeleportFile,
} from '../resources/teleport-yaml.js';
import { yesOrNo } from '../yes-no.js';
import { type AuthConfig, authConfig } from './config-auth.js';
import { type DatabaseConfig, databaseConfig, staticDatabase } from './config-databases.js';
import { type DiscoveryConfig, discoveryConfig } from './config-discovery.js';
import { connectionLimits } from './config-limits.js';
import { type ProxyConfig, proxyConfig } from './config-proxy.js';
import type { StartFlags } from './start-flags.js';

export interface TeleportConfig {
  file?: string;
  nodename: string;
  dataDir: string;
  pidFile?: string;
  log: { level: 'debug' | 'info' | 'warn' | 'error'; output: string; format: 'text' | 'json' };
  /** Join token, or the absolute path of a file that holds it; read when the host joins, and only then. */
  token?: string;
  /** How the token is used: known, or for an AWS identity. */
  joinMethod: 'token' | 'iam';
  /** Pins, or absolute paths of files that hold them; read as the token is. */
  caPins: string[];
  /** Where a process without its own Auth Service joins: a Proxy's web port, or Auth itself. */
  proxyServer?: HostPort;
  authServer?: HostPort;
  diagAddr?: HostPort;
  connectionLimits?: ConnectionLimits;
  insecure: boolean;
  auth?: AuthConfig;
  proxy?: ProxyConfig;
  db?: DatabaseConfig;
  discovery?: DiscoveryConfig;
  /** Enabled sections of products that this program does not have. */
  ignored: string[];
  /** Settings and flags that were given and have no effect here, as they are typed. */
  unused: string[];
}

const ROLES: readonly string[] = ['proxy', 'auth', 'db', 'node', 'app', 'windowsdesktop', 'discovery'];
const DIAG_PORT = 3000;

interface Enabled {
  auth: boolean;
  proxy: boolean;
  db: boolean;
  discovery: boolean;
}

/** Read the file named by `--config` (or the default one where it exists), else nothing. */
export function readConfigFile(path: string | undefined): { file?: string; raw: TeleportFile } {
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
export function teleportConfig(flags: StartFlags, file: string | undefined, raw: TeleportFile): TeleportConfig {
  const { nodename = hostname(), data_dir: dataDir = DEFAULT_DATA_DIR, log, ...global } = raw.teleport ?? {};
  const enabled = enabledRoles(flags.roles, raw, file !== undefined);
  const config: TeleportConfig = {
    nodename: flags.nodename ?? nodename,
    dataDir: flags.dataDir ?? dataDir,
    joinMethod: global.join_params?.method === 'iam' ? 'iam' : 'token',
    log: {
      level: flags.debug ? 'debug' : logLevel(log?.severity),
      output: log?.output ?? 'stderr',
      format: log?.format?.output ?? 'text',
    },
    caPins: flags.caPin?.length ? flags.caPin : (global.ca_pin ?? []).filter(Boolean),
    insecure: flags.insecure ?? false,
    ignored: OTHER_SERVICES.filter((name) => name !== 'debug_service' && yesOrNo(raw[name]?.enabled ?? 'no')),
    unused: [...settingsWithoutEffect(raw, enabled), ...flagsWithoutEffect(flags)],
  };
  if (file !== undefined) config.file = file;
  const pidFile = flags.pidFile ?? global.pid_file;
  if (pidFile) config.pidFile = pidFile;
  const diag = flags.diagAddr ?? global.diag_addr;
  if (diag) config.diagAddr = dialAt(diag, 'diag_addr', DIAG_PORT);
  if (global.connection_limits) config.connectionLimits = connectionLimits(global.connection_limits);
  const token = flags.token ?? global.join_params?.token_name ?? global.auth_token;
  if (token) config.token = token;

  const authServer = flags.authServer?.[0] ?? global.auth_server ?? global.auth_servers?.[0];
  if (global.proxy_server && !flags.authServer?.length)
    config.proxyServer = dialAt(global.proxy_server, 'proxy_server', WEB_PORT);
  else if (authServer) config.authServer = dialAt(authServer, 'auth_server', AUTH_PORT);

  if (enabled.auth) config.auth = authConfig(raw.auth_service ?? {}, config.nodename, flags.listenIp);
  if (enabled.proxy) config.proxy = proxyConfig(raw.proxy_service ?? {}, flags.listenIp, file !== undefined);
  if (enabled.db) {
    config.db = databaseConfig(raw);
    if (flags.database) config.db.databases.push(staticDatabase(flags.database));
    for (const database of config.db.databases) {
      config.unused.push(...keptKeys(database).map((key) => `db_service.databases, ${database.metadata.name}: ${key}`));
    }
  }
  if (enabled.discovery) config.discovery = discoveryConfig(raw.discovery_service ?? {});
  refuseIncomplete(config);
  return config;
}

function refuseIncomplete(config: TeleportConfig): void {
  if (!config.auth && !config.proxy && !config.db && !config.discovery) {
    const where = config.file ? ` of ${config.file}` : '';
    throw new TeleportError(
      'BadParameter',
      'config: enable at least one of auth_service, proxy_service, db_service, discovery_service',
      {
        hint: `Set "enabled: yes" in one of these sections${where}, or name roles: teleport start --roles=auth,proxy,db`,
      },
    );
  }
  if (!config.auth && !config.proxyServer && !config.authServer) {
    throw new TeleportError('BadParameter', 'config: auth_server or proxy_server is required', {
      hint: 'Set "proxy_server: HOST:PORT" in the section "teleport", or pass --auth-server=HOST:PORT.',
    });
  }
}

function enabledRoles(roles: string[] | undefined, raw: TeleportFile, hasFile: boolean): Enabled {
  if (roles?.length) {
    const bad = roles.find((role) => !ROLES.includes(role));
    if (bad !== undefined)
      throw new TeleportError('BadParameter', `unknown role: '${redactValue(bad)}'`, {
        hint: 'Known roles: auth, proxy, db, discovery.',
      });
    const has = (role: string) => roles.includes(role);
    return { auth: has('auth'), proxy: has('proxy'), db: has('db'), discovery: has('discovery') };
  }
  if (!hasFile) return { auth: true, proxy: true, db: true, discovery: false };
  // As in Teleport: auth and proxy run unless switched off; the others must be asked for.
  return {
    auth: raw.auth_service?.enabled ?? true,
    proxy: raw.proxy_service?.enabled ?? true,
    db: raw.db_service?.enabled ?? false,
    discovery: raw.discovery_service?.enabled ?? false,
  };
}

function flagsWithoutEffect(flags: StartFlags): string[] {
  return [
    ...(flags.fips ? ['--fips'] : []),
    ...(flags.permitUserEnv ? ['--permit-user-env'] : []),
    ...(flags.advertiseIp ? ['--advertise-ip'] : []),
  ];
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
