/** Arguments that the database commands share, as the command table gives them. */
import type { Access, ActiveDatabase, RouteRequest } from '../../access/access.js';
import type { AwsArgs } from '../../access/args.js';
import { refuseSecrets } from '../../cli/refuse-secrets.js';
import { TeleportError } from '../../errors.js';
import { shellWord } from '../../shell-word.js';
import type { RequestArgs, Selectors } from './choose.js';

export interface DbArgs extends AwsArgs {
  proxy?: string | undefined;
  user?: string | undefined;
  cluster?: string | undefined;
  identity?: string | undefined;
  insecure?: boolean | undefined;
  debug?: boolean | undefined;
}

export interface SelectorArgs extends DbArgs, Selectors {}

export interface RouteArgs extends SelectorArgs, RequestArgs {
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
  autoCreate?: boolean | undefined;
  dbGroups?: string[] | undefined;
}

export function routeRequest({ dbUser, dbName, dbRoles, autoCreate, dbGroups }: RouteArgs): RouteRequest {
  // They would stand in certificates, and in the audit log.
  refuseSecrets({ dbUser, dbName, dbRoles });
  return {
    dbUser,
    dbName,
    dbRoles: dbRoles?.length ? dbRoles : undefined,
    autoCreate: autoCreate || undefined,
    dbGroups: dbGroups?.length ? dbGroups : undefined,
  };
}

interface NamedRoute {
  name: string;
  dbUser: string;
  dbName: string;
  isUserOptional?: boolean;
}

/** What stands behind `tsh db connect` or `tsh proxy db` for this database, with placeholders for what is not stored. */
export function selectorText(args: DbArgs, route: NamedRoute): string {
  const user = route.dbUser || route.isUserOptional ? '' : ' --db-user=<user>';
  const name = route.dbName ? '' : ' --db-name=<name>';
  return `${placePart(args)}${user}${name} ${shellWord(route.name)}`;
}

/** @throws TeleportError `BadParameter` for a command whose answer would lead nowhere */
export function assertReachable(command: string, args: DbArgs, { unreachable }: Access, active: ActiveDatabase): void {
  if (unreachable === undefined) return;
  const selector = selectorText(args, active);
  throw new TeleportError(
    'BadParameter',
    [
      `"${command}" is not supported when:`,
      `  - ${unreachable}.`,
      '',
      'Please use one of the following commands to connect to the database:',
      `    tsh db connect${selector}`,
      `    tsh proxy db --tunnel${selector}`,
    ].join('\n'),
  );
}

/** @throws TeleportError `BadParameter` where other programs find no file with the key or password of the database */
export async function assertKeyFiles(access: Access, args: DbArgs, route: NamedRoute): Promise<void> {
  if (await access.hasKeyFiles()) return;
  const selector = selectorText(args, route);
  const text = `what opens "${route.name}" is in the system keychain, and other programs need it in a file`;
  throw new TeleportError('BadParameter', text, {
    hint: `Use "tsh db connect${selector}", or for other programs "tsh proxy db --tunnel${selector}". For files: "tsh login --credential-store=file".`,
  });
}

/** ` --cluster=NAME`, ` --region=…` where they were given, for commands that are suggested. */
export function placePart({ cluster, aws, awsProfile, region, assumeRole, externalId }: DbArgs): string {
  const flags = [
    cluster && `--cluster=${cluster}`,
    awsProfile && `--aws-profile=${awsProfile}`,
    region?.length && `--region=${region.join(',')}`,
    assumeRole && `--assume-role=${assumeRole}`,
    externalId && `--external-id=${externalId}`,
  ].filter((flag) => typeof flag === 'string' && flag !== '');
  if (aws && flags.length === 0) flags.push('--aws');
  return flags.map((flag) => ` ${shellWord(String(flag))}`).join('');
}
