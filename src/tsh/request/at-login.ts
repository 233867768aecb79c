/**
 * `tsh login --request-roles`, `--request-id`: access requests beside a login. A cluster may also ask for one from
 * everybody (role option `request_access`). Source: cli.md 3.1, auth-grpc-and-routing.md 3.1.
 */

import { openCluster } from '../../access/cluster/open.js';
import { connectRoot } from '../../access/login/client.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { messageOf, TeleportError } from '../../errors.js';
import { type LoginSession, sessionOf } from '../../profile/session.js';
import type { GlobalArgs } from '../flags.js';
import { words } from './create.js';
import { makeRequest, resumeRequest } from './execute.js';

export interface LoginRequestArgs extends GlobalArgs {
  requestRoles?: string | undefined;
  requestReason?: string | undefined;
  requestReviewers?: string | undefined;
  requestNowait?: boolean | undefined;
  requestId?: string | undefined;
}

/** True when the flags ask for more than the roles of the user. */
export function wantsRequest({ requestRoles, requestId }: LoginRequestArgs): boolean {
  return Boolean(requestId || (requestRoles && requestRoles !== 'no'));
}

/** More for a login that there is. */
export async function requestForLogin(env: Env, args: LoginRequestArgs, session: LoginSession): Promise<LoginSession> {
  const { store, name, profile, cluster } = session;
  {
    await using access = await openCluster(env, { ...args, cluster });
    const options = { noWait: args.requestNowait ?? false };
    if (args.requestId) await resumeRequest(env, access.requests, args.requestId, options);
    else {
      const wish = {
        roles: words(args.requestRoles),
        reason: args.requestReason,
        reviewers: words(args.requestReviewers),
      };
      await makeRequest(env, access.requests, wish, options);
    }
  }
  return await sessionOf(store, name, profile, cluster);
}

/** The same right after a login, which does not stay when its request fails. */
export async function requestAtLogin(env: Env, args: LoginRequestArgs, session: LoginSession): Promise<LoginSession> {
  try {
    const requestRoles = wantsRequest(args) ? args.requestRoles : await rolesAskedOfAll(env, args, session);
    if (!wantsRequest({ ...args, requestRoles })) return session;
    printLine(env);
    return await requestForLogin(env, { ...args, requestRoles }, session);
  } catch (error) {
    await session.store.deleteUser(session.name, session.user);
    throw error;
  }
}

/** `*` where roles make everybody ask at login. @throws BadParameter where they want a reason and there is none */
async function rolesAskedOfAll(env: Env, args: LoginRequestArgs, session: LoginSession): Promise<string | undefined> {
  if (args.requestRoles === 'no') return undefined;
  const capabilities = await accessCapabilities(env, args, session);
  if (capabilities?.requireReason && !args.requestReason) {
    const prompt = capabilities.requestPrompt ? `, prompt=${capabilities.requestPrompt}` : '';
    throw new TeleportError('BadParameter', `--request-reason must be specified${prompt}`);
  }
  return capabilities?.autoRequest ? '*' : undefined;
}

/** Undefined when the cluster does not say: it will hold to its roles in any case. */
async function accessCapabilities(env: Env, args: LoginRequestArgs, session: LoginSession) {
  try {
    await using client = await connectRoot(env, session, args.insecure);
    return await client.api.auth.getAccessCapabilities({ user: session.user });
  } catch (error) {
    env.signal.throwIfAborted();
    env.log.debug('No access capabilities.', { error: messageOf(error) });
    return undefined;
  }
}
