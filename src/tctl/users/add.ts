/** `tctl users add`: a local user, and the link with which the person sets a password. Source: cli.md 6.1. */

import { toMessage } from '../../api/convert.js';
import { camelCase } from '../../cli/command.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { nanosOfMs } from '../../duration.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import type { Traits, User } from '../../resources/types.js';
import { shellWord } from '../../shell-word.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { SINGLE_TRAIT_FLAGS, TRAIT_FLAGS } from '../flags.js';
import { checkTtl, printLink } from './link.js';

export interface UsersAddArgs extends AdminArgs {
  account: string;
  roles: string[];
  /** Milliseconds. */
  ttl: number;
  format: string;
  [trait: string]: unknown;
}

/** Teleport's own limit of an invitation. */
const MAX_TTL_MS = 48 * 3_600_000;

export async function run(env: Env, args: UsersAddArgs): Promise<void> {
  checkTtl(args.ttl, MAX_TTL_MS);
  const traits: Traits = {};
  for (const [flag, trait] of TRAIT_FLAGS) {
    const values = args[camelCase(flag)] as string[] | undefined;
    traits[trait] = values?.length ? values : null;
  }
  for (const [flag, trait, what] of SINGLE_TRAIT_FLAGS) {
    const value = (args[camelCase(flag)] as string | undefined) ?? '';
    if (value !== '' && !/^\d+$/.test(value)) throw new TeleportError('BadParameter', `${what} must be a numeric ID`);
    traits[trait] = [value];
  }
  await using client = await connectAdmin(env, args);
  for (const name of args.roles) await client.auth.getRole({ name });
  const user: User = {
    kind: 'user',
    version: 'v2',
    metadata: { name: args.account },
    spec: { roles: args.roles, traits },
  };
  try {
    await client.users.createUser({ user: toMessage('user', user) });
  } catch (error) {
    if (!isTeleportError(error, 'AlreadyExists')) throw error;
    printLine(env, 'NOTE: To update an existing local user:');
    printLine(
      env,
      `> tctl users update ${shellWord(args.account)} --set-roles ${shellWord(args.roles.join(','))} # replace roles`,
    );
    printLine(env);
    throw new TeleportError('AlreadyExists', `user "${args.account}" already registered`, { cause: error });
  }
  const token = await client.auth.createResetPasswordToken({
    name: args.account,
    type: 'invite',
    ttl: nanosOfMs(args.ttl),
  });
  printLink(env, token, { format: args.format, ttlMs: args.ttl, what: 'created' });
}
