/**
 * `tsh db why`: may I enter this database, and if not, why: as much of it as one may know of oneself. The exit status is the
 * answer: 0 allowed, 1 refused (RFD 14).
 */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import { refuseSecrets } from '../../cli/refuse-secrets.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { type AskedAccess, answerDocument, BLOCK_TITLES, blockRows, verdictText } from '../../rbac/answer.js';
import { changeText } from '../../rbac/explain.js';
import type { GlobalArgs } from '../flags.js';

export interface DbWhyArgs extends GlobalArgs {
  db: string;
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
  format: 'text' | 'json';
}

const NO_ROLE =
  'There is no such database, or no role of yours selects it: "tsh db ls" lists yours, and an administrator can ask "tctl access why".';

export async function run(env: Env, args: DbWhyArgs): Promise<number> {
  const { db, dbUser, dbName, dbRoles = [] } = args;
  refuseSecrets({ dbUser, dbName, dbRoles });
  await using access = await openCluster(env, args);
  const answer = await access.whyNot({ database: db, dbUser, dbName, dbRoles }).catch((error: unknown) => {
    throw isTeleportError(error, 'NotFound')
      ? new TeleportError('NotFound', error.message, { cause: error, hint: NO_ROLE })
      : error;
  });
  const asked: AskedAccess = { username: answer.user, database: db, dbUser, dbName };
  if (args.format === 'json') printJson(env, answerDocument(answer, asked));
  else {
    printLine(env, verdictText(answer, asked));
    for (const reason of answer.reasons) printLine(env, `Because ${reason}.`);
    const { rows } = blockRows(answer, asked);
    printLine(env);
    await printTable(env, { titles: BLOCK_TITLES, rows, cut: ['Because'] });
    if (answer.changes.length > 0) printLine(env, '\nAsk an administrator for this, or for a role that has it:');
    for (const change of answer.changes) printLine(env, `  ${changeText(change, answer.user)}`);
  }
  return answer.allowed ? 0 : 1;
}
