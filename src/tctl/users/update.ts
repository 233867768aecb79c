/** `tctl users update`: replace roles and traits of a local user. Source: cli.md 6.1. */
import { fromMessage, toMessage } from '../../api/convert.js';
import { camelCase } from '../../cli/command.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { SINGLE_TRAIT_FLAGS, TRAIT_FLAGS } from '../flags.js';

export interface UsersUpdateArgs extends AdminArgs {
  account: string;
  setRoles?: string[];
  [trait: string]: unknown;
}

export async function run(env: Env, args: UsersUpdateArgs): Promise<void> {
  const changes: { trait: string; what: string; values: string[] }[] = [];
  for (const [flag, trait, what] of TRAIT_FLAGS) {
    const values = args[camelCase(`set-${flag}`)] as string[] | undefined;
    if (values?.length) changes.push({ trait, what, values: values.filter((value) => value !== '') });
  }
  for (const [flag, trait, what] of SINGLE_TRAIT_FLAGS) {
    const value = args[camelCase(`set-${flag}`)] as string | undefined;
    if (value === undefined) continue;
    if (!/^\d*$/.test(value)) throw new TeleportError('BadParameter', `${what} must be a numeric ID`);
    changes.push({ trait, what, values: [value] });
  }
  const roles = args.setRoles?.length ? args.setRoles : undefined;
  if (!roles && changes.length === 0) {
    throw new TeleportError('BadParameter', 'Nothing to update. Please provide at least one --set flag.');
  }
  if (changes.some(({ trait, values }) => trait === 'db_roles' && values.includes('*'))) {
    throw new TeleportError('BadParameter', "database role can't be a wildcard");
  }
  await using client = await connectAdmin(env, args);
  const { user: message } = await client.users.getUser({ name: args.account });
  const user = fromMessage('user', message!);
  for (const name of roles ?? []) await client.auth.getRole({ name });
  if (roles) user.spec.roles = roles;
  for (const { trait, values } of changes) user.spec.traits[trait] = values;
  await client.users.updateUser({ user: toMessage('user', user) });
  printLine(env, `User ${args.account} has been updated:`);
  if (roles) printLine(env, `\tNew roles: ${roles.join(',')}`);
  for (const { what, values } of changes) printLine(env, `\tNew ${what}: ${values.join(',')}`);
}
