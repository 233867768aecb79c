/** `tsh request review`: approve or deny somebody's access request. Source: cli.md 3.9. */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import { stateOf } from '../../resources/access-request.js';
import type { GlobalArgs } from '../flags.js';

export interface RequestReviewArgs extends GlobalArgs {
  requestId: string;
  approve: boolean;
  deny: boolean;
  reason?: string | undefined;
}

export async function run(env: Env, args: RequestReviewArgs): Promise<number> {
  if (args.approve === args.deny) {
    throw new TeleportError('BadParameter', "must supply exactly one of '--approve' or '--deny'");
  }
  await using access = await openCluster(env, args);
  const request = await access.requests.review({ id: args.requestId, isApproved: args.approve, reason: args.reason });
  const state = stateOf(request);
  const counts = state === 'PENDING' || state === (args.approve ? 'APPROVED' : 'DENIED');
  env.stderr.write(
    counts
      ? `Successfully submitted review.  Request state: ${state}\n`
      : `Warning: ineffectual review. Request state: ${state}\n`,
  );
  return counts ? 0 : 1;
}
