/** `tsh request drop`: give back access that a request brought. Source: cli.md 3.9. */
import { openCluster } from '../../access/cluster/open.js';
import { currentSession } from '../../access/login/session.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import type { GlobalArgs } from '../flags.js';
import { otherSessions, printStatus } from '../status.js';

export interface RequestDropArgs extends GlobalArgs {
  /** None: all. */
  requestId?: string[] | undefined;
}

export async function run(env: Env, args: RequestDropArgs): Promise<void> {
  const drop = args.requestId?.length ? args.requestId : ['*'];
  const before = await currentSession(env, args);
  const unknown = drop.filter((id) => id !== '*' && before.facts && !before.facts.activeRequests.includes(id));
  if (unknown.length > 0) {
    throw new TeleportError('NotFound', `not in this login: access request ${unknown.join(', ')}`, {
      hint: `Active: ${before.facts?.activeRequests.join(', ') || 'none'} ("tsh status").`,
    });
  }
  printLine(
    env,
    drop[0] === '*' && drop.length === 1
      ? 'Dropping all active access requests...'
      : `Dropping access request(s): ${drop.join(', ')}...`,
  );
  printLine(env);
  {
    await using access = await openCluster(env, args);
    await access.requests.change({ drop });
  }
  const session = await currentSession(env, args);
  await printStatus(env, { format: 'text', verbose: false }, session, await otherSessions(session.store, session.name));
}
