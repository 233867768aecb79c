/**
 * From a command's arguments to a back end. AWS, when a flag says so, when an endpoint was pasted, or when the last login
 * was one at AWS and nothing names a proxy; else a cluster. Only the code of that back end is loaded.
 */
import type { Env } from '../cli/env.js';
import type { Access } from './access.js';
import { hasAwsFlag, type OpenArgs } from './args.js';
import { personalIdentities } from './aws/identities.js';
import { isEndpoint } from './endpoint.js';

/** The back end that the arguments mean. @throws when there is no login at all */
export async function openAccess(env: Env, args: OpenArgs): Promise<Access> {
  return (await isAws(env, args))
    ? await (await import('./aws/open.js')).openAws(env, args)
    : await (await import('./cluster/open.js')).openCluster(env, args);
}

async function isAws(env: Env, args: OpenArgs): Promise<boolean> {
  if (hasAwsFlag(args) || isEndpoint(args.db) || args.dbs?.some(isEndpoint)) return true;
  if (args.proxy || args.identity || args.cluster) return false;
  return (await personalIdentities(env).currentName()) !== undefined;
}
