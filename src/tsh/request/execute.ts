/**
 * The story of an access request, as `tsh login --request-…`, `tsh request create` and a database that the person cannot enter
 * tell it: made, shown, waited for, taken up. Source: cli.md 3.1 and 4.2.
 */
import type { AccessRequests } from '../../access/access.js';
import { checkApproved } from '../../access/cluster/requests.js';
import type { Env } from '../../cli/env.js';
import { print, printLine } from '../../cli/output.js';
import { printable } from '../../cli/printable.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import type { NewAccessRequest } from '../../resources/access-request.js';
import { type AccessRequest, stateOf } from '../../resources/access-request.js';
import { requestText } from './text.js';

export type RequestWish = Omit<NewAccessRequest, 'user'>;

export interface ExecuteOptions {
  /** Only make it; whoever wants it comes back with `--request-id`. */
  noWait?: boolean;
}

/**
 * Make a request and wait for the decision; then the login carries it.
 *
 * @throws AccessDenied when it is denied, NotImplemented where there are none
 */
export async function makeRequest(
  env: Env,
  requests: AccessRequests,
  wish: RequestWish,
  options: ExecuteOptions = {},
): Promise<void> {
  if (!options.noWait) checkCanTakeUp(requests);
  printLine(env, 'Creating request...');
  const made = await requests.create(wish);
  // Read again: the cluster fills in which roles reach a resource.
  const request = await requests.find(made.metadata.name).catch(() => made);
  await follow(env, requests, request, options);
}

/** Take up a request that was made before, once it is decided. @throws BadParameter `invalid access request "…"` */
export async function resumeRequest(
  env: Env,
  requests: AccessRequests,
  id: string,
  options: ExecuteOptions = {},
): Promise<void> {
  checkCanTakeUp(requests);
  const request = await requests.find(id).catch((error: unknown) => {
    if (!isTeleportError(error, 'NotFound')) throw error;
    throw new TeleportError('BadParameter', `invalid access request ${JSON.stringify(id)}`, {
      hint: 'Which there are says: tsh request ls',
    });
  });
  if (stateOf(request) !== 'PENDING') return await takeUp(env, requests, request);
  printLine(env, 'Request pending...');
  await follow(env, requests, request, options);
}

/** Said before somebody is asked and waited for. */
function checkCanTakeUp(requests: AccessRequests): void {
  if (requests.canTakeUp) return;
  throw new TeleportError('BadParameter', 'an identity file cannot carry an access request', {
    hint: 'Ask with --nowait or without -i, or have a file made for a user with the roles: tctl auth sign.',
  });
}

async function follow(
  env: Env,
  requests: AccessRequests,
  request: AccessRequest,
  { noWait = false }: ExecuteOptions,
): Promise<void> {
  print(env, await requestText(env, request));
  printLine(env);
  if (noWait) return;
  printLine(env, 'Waiting for request approval...');
  await takeUp(env, requests, await requests.decided(request));
}

async function takeUp(env: Env, requests: AccessRequests, request: AccessRequest): Promise<void> {
  checkApproved(request);
  const reason = request.spec.resolve_reason;
  env.stderr.write(
    reason
      ? `\nApproval received, reason=${printable(JSON.stringify(reason))}\nGetting updated certificates...\n\n`
      : '\nApproval received, getting updated certificates...\n\n',
  );
  await requests.change({ add: [request.metadata.name] });
}
