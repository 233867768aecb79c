/** An error of a statement as psql prints it: severity and message, the place in the statement, detail and hint. Pure. */
import { cellWidth } from '../../cli/cells.js';

export interface StatementError {
  severity: string;
  message: string;
  detail?: string | undefined;
  hint?: string | undefined;
  /** Where in the statement, in characters from 1 (field `P`). */
  position?: number | undefined;
}

/** Source: PostgreSQL manual, libpq, `PQresultErrorMessage`; the order of the lines is psql's. */
export function errorText({ severity, message, detail, hint, position }: StatementError, sql: string): string {
  return [
    `${severity}:  ${message}`,
    ...(position ? placeText(sql, position) : []),
    ...(detail ? [`DETAIL:  ${detail}`] : []),
    ...(hint ? [`HINT:  ${hint}`] : []),
    '',
  ].join('\n');
}

/** The line of the statement and a caret under the place; nothing for a place outside of it. */
function placeText(sql: string, position: number): string[] {
  const before = [...sql].slice(0, position - 1).join('');
  if (before.length >= sql.length) return [];
  const start = before.lastIndexOf('\n') + 1;
  const shown = (text: string) => text.replaceAll('\t', ' ');
  const line = shown(sql.slice(start).split('\n', 1)[0]!);
  const title = `LINE ${before.split('\n').length}: `;
  return [title + line, `${' '.repeat(cellWidth(title + shown(before.slice(start))))}^`];
}
