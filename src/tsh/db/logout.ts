/** `tsh db logout`: remove stored credentials, of one database or of all. Source: cli.md 4.6. */

import { selectedCluster } from '../../access/login/session.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import type { SelectorArgs } from './args.js';
import { chooseActive } from './choose.js';

export async function run(env: Env, args: SelectorArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const hasSelector = Boolean(args.db || args.labels || args.query);
  const active = await access.active();
  if (active.length === 0 && !hasSelector) {
    checkWhere(env, args, access.clusterName);
    return printLine(env, 'Not logged into any databases.');
  }
  const chosen = hasSelector ? await chooseActive(access, args) : active;
  await access.logout(chosen.map(({ name }) => name));
  const names = chosen.map(({ name }) => name).sort();
  if (names.length === 1) printLine(env, `Logged out of database ${names[0]}`);
  else if (names.length === active.length) printLine(env, 'Logged out of all databases');
  else printLine(env, `Logged out of databases:\n${names.join('\n')}`);
}

/** Nothing is left, which is what was asked for; but not where the wrong place was named, for there may be some elsewhere. */
function checkWhere(env: Env, args: SelectorArgs, cluster: string): void {
  if (args.identity) {
    throw new TeleportError(
      'NotFound',
      'not logged into any databases: an identity file keeps no credentials of them',
      {
        hint: 'Without --identity and TELEPORT_IDENTITY_FILE the command is about the login of "tsh login".',
      },
    );
  }
  if (selectedCluster(env, args) === undefined) return;
  throw new TeleportError('NotFound', `not logged into any databases of cluster ${cluster}`, {
    hint: 'Without --cluster and TELEPORT_CLUSTER the command is about the cluster of the login ("tsh status").',
  });
}
