/**
 * `tctl access why`: may this user enter this database, which block of which role decides, and what would have to change.
 * The exit status is the answer: 0 allowed, 1 refused (RFD 14).
 */
import type { Env } from '../../cli/env.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import {
  type AskedAccess,
  answerDocument,
  BLOCK_TITLES,
  blockRows,
  readAnswer,
  verdictText,
} from '../../rbac/answer.js';
import type { AccessAnswer, AccessChange } from '../../rbac/decision.js';
import { changeText } from '../../rbac/explain.js';
import { shellWord } from '../../shell-word.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { TRAIT_FLAGS } from '../flags.js';
import { unknownName } from './entrances.js';

export interface AccessWhyArgs extends AdminArgs {
  user: string;
  db: string;
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
  format: 'text' | 'json';
}

export async function run(
  env: Env,
  { user, db, dbUser, dbName, dbRoles = [], ...args }: AccessWhyArgs,
): Promise<number> {
  await using client = await connectAdmin(env, args);
  const wish = { dbUser: dbUser ?? '', dbName: dbName ?? '', dbRoles };
  const said = await client.accessReader.explainAccess({ user, database: db, ...wish }).catch((error: unknown) => {
    throw unknownName(error);
  });
  const answer = readAnswer(said);
  const asked: AskedAccess = { username: user, database: db, dbUser, dbName };
  if (args.format === 'json')
    printJson(
      env,
      answerDocument(answer, asked, (change) => commandOf(change, user, db)),
    );
  else await printAnswer(env, answer, asked);
  return answer.allowed ? 0 : 1;
}

async function printAnswer(env: Env, answer: AccessAnswer, asked: AskedAccess): Promise<void> {
  printLine(env, verdictText(answer, asked));
  for (const reason of answer.reasons) printLine(env, `Because ${reason}.`);
  if (answer.allowed && answer.automatic)
    printLine(env, 'The database user is made for each person and bears her own name.');
  if (answer.allowed && answer.asksMfa) printLine(env, 'A second factor is asked for at each session.');
  const { rows, others } = blockRows(answer, asked);
  printLine(env);
  if (rows.length > 0) await printTable(env, { titles: BLOCK_TITLES, rows, cut: ['Because'] });
  if (others > 0) printLine(env, `Blocks of roles that do not select it: ${others}.`);
  if (answer.allowed) return;
  printLine(env);
  if (answer.changes.length === 0) {
    printLine(env, `No change was found that would let her in.${isExact(asked, answer) ? '' : NAME_MORE}`);
    return;
  }
  printLine(env, 'The smallest change that would let her in:');
  for (const change of answer.changes) {
    const command = commandOf(change, asked.username, asked.database);
    printLine(env, `  ${changeText(change, asked.username)}${command === undefined ? '' : `:\n    ${command}`}`);
  }
}

const NAME_MORE = ' Name --db-user and --db-name, or make a role for this database.';

/** Whether the question says all that can be said. */
const isExact = ({ dbUser, dbName }: AskedAccess, { automatic }: AccessAnswer): boolean =>
  dbName !== undefined && (automatic || dbUser !== undefined);

/** What to type; undefined where it is not for an administrator to do. */
function commandOf({ kind, target, values }: AccessChange, user: string, db: string): string | undefined {
  switch (kind) {
    case 'trait': {
      const flag = TRAIT_FLAGS.find(([, trait]) => trait === target)?.[0];
      // What has a comma in it is two values in a flag.
      const isList = flag !== undefined && values.every((value) => !value.includes(','));
      return isList
        ? `tctl users update ${shellWord(user)} --set-${flag}=${shellWord(values.join(','))}`
        : `tctl edit ${shellWord(`user/${user}`)}`;
    }
    case 'assign':
      return `tctl users update ${shellWord(user)} --set-roles=${shellWord(values.join(','))}`;
    case 'label':
    case 'admin-user':
      return `tctl edit ${shellWord(`db/${db}`)}`;
    case 'role':
      return `tctl edit ${shellWord(`role/${target}`)}`;
    case 'unlock':
      return `tctl rm ${shellWord(`lock/${target}`)}`;
    default:
      return undefined;
  }
}
