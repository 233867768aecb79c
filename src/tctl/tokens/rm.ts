/** `tctl tokens rm`. Source: cli.md 6.2. */
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface TokensRmArgs extends AdminArgs {
  token?: string | undefined;
}

export async function run(env: Env, args: TokensRmArgs): Promise<void> {
  if (!args.token) throw new TeleportError('BadParameter', 'Need an argument: token');
  await using client = await connectAdmin(env, args);
  await client.auth.deleteToken({ name: args.token });
  printLine(env, `Token ${args.token} has been deleted`);
}
