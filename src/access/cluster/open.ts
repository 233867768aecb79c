/** From a command's arguments to a cluster: the login that they name, and the databases behind it. No call to anybody yet. */
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import type { LoginArgs } from '../login/args.js';
import { connectCluster } from '../login/client.js';
import { ClusterLogin } from '../login/login.js';
import { currentSession } from '../login/session.js';
import { ClusterAccess } from './access.js';

/**
 * Databases of the login that the arguments name.
 *
 * @param deadlineMs  for dialling, and for each answer; default 30 s
 * @throws when there is no login at all
 */
export async function openCluster(env: Env, args: LoginArgs, deadlineMs?: number): Promise<ClusterAccess> {
  return new ClusterAccess(env, new ClusterLogin(env, args, await currentSession(env, args), deadlineMs));
}

/** Calls on Auth as the person who is logged in, for `tctl`. */
export async function loginAuthClient(env: Env, args: LoginArgs): Promise<AuthClient> {
  const session = await currentSession(env, args);
  const { api } = await connectCluster(session, { vars: env.vars, insecure: args.insecure ?? false, now: env.now() });
  return api;
}
