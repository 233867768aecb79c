/** `tsh request show`: one access request. Source: cli.md 3.9. */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { print, printJson, printYaml } from '../../cli/output.js';
import type { GlobalArgs } from '../flags.js';
import { requestText } from './text.js';

export interface RequestShowArgs extends GlobalArgs {
  requestId: string;
  format: 'text' | 'json' | 'yaml';
}

export async function run(env: Env, args: RequestShowArgs): Promise<void> {
  await using access = await openCluster(env, args);
  const request = await access.requests.find(args.requestId);
  if (args.format === 'text') return print(env, await requestText(env, request));
  if (args.format === 'yaml') return await printYaml(env, request);
  printJson(env, request, { newline: false });
}
