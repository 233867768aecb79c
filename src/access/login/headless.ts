/**
 * Headless login: certificates of one minute for a machine without browser, approved on another one. Teleport's `tsh` has
 * it for SSH and Kubernetes alone, and refuses it to every command that we have. Spec: login-and-profile.md 3.2.
 */
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import type { Ping } from '../../webapi/addresses.js';
import type { LoginArgs } from './args.js';

/** True when a command was started for a headless login. */
export function isHeadless(args: LoginArgs): boolean {
  return Boolean(args.headless) || args.auth === 'headless';
}

/**
 * The arguments with what a Teleport SSH session leaves in the environment.
 *
 * @throws TeleportError `BadParameter` for another connector beside --headless, and when there is no user
 */
export function headlessArgs<Args extends LoginArgs>(env: Env, args: Args): Args {
  if (args.headless && args.auth && args.auth !== 'headless') {
    throw new TeleportError('BadParameter', 'either --headless or --auth can be specified, not both');
  }
  const { SSH_SESSION_WEBPROXY_ADDR: proxy, SSH_TELEPORT_USER: user, SSH_TELEPORT_CLUSTER_NAME: cluster } = env.vars;
  const filled = {
    ...args,
    auth: 'headless',
    proxy: args.proxy || proxy,
    user: args.user || user,
    cluster: args.cluster || cluster,
  };
  if (!filled.user) throw new TeleportError('BadParameter', 'user must be provided for headless login');
  return filled;
}

/** Why a headless login ends here. @param ping  of the connector `headless`, where the Proxy was asked */
export function headlessRefused(ping?: Ping): TeleportError {
  if (ping !== undefined && ping.auth?.allow_headless !== true) {
    return new TeleportError('BadParameter', 'headless disallowed by cluster settings');
  }
  return new TeleportError(
    'BadParameter',
    "Headless login is not supported for this command. Only 'tsh ls', 'tsh ssh', and 'tsh scp' are supported.",
    {
      hint: "Those are commands of Teleport's own tsh. For databases log in in a browser or with a password, or use an identity file (-i FILE).",
    },
  );
}
