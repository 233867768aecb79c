/** `tctl lock`: keep somebody or something out, now and in running sessions. Source: cli.md 6.8. */
import { randomUUID } from 'node:crypto';
import { toMessage } from '../api/convert.js';
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';
import { TeleportError } from '../errors.js';
import type { Lock, LockTarget } from '../resources/types.js';
import { type AdminArgs, connectAdmin } from './connect.js';

export interface LockArgs extends AdminArgs {
  user?: string | undefined;
  role?: string | undefined;
  login?: string | undefined;
  mfaDevice?: string | undefined;
  accessRequest?: string | undefined;
  serverId?: string | undefined;
  windowsDesktop?: string | undefined;
  device?: string | undefined;
  botInstanceId?: string | undefined;
  joinToken?: string | undefined;
  message?: string | undefined;
  /** Milliseconds. */
  ttl?: number | undefined;
  /** RFC 3339. */
  expires?: string | undefined;
}

export async function run(env: Env, args: LockArgs): Promise<void> {
  const targets: Record<string, string | undefined> = {
    user: args.user,
    role: args.role,
    login: args.login,
    mfa_device: args.mfaDevice,
    access_request: args.accessRequest,
    server_id: args.serverId,
    windows_desktop: args.windowsDesktop,
    device: args.device,
    bot_instance_id: args.botInstanceId,
    join_token: args.joinToken,
  };
  const target: LockTarget = Object.fromEntries(Object.entries(targets).filter(([, value]) => value));
  if (Object.keys(target).length === 0)
    throw new TeleportError('BadParameter', 'at least one target field must be set');
  if (args.ttl && args.expires) throw new TeleportError('BadParameter', 'use only one of --expires and --ttl');
  const expires = args.ttl
    ? new Date(env.now().getTime() + args.ttl)
    : args.expires
      ? new Date(args.expires)
      : undefined;
  if (expires && Number.isNaN(expires.getTime())) {
    throw new TeleportError(
      'BadParameter',
      `--expires: "${args.expires}" is not a time, expected for example 2030-01-02T15:04:05Z`,
    );
  }
  const name = randomUUID();
  const lock: Lock = {
    kind: 'lock',
    version: 'v2',
    metadata: { name },
    spec: {
      target,
      created_at: env.now().toISOString(),
      ...(args.message ? { message: args.message } : {}),
      ...(expires ? { expires: expires.toISOString() } : {}),
    },
  };
  await using client = await connectAdmin(env, args);
  await client.auth.upsertLock(toMessage('lock', lock));
  printLine(env, `Created a lock with name "${name}".`);
}
