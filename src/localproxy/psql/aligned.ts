/**
 * Results as psql prints them in its aligned form, for `tsh db exec` on a machine without psql. Pure.
 *
 * Source: psql's manual page, `\pset format aligned`, border 1.
 */
import { cellWidth } from '../../cli/cells.js';
import { visible } from '../../cli/printable.js';

export interface ResultTable {
  /** Column names; empty for a statement without rows. */
  columns: { name: string; isNumber: boolean }[];
  rows: (string | null)[][];
  /** CommandComplete, `SELECT 3`. */
  commandTag: string;
}

/** Types that psql aligns to the right, by OID. Source: PostgreSQL's pg_type.dat. */
export const NUMBER_TYPES: ReadonlySet<number> = new Set([20, 21, 23, 26, 28, 29, 700, 701, 790, 1700]);

/** A table, `(N rows)` and an empty line; or the command tag where there are no columns. */
export function alignedText({ columns: named, rows, commandTag }: ResultTable): string {
  const columns = named.map(({ name, isNumber }) => ({ name: visible(name), isNumber }));
  if (columns.length === 0) return commandTag === '' ? '' : `${visible(commandTag)}\n`;
  const cells = rows.map((row) => row.map((value) => visible(value ?? '').split('\n')));
  const widths = columns.map(({ name }, i) =>
    Math.max(cellWidth(name), ...cells.flatMap((row) => row[i]!.map(cellWidth))),
  );
  const header = columns.map(({ name }, i) => ` ${center(name, widths[i]!)} `).join('|');
  const rule = widths.map((w) => '-'.repeat(w + 2)).join('+');
  const lines = cells.flatMap((row) => {
    const height = Math.max(1, ...row.map((parts) => parts.length));
    return Array.from({ length: height }, (_, line) =>
      row
        .map((parts, i) => {
          const text = parts[line] ?? '';
          const space = ' '.repeat(widths[i]! - cellWidth(text));
          const padded = columns[i]!.isNumber ? space + text : text + space;
          // psql marks a value that goes on in the next line.
          const mark = line < parts.length - 1 ? '+' : ' ';
          const isLast = i === row.length - 1;
          return isLast && mark === ' ' && !columns[i]!.isNumber
            ? ` ${text}`
            : ` ${padded}${isLast && mark === ' ' ? '' : mark}`;
        })
        .join('|'),
    );
  });
  const count = `(${rows.length} row${rows.length === 1 ? '' : 's'})`;
  return `${[header, rule, ...lines, count].join('\n')}\n\n`;
}

function center(text: string, columns: number): string {
  const space = columns - cellWidth(text);
  const left = Math.floor(space / 2);
  return ' '.repeat(left) + text + ' '.repeat(space - left);
}
