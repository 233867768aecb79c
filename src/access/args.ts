/** The flags that choose a back end and a database. */
import type { LoginArgs } from './login/args.js';

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

/** True when a flag of AWS was given. */
export function hasAwsFlag(args: AwsArgs): boolean {
  const { aws, awsProfile, region, assumeRole, externalId } = args;
  return Boolean(aws || awsProfile || region?.length || assumeRole || externalId);
}
