/** `tctl users reset`: forget password and devices, and give a link to set new ones. Source: cli.md 6.1. */
import type { Env } from '../../cli/env.js';
import { nanosOfMs } from '../../duration.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { checkTtl, printLink } from './link.js';

export interface UsersResetArgs extends AdminArgs {
  account: string;
  /** Milliseconds. */
  ttl: number;
  format: string;
}

/** Teleport's own limit of a reset link. */
const MAX_TTL_MS = 24 * 3_600_000;

export async function run(env: Env, args: UsersResetArgs): Promise<void> {
  checkTtl(args.ttl, MAX_TTL_MS);
  await using client = await connectAdmin(env, args);
  // Says in Teleport's words when there is no such user.
  await client.users.getUser({ name: args.account });
  const token = await client.auth.createResetPasswordToken({
    name: args.account,
    type: 'password',
    ttl: nanosOfMs(args.ttl),
  });
  printLink(env, token, { format: args.format, ttlMs: args.ttl, what: 'reset' });
}
