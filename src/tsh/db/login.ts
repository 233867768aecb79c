/** `tsh db login`: fetch and keep a credential for a database. Source: cli.md 4.5. */
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { clusterPart, type RouteArgs, routeRequest } from './args.js';
import { chooseDatabase } from './choose.js';

const YELLOW = '\u001b[33m';
const PLAIN = '\u001b[0m';

export async function run(env: Env, args: RouteArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const database = await chooseDatabase(env, access, args);
  const route = await access.route(database, routeRequest(args));
  await access.login(route);
  const name = route.database.metadata.name;
  const missing = `${route.dbUser ? '' : ' --db-user=<user>'}${route.dbName ? '' : ' --db-name=<name>'}`;
  printLine(env, `Connection information for database "${name}" has been saved.`);
  printLine(env);
  printLine(env, 'You can now connect to it using the following command:');
  printLine(env);
  printLine(env, `  ${YELLOW}tsh db connect${clusterPart(args)}${missing} ${name}${PLAIN}`);
  printLine(env);
  printLine(env, 'You can view the connect command for the native database CLI client:');
  printLine(env);
  printLine(env, `  ${YELLOW}tsh db config${clusterPart(args)} --format=cmd ${name}${PLAIN}`);
  printLine(env);
}
