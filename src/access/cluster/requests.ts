/**
 * Access requests: asking a cluster for roles or databases that one does not have, and waiting for somebody's decision.
 * They live in the root cluster. Each function is a call or two over the gRPC client.
 *
 *     create ──> PENDING ── somebody approves ──> APPROVED ──> certificates that carry its id (`access/cluster/reissue.ts`)
 *                        └─ somebody denies ───> DENIED
 *
 * Source: cli.md 3.1 and 4.2; Teleport 18.3.0, types.proto and tool/tsh.
 */
import type { AuthClient } from '../../api/client.js';
import { accessRequestOf } from '../../api/convert.js';
import { AccessRequestV3Schema } from '../../api/gen/types_pb.js';
import { create } from '../../api/protobuf.js';
import { timestampOfDate } from '../../api/time.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import type { NewAccessRequest, NewReview } from '../../resources/access-request.js';
import { type AccessRequest, REQUEST_STATES, stateOf } from '../../resources/access-request.js';
import { pause } from '../../wait.js';
import { collected } from './calls.js';

const PENDING = 1;
/** How long a stream of events is trusted to tell of every change, and how often a server that went away is asked again. */
const WATCH_MS = 10 * 60_000;
const RETRY_MS = 2_000;
/** Whatever end a request names. A week is Teleport's longest. */
const LONGEST_WAIT_MS = 7 * 24 * 3_600_000;

/** @throws `AccessDenied` or `BadParameter` with the server's text, `NotImplemented` where there are no access requests */
export async function createAccessRequest(auth: AuthClient, wish: NewAccessRequest): Promise<AccessRequest> {
  const time = (at: Date | undefined) => (at ? timestampOfDate(at) : undefined);
  const request = create(AccessRequestV3Schema, {
    kind: 'access_request',
    version: 'v3',
    metadata: { name: crypto.randomUUID(), namespace: 'default' },
    spec: {
      user: wish.user,
      roles: wish.roles ?? [],
      state: PENDING,
      requestReason: wish.reason ?? '',
      suggestedReviewers: wish.reviewers ?? [],
      resourceIds: (wish.resources ?? []).map(({ cluster, kind, name, sub_resource: subResource = '' }) => ({
        cluster,
        kind,
        name,
        subResource,
      })),
      ...present('expires', time(wish.accessExpires)),
      ...present('maxDuration', time(wish.maxDuration)),
      ...present('assumeStartTime', time(wish.assumeStart)),
      ...present('expiry', time(wish.expires)),
    },
  });
  return accessRequestOf(await served(auth.auth.createAccessRequestV2(request)));
}

/** All that the person can see, or those of one id or person. */
export async function listAccessRequests(
  auth: AuthClient,
  filter: { id?: string; user?: string } = {},
): Promise<AccessRequest[]> {
  const stream = auth.auth.getAccessRequestsV2({ id: filter.id ?? '', user: filter.user ?? '' });
  return (await served(collected(stream, 'access requests'))).map(accessRequestOf);
}

/** Approve or deny somebody's request. @returns the request as it stands now; a role may want more than one review */
export async function reviewAccessRequest(auth: AuthClient, review: NewReview): Promise<AccessRequest> {
  const { id, author, isApproved, reason = '' } = review;
  const proposedState = REQUEST_STATES.indexOf(isApproved ? 'APPROVED' : 'DENIED');
  const answer = auth.auth.submitAccessReview({ id, review: { author, proposedState, reason } });
  return accessRequestOf(await served(answer));
}

/** One request by its id. @throws `NotFound` `no access request matching "…"` */
export async function findAccessRequest(auth: AuthClient, id: string): Promise<AccessRequest> {
  const [found] = await listAccessRequests(auth, { id });
  if (found === undefined) throw new TeleportError('NotFound', `no access request matching ${JSON.stringify(id)}`);
  return found;
}

/**
 * Wait until somebody has decided, however long that takes, but not beyond the end of the request. A server that goes
 * away meanwhile is asked again.
 *
 * @throws `NotFound` when the request is gone, `ConnectionProblem` when it ends undecided; what aborted `signal`
 */
export async function awaitResolution(
  auth: AuthClient,
  request: AccessRequest,
  options: { now: () => Date; signal: AbortSignal; retryMs?: number },
): Promise<AccessRequest> {
  const { name } = request.metadata;
  const { user, expiry, expires } = request.spec;
  const longest = options.now().getTime() + LONGEST_WAIT_MS;
  const end = Math.min(Date.parse(expiry ?? expires ?? '') || longest, longest);
  let isNew = true;
  while (options.now().getTime() < end) {
    options.signal.throwIfAborted();
    const leftMs = Math.min(WATCH_MS, end - options.now().getTime());
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(leftMs)]);
    try {
      const resolved = await watchOnce(auth, { name, user, isNew }, signal);
      isNew = false;
      if (resolved) return resolved;
    } catch (error) {
      options.signal.throwIfAborted();
      const isAway = isTeleportError(error, 'ConnectionProblem');
      if (!signal.aborted && !isAway) throw error;
    }
    if (!signal.aborted) await pause(options.retryMs ?? RETRY_MS, options.signal);
  }
  throw new TeleportError('ConnectionProblem', `request ${name} has expired before anybody decided`);
}

/** Events of one request until it is decided; undefined when the stream ended before. */
async function watchOnce(
  auth: AuthClient,
  { name, user, isNew }: { name: string; user: string; isNew: boolean },
  signal: AbortSignal,
): Promise<AccessRequest | undefined> {
  const kinds = [{ kind: 'access_request', filter: { id: name, user } }];
  let isReady = false;
  for await (const { type, resource } of auth.auth.watchEvents({ kinds }, { signal })) {
    if (!isReady) {
      // From here on no change is missed: what was decided before is read now.
      isReady = true;
      const [now] = await listAccessRequests(auth, { id: name });
      // What was made a moment ago may not be in the caches of a cluster yet.
      if (now === undefined && !isNew) throw expired(name);
      if (now !== undefined && stateOf(now) !== 'PENDING') return now;
    } else if (type === EVENT.deleted) {
      throw expired(name);
    } else if (type === EVENT.put && resource.case === 'accessRequest') {
      const changed = accessRequestOf(resource.value);
      if (changed.metadata.name === name && stateOf(changed) !== 'PENDING') return changed;
    }
  }
  return undefined;
}

const EVENT = { put: 1, deleted: 2 } as const;

/** @throws AccessDenied `request ID has been set to DENIED, reason="…"` unless it is approved */
export function checkApproved(request: AccessRequest): void {
  const state = stateOf(request);
  if (state === 'APPROVED') return;
  const reason = request.spec.resolve_reason ? `, reason=${JSON.stringify(request.spec.resolve_reason)}` : '';
  throw new TeleportError('AccessDenied', `request ${request.metadata.name} has been set to ${state}${reason}`);
}

function expired(name: string): TeleportError {
  return new TeleportError('NotFound', `request ${name} has expired or been deleted...`);
}

/** A cluster without access requests says so in one sentence. */
async function served<T>(work: Promise<T>): Promise<T> {
  return await work.catch((error: unknown) => {
    if (!isTeleportError(error, 'NotImplemented')) throw error;
    // Not its cause: that names a method of the protocol.
    throw new TeleportError('NotImplemented', 'this cluster does not serve access requests', {
      hint: 'An administrator gives roles directly: tctl users update USER --set-roles=ROLES. They count from the next connection.',
    });
  });
}

function present<Name extends string, Value>(name: Name, value: Value | undefined) {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, Value>);
}
