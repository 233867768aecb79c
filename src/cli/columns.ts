/**
 * How wide the columns of a table are on a narrow terminal. What is worth least goes first: such columns are cut, down to
 * their titles, then left out; then names are cut, down to one cell. What people copy is never cut. Pure.
 */
export interface Columns {
  /** For each, cells of its title and of the widest text under it. */
  cells: readonly { title: number; content: number }[];
  /** Which are cut and left out before a name is cut, the least valuable first. */
  cut: readonly number[];
  /** Which people copy. */
  copied: readonly number[];
  /** Cells of what stands where something was cut. */
  mark: number;
}

/** A column and its separator take at least this much, in cells (tabwriter's minimum width in Teleport's asciitable). */
const LEAST_WIDTH = 5;
/** One cell of a name, and the separator. */
const LEAST_NAME = 2;

/** Where there is room. @returns cells for each column, its separator included */
export function naturalWidths(cells: Columns['cells']): number[] {
  return cells.map(({ title, content }) => Math.max(LEAST_WIDTH, title + 1, content + 1));
}

/**
 * @param room  cells for all columns
 * @returns cells for each column, its separator included; 0 for one that is left out
 */
export function widthsWithin(room: number, columns: Columns): number[] {
  const { cells, cut, copied } = columns;
  const gone = new Set<number>();
  let widths = cutToTitles(room, columns, gone);
  // Where the terminal breaks the lines whatever is left out, nothing is.
  if (sum(copied.map((at) => cells[at]!.content + 1)) > room) return widths;
  const hasRows = cells.some(({ content }) => content > 0);
  const empty = [...cells.keys()].filter((at) => hasRows && cells[at]!.content === 0 && !cut.includes(at));
  // One column stays, whatever its worth.
  for (const at of [...empty, ...cut].slice(0, cells.length - 1)) {
    if (sum(widths) <= room) return widths;
    widths = cutToTitles(room, columns, gone.add(at));
  }
  return cutNames(room, columns, widths);
}

/** As much as must be cut, and nothing below its title. */
function cutToTitles(room: number, columns: Columns, gone: ReadonlySet<number>): number[] {
  const { cells, cut, mark } = columns;
  const widths = naturalWidths(cells).map((width, at) => (gone.has(at) ? 0 : width));
  for (const at of cut) shrink(widths, at, Math.max(LEAST_WIDTH, cells[at]!.title + 1, mark + 2), room);
  return widths;
}

/** The titles first, then the widest name, cell by cell; a name that has no cell left goes, the last column first. */
function cutNames(room: number, { cells, copied }: Columns, from: readonly number[]): number[] {
  const widths = [...from];
  for (const [at, { content }] of cells.entries()) shrink(widths, at, Math.max(LEAST_NAME, content + 1), room);
  const names = [...cells.keys()].filter((at) => widths[at]! > 0 && !copied.includes(at));
  while (sum(widths) > room && names.some((at) => widths[at]! > LEAST_NAME)) {
    const widest = names.reduce((one, other) => (widths[other]! > widths[one]! ? other : one));
    widths[widest]! -= 1;
  }
  for (const at of names.reverse()) if (sum(widths) > room && sum(widths) > widths[at]!) widths[at] = 0;
  return widths;
}

/** Takes what is missing from one column, but not below so much. */
function shrink(widths: number[], at: number, least: number, room: number): void {
  const missing = Math.max(0, sum(widths) - room);
  widths[at] = Math.max(Math.min(least, widths[at]!), widths[at]! - missing);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
