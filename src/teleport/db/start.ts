/** `teleport db start`: the Database Service alone, with one database from flags. Source: cli.md 7.2. */
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import { parseLabelSpec } from '../../resources/labels.js';
import { run as start } from '../start.js';
import type { StartFlags } from '../start-flags.js';
import { type DatabaseFlags, databaseAws } from './configure/database-flags.js';

export interface DbStartArgs extends StartFlags, DatabaseFlags {
  description?: string | undefined;
  labels?: string | undefined;
  caCert?: string | undefined;
  awsSessionTags?: string | undefined;
}

export async function run(env: Env, args: DbStartArgs): Promise<number> {
  const { name, protocol, uri } = args;
  if (!name && !protocol && !uri) return await start(env, { ...args, roles: ['db'] });
  if (!name || !protocol || !uri)
    throw new TeleportError('BadParameter', '--name, --protocol and --uri must be given together');
  const aws = {
    ...databaseAws(args),
    ...(args.awsSessionTags ? { session_tags: parseLabelSpec(args.awsSessionTags) } : {}),
  };
  const database = {
    name,
    protocol,
    uri,
    ...(args.description ? { description: args.description } : {}),
    ...(args.caCert ? { tls: { ca_cert_file: args.caCert } } : {}),
    ...(Object.keys(aws).length > 0 ? { aws } : {}),
    ...(args.labels ? { static_labels: parseLabelSpec(args.labels) } : {}),
  };
  return await start(env, { ...args, roles: ['db'], database });
}
