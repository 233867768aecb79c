/** Arguments that the database commands share, as the command table gives them. */
import type { RouteRequest } from '../../access/access.js';
import type { AwsArgs } from '../../access/open.js';
import type { Selectors } from './choose.js';

export interface GlobalArgs extends AwsArgs {
  proxy?: string | undefined;
  user?: string | undefined;
  cluster?: string | undefined;
  identity?: string | undefined;
  insecure?: boolean | undefined;
  debug?: boolean | undefined;
}

export interface SelectorArgs extends GlobalArgs, Selectors {}

export interface RouteArgs extends SelectorArgs {
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
  requestReason?: string | undefined;
  disableAccessRequest?: boolean | undefined;
  autoCreate?: boolean | undefined;
  dbGroups?: string[] | undefined;
}

export function routeRequest({ dbUser, dbName, dbRoles, autoCreate, dbGroups }: RouteArgs): RouteRequest {
  return {
    dbUser,
    dbName,
    dbRoles: dbRoles?.length ? dbRoles : undefined,
    autoCreate: autoCreate || undefined,
    dbGroups: dbGroups?.length ? dbGroups : undefined,
  };
}

/** `--cluster=NAME ` where it was given, for commands that are suggested. */
export function clusterPart(args: GlobalArgs): string {
  return args.cluster ? ` --cluster=${args.cluster}` : '';
}
