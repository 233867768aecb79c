/**
 * From the environment and the flags of a command to the login that it works with: the folder `~/.tsh`, or an identity
 * file given with `-i`, whose proxy is asked for its addresses at each run.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Env } from '../../cli/env.js';
import { printable } from '../../cli/printable.js';
import { waitingFor } from '../../cli/progress.js';
import { isTeleportError, nodeCodeOf, TeleportError } from '../../errors.js';
import { hostOf, joinHostPort } from '../../host-port.js';
import { decodeIdentityFile } from '../../identity/identity-file.js';
import { needsConnUpgrade } from '../../net/conn-upgrade-test.js';
import { WEB_PORT } from '../../net/ports.js';
import { authoritiesByCluster, issuingCluster } from '../../pki/cluster-name.js';
import { readPrivateKey } from '../../pki/keys.js';
import { authorizedKeyLine } from '../../pki/ssh/certificate.js';
import { NAME_OID, subjectOf } from '../../pki/x509.js';
import { DiskStore } from '../../profile/disk-store.js';
import { memoryStore } from '../../profile/memory-store.js';
import { profileBase } from '../../profile/paths.js';
import type { Profile } from '../../profile/profile.js';
import { type LoginSession, openSession } from '../../profile/session.js';
import type { HostCa, ProfileStore, UserKeys } from '../../profile/store.js';
import { headersFor, readTshConfig } from '../../profile/tsh-config.js';
import { parseProxy } from '../../profile/typed-proxy.js';
import { VERSION } from '../../version.js';
import { type Ping, profileOfPing, splitAddress } from '../../webapi/addresses.js';
import {
  findProxyAddress,
  type ProxyClient,
  type ProxyClientOptions,
  proxyClient,
  webTrust,
} from '../../webapi/client.js';
import { versionWarning } from '../../webapi/versions.js';
import type { LoginArgs } from './args.js';
import { headlessArgs, headlessRefused, isHeadless } from './headless.js';

/** The store on disk. */
export function personalStore(env: Env): ProfileStore {
  return new DiskStore(profileBase(env.vars, env.home), { keychain: { vars: env.vars, signal: env.signal } });
}

/**
 * The login of a command, expired ones too.
 *
 * @throws TeleportError when no proxy is named, or there is no such profile
 */
export async function currentSession(env: Env, args: LoginArgs): Promise<LoginSession> {
  if (isHeadless(args)) throw headlessArgs(env, args) && headlessRefused();
  const cluster = selectedCluster(env, args);
  if (args.identity) {
    const store = await identityStore(env, args, args.identity);
    return await openSession(store, { cluster });
  }
  return await openSession(personalStore(env), {
    proxy: args.proxy || undefined,
    cluster,
    user: args.user || undefined,
  });
}

/** `--cluster`, else TELEPORT_CLUSTER, else TELEPORT_SITE; undefined means the profile's. */
export function selectedCluster(env: Env, args: LoginArgs): string | undefined {
  return args.cluster || env.vars.TELEPORT_CLUSTER || env.vars.TELEPORT_SITE || undefined;
}

/** What to do where a login of role option `pin_source_ip` is used from another address. */
export function pinnedHint(address: string): string {
  return `Your login is good from ${address} only. To use it from here: "tsh logout", then "tsh login" again.`;
}

export interface AskedProxy {
  client: ProxyClient;
  ping: Ping;
  /** Addresses as announced, and whether connections must be upgraded. */
  profile: Profile;
}

/**
 * Ask a proxy who it is. The caller disposes of `client`.
 *
 * @param options.known  profile whose stored address is used when only its host was typed
 */
