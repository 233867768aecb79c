/**
 * `tctl lock`: keep somebody or something out, now and in running sessions. A name that is not there is an error, unless
 * `--force` is given; the real `tctl` takes it. Source: cli.md 6.8.
 */
import { randomUUID } from 'node:crypto';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { withNote } from '../api/note.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import { TeleportError } from '../errors.js';
import type { Lock, LockTarget } from '../resources/types.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { checkTarget } from './lock-target.js';

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
  /** Lock what is not there (yet). */
  force?: boolean | undefined;
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
  if (args.ttl !== undefined && args.expires)
    throw new TeleportError('BadParameter', 'use only one of --expires and --ttl');
  const expires =
    args.ttl !== undefined
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
  // It would lock nobody.
  if (expires && expires <= env.now()) {
    const flag = args.ttl !== undefined ? '--ttl must be longer than 0' : `--expires: ${args.expires} has passed`;
    throw new TeleportError('BadParameter', `nothing was locked: ${flag}`);
  }
  await using client = await connectAdmin(env, args);
  const { missing, unknown } = await checkTarget(client, target);
  if (missing.length > 0 && !args.force) {
    throw new TeleportError('NotFound', `nothing was locked: ${missing.join('; ')}`, {
      hint: 'Correct the name, or lock it all the same with --force: the lock then counts as soon as there is one.',
    });
  }
  for (const sentence of [...missing, ...unknown]) printWarning(env, sentence);
  const { message } = args;
  const name = await createLock(env, client, target, { message, expires });
  printLine(env, `Created a lock with name "${name}".`);
}

/** @returns its name */
export async function createLock(
  env: Env,
  client: AuthClient,
  target: LockTarget,
  { message, expires }: { message?: string | undefined; expires?: Date | undefined },
): Promise<string> {
  const name = randomUUID();
  const lock: Lock = {
    kind: 'lock',
    version: 'v2',
    metadata: { name },
    spec: {
      target,
      created_at: env.now().toISOString(),
      ...(message ? { message } : {}),
      ...(expires ? { expires: expires.toISOString() } : {}),
    },
  };
  await client.auth.upsertLock(
    toMessage('lock', lock),
    withNote((note) => printWarning(env, note)),
  );
  return name;
}
