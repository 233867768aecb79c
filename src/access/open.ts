/**
 * From a command's arguments to a back end. AWS, when a flag says so, when an endpoint was pasted, or when the last login
 * was one at AWS and nothing names a proxy; else a cluster. Only the code of that back end is loaded.
 */
import type { Env } from '../cli/env.js';
import { type AwsIdentities, awsIdentities } from '../profile/aws-identity.js';
import { profileBase } from '../profile/paths.js';
import type { Access } from './access.js';
import { isEndpoint } from './endpoint.js';
import type { LoginArgs } from './login/session.js';

/** The flags that say which AWS identity, beside those of a cluster. */
export interface AwsArgs {
  aws?: boolean | undefined;
  /** Profile of the shared files. */
  awsProfile?: string | undefined;
  region?: string[] | undefined;
  /** ARN of a role to assume first. */
  assumeRole?: string | undefined;
  externalId?: string | undefined;
  /** Who signs the databases' certificates. */
  caFile?: string | undefined;
}

export interface OpenArgs extends LoginArgs, AwsArgs {
  /** A database's name, or an endpoint. */
  db?: string | undefined;
  dbs?: string[] | undefined;
}

/** The AWS logins of a person. */
export function personalIdentities(env: Env): AwsIdentities {
  return awsIdentities(profileBase(env.vars, env.home));
}

/** The back end that the arguments mean. @throws when there is no login at all */
export async function openAccess(env: Env, args: OpenArgs): Promise<Access> {
  return (await isAws(env, args))
    ? await (await import('./aws/open.js')).openAws(env, args)
    : await (await import('./cluster/open.js')).openCluster(env, args);
}

/** True when a flag of AWS was given. */
export function hasAwsFlag(args: AwsArgs): boolean {
  const { aws, awsProfile, region, assumeRole, externalId } = args;
  return Boolean(aws || awsProfile || region?.length || assumeRole || externalId);
}

async function isAws(env: Env, args: OpenArgs): Promise<boolean> {
  if (hasAwsFlag(args) || isEndpoint(args.db) || args.dbs?.some(isEndpoint)) return true;
  if (args.proxy || args.identity || args.cluster) return false;
  return (await personalIdentities(env).currentName()) !== undefined;
}
