/**
 * Tables as Teleport 18 prints them (its `asciitable`, on Go's tabwriter): every cell padded, the last one too; at
 * least five columns a cell; long cells cut with `...` where a width is given. Pure. cli-table3 cannot leave lines
 * ending in padding only, so the few lines are ours. Cells come from servers: one with controls in it is quoted, which
 * the real one does not do.
 */
import { printableLine } from './printable.js';

/** A cell and its separator take at least this much (tabwriter's minimum width in asciitable). */
const LEAST_WIDTH = 5;
/** Kept free for the truncated column when the others are limited (asciitable). */
const LEAST_TRUNCATED = 16;

type Cells = readonly (readonly string[])[];

/** A full table: titles, dashes, rows. Ends with a newline. */
export function tableText(titles: readonly string[], cells: Cells): string {
  const rows = printableCells(cells);
  const dashes = titles.map((title, i) => '-'.repeat(widest([title, ...rows.map((row) => row[i] ?? '')])));
  return align([titles, dashes, ...rows]);
}

/** Rows only: no titles, no dashes. */
export function headlessTableText(cells: Cells): string {
  return align(printableCells(cells));
}

/**
 * The short form of most `ls` commands: every column but one gets an equal share of the width, that one gets the rest.
 *
 * @param options.truncated  the title that gets the rest, for example `Labels`
 * @param options.columns  width of the terminal of standard input, or 80
 */
export function truncatedTableText(
  titles: readonly string[],
  cells: Cells,
  options: { truncated: string; columns: number },
): string {
  const rows = printableCells(cells);
  const share = Math.max(1, Math.floor((options.columns - LEAST_TRUNCATED) / Math.max(1, titles.length - 1)));
  let taken = 0;
  const limits = titles.map((title, i) => {
    if (title === options.truncated) return 0;
    const needed = widest([title, ...rows.map((row) => row[i] ?? '')]);
    taken += Math.min(needed, share) + (needed > share ? 4 : 1);
    return Math.min(needed, share);
  });
  // With no room left at all the real one does not cut.
  const left = options.columns - taken - 4;
  const rest = left > 0 ? left : Number.POSITIVE_INFINITY;
  const cut = rows.map((row) =>
    titles.map((title, i) => truncate(row[i] ?? '', title === options.truncated ? rest : limits[i]!)),
  );
  return tableText(titles, cut);
}

function truncate(cell: string, limit: number): string {
  const characters = [...cell];
  return characters.length <= limit ? cell : `${characters.slice(0, limit).join('')}...`;
}

function printableCells(rows: Cells): string[][] {
  return rows.map((row) => row.map(printableLine));
}

function align(rows: Cells): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, i) =>
    Math.max(LEAST_WIDTH, widest(rows.map((row) => row[i] ?? '')) + 1),
  );
  return rows.map((row) => `${widths.map((width, i) => pad(row[i] ?? '', width)).join('')}\n`).join('');
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - [...cell].length));
}

function widest(cells: readonly string[]): number {
  return cells.reduce((most, cell) => Math.max(most, [...cell].length), 0);
}
