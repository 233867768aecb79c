/** A record of the audit log in one line, for people. */
import type { Table } from '../../cli/output.js';

type Members = Record<string, unknown>;

const TITLES = ['Time', 'Event', 'User', 'Database', 'What'];

export function recordTable(lines: readonly string[]): Table {
  return { titles: TITLES, rows: lines.map((line) => cellsOf(membersOf(line))), cut: ['What'] };
}

/** The same without columns, for more lines than a table should hold. */
export const recordCells = (line: string): string[] => cellsOf(membersOf(line));

function cellsOf(members: Members): string[] {
  const { time, event, user, db_service: database } = members;
  return [time, event, user, database, whatOf(members)].map((value) => (typeof value === 'string' ? value : ''));
}

/** What the record is about: a statement, the reason of a refusal, the thing that was changed. */
function whatOf(members: Members): string {
  const { db_query, query, statement_name, error, message, name, reason, target, last_n, outcome, statements } =
    members;
  const found = [error, message, db_query, query, name, reason, statement_name].find(
    (value) => typeof value === 'string' && value !== '',
  );
  if (typeof found === 'string') return found;
  if (typeof target === 'object' && target !== null) return JSON.stringify(target);
  if (typeof statements === 'number') return `${statements} statements: ${String(outcome)}`;
  return typeof last_n === 'number' ? `record ${last_n}` : '';
}

function membersOf(line: string): Members {
  try {
    return JSON.parse(line) as Members;
  } catch {
    return {};
  }
}