export async function askProxy(
  env: Env,
  args: LoginArgs,
  options: { known?: Profile | undefined } = {},
): Promise<AskedProxy> {
  const typed = args.proxy ? parseProxy(args.proxy) : undefined;
  const known = options.known?.webProxyAddr;
  if (!typed && !known) throw new TeleportError('BadParameter', 'No proxy address specified, missed --proxy flag?');
  const host = typed?.host ?? hostOf(known!);
  const web = await webOptions(env, args, joinHostPort(host, typed?.port ?? WEB_PORT));
  const work = async (): Promise<AskedProxy> => {
    const address =
      typed?.port !== undefined
        ? joinHostPort(typed.host, typed.port)
        : (known ?? (await findProxyAddress(typed!, web)));
    const client = proxyClient(address, web);
    try {
      const ping = await client.ping(args.auth || options.known?.authConnector || undefined);
      if (!args.skipVersionCheck) warnOfVersions(env, ping, address);
      const profile = profileOfPing(ping, address, { sshPort: typed?.sshPort });
      if (!profile.tlsRoutingEnabled) return { client, ping, profile };
      const target = splitAddress(profile.webProxyAddr, WEB_PORT);
      const tlsRoutingConnUpgradeRequired = await needsConnUpgrade({
        ...target,
        ...webTrust(target.host, web),
        vars: env.vars,
        rejectUnauthorized: !args.insecure,
        signal: env.signal,
      });
      return { client, ping, profile: { ...profile, tlsRoutingConnUpgradeRequired } };
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  };
  return await waitingFor(env, `the proxy ${host}`, work());
}

function warnOfVersions(env: Env, ping: Ping, address: string): void {
  const { server_version: server = '', min_client_version: minClient } = ping;
  const warning = versionWarning({ client: VERSION, server, minClient, address });
  if (warning) env.stderr.write(printable(warning));
}

/** Options for the web API of a proxy: trust, headers, cancel. */
export async function webOptions(env: Env, args: LoginArgs, address: string): Promise<ProxyClientOptions> {
  const config = await readTshConfig(profileBase(env.vars, env.home), env.vars);
  return {
    vars: env.vars,
    insecure: args.insecure ?? false,
    headers: headersFor(config, address),
    signal: env.signal,
  };
}

/** What an identity file holds, in the forms of the store. */
export interface IdentityLogin {
  user: string;
  cluster: string;
  keys: UserKeys;
  hostCas: HostCa[];
}

/** @throws TeleportError `NotFound` when there is no such file, `BadParameter` when it is none */
export async function readIdentity(env: Pick<Env, 'cwd'>, path: string): Promise<IdentityLogin> {
  const read = async (file: string) => {
    try {
      return await readFile(resolve(env.cwd, file), 'utf8');
    } catch (error) {
      if (nodeCodeOf(error) !== 'ENOENT') throw error;
      throw new TeleportError('NotFound', `open ${file}: no such file or directory`, { cause: error });
    }
  };
  const text = await read(path);
  const identity = decodeIdentityFile(text, path);
  const sshCert =
    identity.sshCertLine ??
    (await read(`${path}-cert.pub`).catch((error: unknown) => {
      if (isTeleportError(error, 'NotFound')) return undefined;
      throw error;
    }));
  const key = readPrivateKey(identity.privateKeyPem);
  return {
    user: subjectOf(identity.tlsCertPem).get(NAME_OID.commonName)?.[0] ?? '',
    cluster: issuingCluster(identity.tlsCertPem) ?? '',
    keys: {
      tlsKeyPem: identity.privateKeyPem,
      tlsCertPem: identity.tlsCertPem,
      sshKeyPem: identity.privateKeyPem,
      sshPublicKey: authorizedKeyLine(key),
      sshCert: sshCert?.trim(),
    },
    hostCas: [...authoritiesByCluster(identity.tlsCaPems)].map(([cluster, tlsPems]) => ({
      cluster,
      tlsPems,
      knownHosts: identity.sshCaLines.filter((line) => line.split(/\s+/)[1]?.split(',').includes(cluster)),
    })),
  };
}

async function identityStore(env: Env, args: LoginArgs, path: string): Promise<ProfileStore> {
  if (!args.proxy) throw new TeleportError('BadParameter', 'tsh --identity also requires --proxy');
  const { user, cluster, keys, hostCas } = await readIdentity(env, path);
  const { client, profile } = await askProxy(env, args);
  client[Symbol.dispose]();
  return memoryStore({ profile: { ...profile, user, cluster }, keys, hostCas, vars: env.vars });
}
