/** The answer to "why" as `tctl access why` and `tsh db why` show it: rows and a document. Pure. */
import type { AccessAnswer, DatabaseAccessRequest, RoleBlock } from './decision.js';
import { changeText, checkText } from './explain.js';
import type { Check } from './match.js';

export type AskedAccess = Pick<DatabaseAccessRequest, 'username' | 'dbUser' | 'dbName'> & { database: string };

/** As a message has it: words that only a newer Auth knows pass through. */
export type SaidAnswer = { [member in Exclude<keyof AccessAnswer, 'blocks' | 'changes'>]: AccessAnswer[member] } & {
  blocks: readonly object[];
  changes: readonly object[];
};

export function readAnswer(said: SaidAnswer): AccessAnswer {
  return said as unknown as AccessAnswer;
}

/** `alice may enter the database "sales" as database user "reader".` */
export function verdictText({ user, allowed }: AccessAnswer, { database, dbUser, dbName }: AskedAccess): string {
  const as = dbUser === undefined ? '' : ` as database user "${dbUser}"`;
  const where = dbName === undefined ? '' : ` in database name "${dbName}"`;
  return `${user} ${allowed ? 'may' : 'may not'} enter the database "${database}"${as}${where}.`;
}

/** Blocks that have to do with the database, and how many have not. */
export function blockRows(answer: AccessAnswer, asked: AskedAccess): { rows: string[][]; others: number } {
  const concerns = ({ selects, applies, problem }: RoleBlock) => selects || applies || Boolean(problem);
  const shown = answer.blocks.filter(concerns);
  const rows = shown.map(({ role, side, applies, checks, problem }) => {
    const effect = applies ? (side === 'allow' ? 'allows' : 'denies') : '-';
    // What decides comes first: the line may be cut.
    const isDecisive = ({ holds }: Check) => holds === (side === 'deny' || applies);
    const sorted = [...checks.filter(isDecisive), ...checks.filter((check) => !isDecisive(check))];
    const texts = sorted.map((check) => (check.problem ? problemText(check.problem) : checkText(check, asked)));
    return [role, side, problem ? 'refuses' : effect, texts.join('; ')];
  });
  return { rows, others: answer.blocks.length - shown.length };
}

/** The expression's own fault stands in the last line. */
const problemText = (problem: string): string => `the expression cannot be read: ${problem.split('\n').at(-1)!.trim()}`;

export const BLOCK_TITLES = ['Role', 'Block', 'Effect', 'Because'];

/** For scripts. @param commandOf  what to type for a change; undefined: nothing */
export function answerDocument(
  answer: AccessAnswer,
  { database, dbUser, dbName }: AskedAccess,
  commandOf: (change: AccessAnswer['changes'][number]) => string | undefined = () => undefined,
): object {
  const { user, allowed, message, reasons, automatic, asksMfa, blocks, changes } = answer;
  const given = (record: object) =>
    Object.fromEntries(Object.entries(record).filter(([, value]) => value !== '' && value !== undefined));
  return {
    user,
    database,
    ...given({ db_user: dbUser, db_name: dbName }),
    allowed,
    ...given({ message }),
    reasons,
    automatic_user: automatic,
    asks_mfa: asksMfa,
    rules: blocks.map(({ role, side, applies, selects, checks, problem }) => ({
      role,
      side,
      applies,
      selects,
      checks: checks.map(({ field, holds, entry, problem: wrong }) => ({
        field,
        holds,
        ...given({ entry, problem: wrong }),
      })),
      ...given({ problem }),
    })),
    changes: changes.map((change) => {
      const { kind, value, values, target, side, field, key } = change;
      return {
        text: changeText(change, user),
        ...given({ command: commandOf(change), kind, value, target, side, field, key }),
        ...(values.length > 0 ? { values } : {}),
      };
    }),
  };
}
