/** Whether a cluster still takes a login: its authority may have been rotated, its user made anew, its second factor reset. */
import { CLOSED_WITHOUT_ANSWER } from '../../api/session.js';
import type { Env } from '../../cli/env.js';
import { isTeleportError, messageOf } from '../../errors.js';
import type { LoginSession } from '../../profile/session.js';
import { connectRoot } from './client.js';

/** @returns false only where the cluster says so, or hangs up; true where it cannot be asked */
export async function isAccepted(env: Env, session: LoginSession, insecure: boolean): Promise<boolean> {
  try {
    await using client = await connectRoot(env, session, insecure);
    await client.root.auth.getDomainName({});
    return true;
  } catch (error) {
    // A login of before a rotation knows other authorities of hosts than those of now.
    if (error instanceof Error && 'certificateProblem' in error) return false;
    return !isTeleportError(error, 'AccessDenied') && !messageOf(error).startsWith(CLOSED_WITHOUT_ANSWER);
  }
}
