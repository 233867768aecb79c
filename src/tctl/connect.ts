/**
 * How an administrator's tool reaches Auth, and as whom: on the Auth host with the local administrator's identity, from
 * elsewhere with an identity file or the tsh login, through the Proxy.
 *
 * Source: cli.md 5.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loginAuthClient } from '../access/cluster/open.js';
import type { AuthClient } from '../api/client.js';
import { dialAuth } from '../api/dial.js';
import type { HostIdentity } from '../api/host-identity.js';
import type { Env } from '../cli/env.js';
import { isTeleportError, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { decodeIdentityFile } from '../identity/identity-file.js';
import { connectable } from '../ip.js';
import { AUTH_PORT, WEB_PORT } from '../net/ports.js';
import { issuingCluster } from '../pki/cluster-name.js';
import { dialAt } from '../resources/config-address.js';
import { DEFAULT_CONFIG_FILE, DEFAULT_DATA_DIR } from '../resources/default-paths.js';
import { lookIntoConfigText, type TeleportFile } from '../resources/teleport-yaml.js';
import { VERSION } from '../version.js';

export interface AdminArgs {
  config?: string | undefined;
  authServer?: string[] | undefined;
  identity?: string | undefined;
  insecure?: boolean | undefined;
  debug?: boolean | undefined;
}

/** @throws with the way to provide credentials when there are none, or the address where nobody answered */
export async function connectAdmin(env: Env, args: AdminArgs): Promise<AuthClient> {
  if (args.identity && !args.authServer?.length) {
    throw new TeleportError('BadParameter', 'tctl --identity also requires --auth-server');
  }
  const local = args.identity ? undefined : await localAuth(args);
  if (local) return await dialLocal(local, args);
  if (args.identity) return await dialWithFile(env, args, args.identity);
  try {
    return await loginAuthClient(env, { proxy: args.authServer?.[0], insecure: args.insecure ?? false });
  } catch (error) {
    // Without --auth-server, both mean that there is no login at all.
    const isNobody = isTeleportError(error, 'NotFound') || isTeleportError(error, 'BadParameter');
    if (!isNobody || args.authServer?.length) throw error;
    throw noCredentials(DEFAULT_DATA_DIR);
  }
}

function noCredentials(dataDir: string): TeleportError {
  return new TeleportError(
    'NotFound',
    `Could not load Teleport host UUID file at ${join(dataDir, 'host_uuid')}. Please make sure that a Teleport Auth Service instance is running on this host prior to using tctl or provide credentials by logging in with tsh first.`,
  );
}

interface LocalAuth {
  identity: HostIdentity;
  host: string;
  port: number;
}

/** The Auth Service of this host: of the configuration file, or with its data in the default folder. */
async function localAuth(args: AdminArgs): Promise<LocalAuth | undefined> {
  const config = await localConfig(args);
  if (config.auth_service?.enabled === false) return undefined;
  const dataDir = config.teleport?.data_dir ?? DEFAULT_DATA_DIR;
  const stored = await readIfThere(join(dataDir, 'admin-identity.json'));
  if (stored === undefined) {
    if (!args.config) return undefined;
    throw noCredentials(dataDir);
  }
  const [flag] = args.authServer ?? [];
  const at = flag
    ? dialAt(flag, '--auth-server', AUTH_PORT)
    : dialAt(config.auth_service?.listen_addr ?? String(AUTH_PORT), 'auth_service.listen_addr', AUTH_PORT);
  return { identity: identityOf(stored, dataDir), ...at };
}

async function localConfig(args: AdminArgs): Promise<TeleportFile> {
  const file = args.config ?? DEFAULT_CONFIG_FILE;
  const text = await readIfThere(file);
  if (text === undefined && args.config)
    throw new TeleportError('BadParameter', `path '${args.config}' does not exist`);
  return text === undefined ? {} : lookIntoConfigText(text, file);
}

/** Where the Auth Service of this host keeps its audit log, and what vouches for it. */
export async function localAuditPlace(
  args: AdminArgs,
): Promise<{ logFolder: string; keyFile: string; headFile: string }> {
  const config = await localConfig(args);
  const dataDir = config.teleport?.data_dir ?? DEFAULT_DATA_DIR;
  return {
    logFolder: join(dataDir, 'log'),
    keyFile: config.auth_service?.audit_signing_key ?? join(dataDir, 'audit.key'),
    headFile: join(dataDir, 'audit.head'),
  };
}

function identityOf(stored: string, dataDir: string): HostIdentity {
  try {
    return JSON.parse(stored) as HostIdentity;
  } catch {
    // What the parser says quotes the file, which holds a key.
    throw new TeleportError('BadParameter', `${join(dataDir, 'admin-identity.json')} is damaged`, {
      hint: 'Restart "teleport start" on this host: it writes the file anew.',
    });
  }
}

async function dialLocal({ identity, host, port }: LocalAuth, args: AdminArgs): Promise<AuthClient> {
  try {
    return await dialAuth({ kind: 'direct', host: connectable(host), port }, identity, {
      version: VERSION,
      product: 'tctl',
      insecure: args.insecure ?? false,
    });
  } catch (cause) {
    throw unreachable(joinHostPort(host, port), cause);
  }
}

/** An identity file names neither address nor cluster: the cluster is the issuer of its certificate. */
async function dialWithFile(env: Env, args: AdminArgs, file: string): Promise<AuthClient> {
  const identity = decodeIdentityFile(await readRequired(file), file);
  const address = args.authServer![0]!;
  try {
    return await dialAuth(
      { kind: 'proxy', ...dialAt(address, '--auth-server', WEB_PORT), vars: env.vars },
      {
        clusterName: issuingCluster(identity.tlsCertPem) ?? '',
        hostCaPems: identity.tlsCaPems,
        certPem: identity.tlsCertPem,
        keyPem: identity.privateKeyPem,
      },
      { version: VERSION, product: 'tctl', insecure: args.insecure ?? false },
    );
  } catch (cause) {
    throw unreachable(address, cause);
  }
}

function unreachable(address: string, cause: unknown): TeleportError {
  return new TeleportError(
    'ConnectionProblem',
    `Cannot connect to the auth server. Is the auth server running on "${address}"?`,
    { cause },
  );
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = nodeCodeOf(error);
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw new TeleportError('BadParameter', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function readRequired(file: string): Promise<string> {
  const text = await readIfThere(file);
  if (text === undefined) throw new TeleportError('NotFound', `identity file ${file} cannot be read`);
  return text;
}
