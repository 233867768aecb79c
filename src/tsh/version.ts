/** `tsh version`: this client's, and the proxy's when somebody is logged in. Loads nothing for the first. */
import { existsSync } from 'node:fs';
import type { Env } from '../cli/env.js';
import { printable, printableLine } from '../cli/printable.js';
import { messageOf } from '../errors.js';
import { VERSION } from '../version.js';
import type { GlobalArgs } from './flags.js';

export interface VersionArgs extends GlobalArgs {
  format: 'text' | 'json' | 'yaml';
  client: boolean;
}

const PROXY_TIMEOUT_MS = 5_000;

/** Put there by the build. */
declare const TELESHIFT_GITREF: string | undefined;

interface Versions {
  version: string;
  gitref: string;
  runtime: string;
  proxyVersion?: string;
  proxyPublicAddress?: string;
}

export async function run(env: Env, args: VersionArgs): Promise<void> {
  const versions: Versions = {
    version: VERSION,
    gitref: typeof TELESHIFT_GITREF === 'string' ? TELESHIFT_GITREF : '',
    runtime: `node${process.versions.node}`,
    ...(args.client ? {} : await proxyVersions(env, args)),
  };
  if (args.format === 'text') {
    env.stdout.write(`Teleport v${versions.version} git:${versions.gitref} ${versions.runtime}\n`);
    if (versions.proxyVersion) env.stdout.write(`Proxy version: ${printableLine(versions.proxyVersion)}\n`);
    if (versions.proxyPublicAddress) env.stdout.write(`Proxy: ${printableLine(versions.proxyPublicAddress)}\n`);
    return;
  }
  const { printJson, printYaml } = await import('../cli/output.js');
  if (args.format === 'json') printJson(env, versions);
  else await printYaml(env, versions);
}

async function proxyVersions(env: Env, args: VersionArgs): Promise<Partial<Versions>> {
  const { basePaths, profileBase } = await import('../profile/paths.js');
  // Nobody is logged in: nothing of the login's code is read.
  if (!args.proxy && !existsSync(basePaths(profileBase(env.vars, env.home)).currentProfile)) return {};
  const { DiskStore } = await import('../profile/disk-store.js');
  const { openSession } = await import('../profile/session.js');
  const store = new DiskStore(profileBase(env.vars, env.home), { keychain: { vars: env.vars } });
  const session = await openSession(store, { proxy: args.proxy || undefined }).catch(() => undefined);
  if (session === undefined) return {};
  const { webOptions } = await import('../access/login/session.js');
  const { proxyClient } = await import('../webapi/client.js');
  const address = session.profile.webProxyAddr;
  try {
    const options = await webOptions(env, args, address);
    using client = proxyClient(address, { ...options, timeoutMs: PROXY_TIMEOUT_MS });
    const { waitingFor } = await import('../cli/progress.js');
    const ping = await waitingFor(env, 'the proxy', client.ping());
    return { proxyVersion: ping.server_version ?? '', proxyPublicAddress: ping.proxy?.ssh?.public_addr ?? address };
  } catch (error) {
    env.stderr.write(`Failed to fetch proxy version: ${printable(messageOf(error))}\n`);
    return {};
  }
}
