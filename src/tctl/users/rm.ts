/** `tctl users rm`: stops at the first one that is not there. Source: cli.md 6.1. */
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface UsersRmArgs extends AdminArgs {
  logins: string;
}

export async function run(env: Env, args: UsersRmArgs): Promise<void> {
  const names = args.logins.split(',').filter((one) => one !== '');
  if (names.length === 0) throw new TeleportError('BadParameter', 'no user is named');
  await using client = await connectAdmin(env, args);
  for (const name of names) {
    await client.users.deleteUser({ name }).catch((error: unknown) => {
      throw isTeleportError(error, 'NotFound')
        ? new TeleportError('NotFound', `user "${name}" not found`, { cause: error })
        : error;
    });
    printLine(env, `User "${name}" has been deleted`);
  }
}
