/** `tsh db login`: fetch and keep a credential for a database. Source: cli.md 4.5. */
import { openAccess } from '../../access/open.js';
import { paletteOf } from '../../cli/color.js';
import type { Env } from '../../cli/env.js';
import { print, printLine } from '../../cli/output.js';
import { visible } from '../../cli/printable.js';
import { redactText } from '../../redact.js';
import { shellWord } from '../../shell-word.js';
import { placePart, type RouteArgs, routeRequest, selectorText } from './args.js';
import { chooseDatabase } from './choose.js';

export async function run(env: Env, args: RouteArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const database = await chooseDatabase(env, access, args);
  const route = await access.route(database, routeRequest(args));
  await access.login(route);
  const { name } = route.database.metadata;
  const selector = selectorText(args, { name, ...route });
  const [what, command] =
    access.unreachable || !(await access.hasKeyFiles())
      ? ['You can start a local proxy for database GUI clients:', `tsh proxy db --tunnel${selector}`]
      : [
          'You can view the connect command for the native database CLI client:',
          `tsh db config${placePart(args)} --format=cmd ${shellWord(name)}`,
        ];
  const paint = await paletteOf(env, 'stdout');
  printLine(env, `Connection information for database "${name}" has been saved.`);
  printLine(env);
  printLine(env, 'You can now connect to it using the following command:');
  printLine(env);
  print(env, `  ${paint.command(visible(`tsh db connect${selector}`))}\n`);
  printLine(env);
  printLine(env, what);
  printLine(env);
  print(env, `  ${paint.command(visible(redactText(command!)))}\n`);
  printLine(env);
}
