/**
 * `tsh headless approve`: somebody waits on a machine without a browser for one's own login. Refusing it works here; letting
 * it in takes a security key, as Teleport accepts nothing else for it. Spec: login-and-profile.md 3.2.
 */
import { connectRoot } from '../../access/login/client.js';
import { ClusterLogin } from '../../access/login/login.js';
import { currentSession } from '../../access/login/session.js';
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { waitingFor } from '../../cli/progress.js';
import { confirm } from '../../cli/prompt.js';
import { messageOf, TeleportError } from '../../errors.js';
import type { GlobalArgs } from '../flags.js';

export interface HeadlessApproveArgs extends GlobalArgs {
  id: string;
  skipConfirm: boolean;
}

/** As `HeadlessAuthentication.state` has them. */
const STATE = { pending: 1, denied: 2, approved: 3 } as const;

export async function run(env: Env, args: HeadlessApproveArgs): Promise<void> {
  const login = new ClusterLogin(env, args, await currentSession(env, args));
  await login.renewing(async (session) => {
    await using client = await connectRoot(env, session, args.insecure);
    const { auth } = client.root;
    const waiting = await waitingFor(env, 'the headless login', find(auth, args.id));
    if (waiting.state !== STATE.pending) {
      const state = Object.keys(STATE).find((name) => STATE[name as keyof typeof STATE] === waiting.state) ?? 'unknown';
      throw new TeleportError(
        'BadParameter',
        `cannot approve a headless authentication from a non-pending state: ${state}`,
      );
    }
    const from = JSON.stringify(waiting.clientIpAddress);
    printLine(env, `Headless login attempt from IP address ${from} requires approval.`);
    printLine(env, "Contact your administrator if you didn't initiate this login attempt.");
    if (!args.skipConfirm && !(await confirm(env, 'Approve?'))) {
      await waitingFor(
        env,
        'the cluster',
        auth.updateHeadlessAuthenticationState({ id: args.id, state: STATE.denied }),
      );
      return;
    }
    throw new TeleportError(
      'NotImplemented',
      'a headless login is approved with a security key, which is not supported',
      { hint: `Approve it in a browser: https://${session.profile.webProxyAddr}/web/headless/${args.id}` },
    );
  });
}

/** The login that waits. The cluster looks for some seconds, as it may be just arriving. */
async function find(auth: AuthClient['auth'], id: string) {
  try {
    return await auth.getHeadlessAuthentication({ id });
  } catch (error) {
    // What Teleport says when nobody came.
    if (!messageOf(error).includes('context deadline exceeded')) throw error;
    throw new TeleportError('NotFound', `no headless login ${JSON.stringify(id)} is waiting`, {
      hint: 'It waits for three minutes; take the ID that the other machine shows now, and its user.',
      cause: error,
    });
  }
}
