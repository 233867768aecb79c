/**
 * Names as Redshift reads them: ASCII letters become lower case, in double quotes too, unless the session has set
 * `enable_case_sensitive_identifier`. The name of a user in double quotes always keeps its case.
 *
 * Source: Amazon Redshift Database Developer Guide, pages `r_names`, `r_enable_case_sensitive_identifier` and
 * `r_CREATE_USER`.
 */
import { statementsOf, type Token } from './sql.js';

const SETTING = 'ENABLE_CASE_SENSITIVE_IDENTIFIER';

/** Statements that name users behind TO or FROM. */
const GIVES_RIGHTS = new Set(['GRANT', 'REVOKE', 'ATTACH', 'DETACH']);

/** The text of a name in double quotes, in the case that the database looks it up by. */
export function foldName(tokens: Token[], at: number): string {
  const { text } = tokens[at]!;
  return isUser(tokens, at) ? text : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Whether names in double quotes keep their case after this text, if it runs. */
export function keepsCaseAfter(sql: string, before: boolean): boolean {
  let keeps = before;
  for (const tokens of statementsOf(sql)) {
    const keys = tokens.map(({ key }) => key).filter((key) => key !== 'SESSION' && key !== 'LOCAL');
    if (keys[0] === 'RESET' && (keys[1] === 'ALL' || keys[1] === SETTING)) keeps = false;
    if (keys[0] === 'SET' && keys[1] === SETTING) keeps = /^'?(true|on|1|yes)'?$/i.test(keys[3] ?? '');
  }
  return keeps;
}

/** Does a name stand where the grammar has a user? */
function isUser(tokens: Token[], at: number): boolean {
  const before = (steps: number) => tokens[at - steps]?.key;
  if (before(1) === 'ROLE' || before(1) === 'GROUP') return false;
  let start = at;
  while (tokens[start - 1]?.key === ',') start = beginOfElement(tokens, start - 2);
  const [last, earlier] = [tokens[start - 1]?.key, tokens[start - 2]?.key];
  if (last === 'USER' || last === 'AUTHORIZATION' || last === 'OWNER') return true;
  if (last === 'EXISTS') return tokens[start - 3]?.key === 'USER';
  if (last === '=') return earlier === 'OWNER';
  if (last !== 'TO' && last !== 'FROM') return false;
  if (earlier === 'OWNER') return true;
  const statement = tokens.slice(tokens.findLastIndex(({ key }, index) => index < start && key === ';') + 1, start);
  if (earlier === 'RENAME') return statement.some(({ key }) => key === 'USER');
  return statement.some(({ key }) => GIVES_RIGHTS.has(key));
}

/** Where the element of a list that ends here begins: `name`, `ROLE name`, `name WITH GRANT OPTION`. */
function beginOfElement(tokens: Token[], end: number): number {
  const at = tokens[end]?.key === 'OPTION' ? end - 3 : end;
  return tokens[at - 1]?.key === 'ROLE' || tokens[at - 1]?.key === 'GROUP' ? at - 1 : at;
}
