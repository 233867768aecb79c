/** `tsh request ls`: the access requests that you can see. Source: cli.md 3.9. */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { print, printJson, printYaml } from '../../cli/output.js';
import type { GlobalArgs } from '../flags.js';
import { requestTable } from './text.js';

export interface RequestLsArgs extends GlobalArgs {
  format: 'text' | 'json' | 'yaml';
  reviewable: boolean;
  suggested: boolean;
  myRequests: boolean;
}

export async function run(env: Env, args: RequestLsArgs): Promise<void> {
  await using access = await openCluster(env, args);
  const me = args.user || access.username;
  const found = (await access.requests.list()).filter(({ spec }) => {
    const isReviewed = spec.reviews?.some(({ author }) => author === me) ?? false;
    if ((args.reviewable || args.suggested) && (spec.user === me || isReviewed)) return false;
    if (args.suggested && !spec.suggested_reviewers?.includes(me)) return false;
    return !args.myRequests || spec.user === me;
  });
  if (args.format === 'text') return print(env, await requestTable(env, found));
  if (args.format === 'yaml') return await printYaml(env, found);
  printJson(env, found, { newline: false });
}
