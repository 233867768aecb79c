/** `tsh request create`: ask for roles or single resources, and wait for the decision. Source: cli.md 3.9. */
import { openCluster } from '../../access/cluster/open.js';
import { currentSession } from '../../access/login/session.js';
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import type { ResourceId } from '../../resources/access-request.js';
import type { GlobalArgs } from '../flags.js';
import { otherSessions, printStatus } from '../status.js';
import { makeRequest } from './execute.js';

export interface RequestCreateArgs extends GlobalArgs {
  roles?: string | undefined;
  reason?: string | undefined;
  reviewers?: string | undefined;
  nowait: boolean;
  resource?: string[] | undefined;
  /** Milliseconds, all three. */
  requestTtl?: number | undefined;
  sessionTtl?: number | undefined;
  maxDuration?: number | undefined;
  assumeStartTime?: string | undefined;
}

export async function run(env: Env, args: RequestCreateArgs): Promise<void> {
  const roles = words(args.roles);
  const resources = (args.resource ?? []).map(resourceId);
  if (roles.length === 0 && resources.length === 0) {
    throw new TeleportError('BadParameter', 'at least one role or resource or a request ID must be specified');
  }
  const after = (ms: number | undefined, what: string) => {
    if (ms === undefined || ms === 0) return undefined;
    if (ms < 0) throw new TeleportError('BadParameter', `${what} value must be greater than zero`);
    return new Date(env.now().getTime() + ms);
  };
  const wish = {
    roles,
    resources,
    reason: args.reason,
    reviewers: words(args.reviewers),
    expires: after(args.requestTtl, 'request TTL'),
    accessExpires: after(args.sessionTtl, 'session TTL'),
    maxDuration: after(args.maxDuration, 'max duration'),
    assumeStart: moment(args.assumeStartTime),
  };
  {
    await using access = await openCluster(env, args);
    await makeRequest(env, access.requests, wish, { noWait: args.nowait });
  }
  const session = await currentSession(env, args);
  await printStatus(env, { format: 'text', verbose: false }, session, await otherSessions(session.store, session.name));
}

/** Comma- or space-separated names. */
export function words(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((word) => word !== '');
}

/** `/cluster/kind/name`. @throws BadParameter for anything else */
function resourceId(text: string): ResourceId {
  const [empty, cluster, kind, name, ...rest] = text.split('/');
  if (empty !== '' || !cluster || !kind || !name) {
    throw new TeleportError('BadParameter', `malformed resource ID ${JSON.stringify(text)}`, {
      hint: 'Write /CLUSTER/KIND/NAME, for example --resource=/example.com/db/sales',
    });
  }
  return { cluster, kind, name, ...(rest.length > 0 ? { sub_resource: rest.join('/') } : {}) };
}

function moment(text: string | undefined): Date | undefined {
  if (!text) return undefined;
  const at = new Date(text);
  if (/^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(at.getTime())) return at;
  throw new TeleportError(
    'BadParameter',
    `parsing assume-start-time (required format RFC3339 e.g 2023-12-12T23:20:50.52Z): ${JSON.stringify(text)}`,
  );
}
