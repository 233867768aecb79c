/**
 * Tables as Teleport 18 prints them: titles and dashes, every cell padded, the last one too, at least five cells a column.
 * On a terminal no line is wider than it is, unless what people copy alone is. Cells come from servers: one with controls
 * in it is quoted. The only door to cli-table3. Pure.
 */
import CliTable from 'cli-table3';
import { cellWidth, firstCells } from './cells.js';
import { naturalWidths, sum, widthsWithin } from './columns.js';
import { printableLine } from './printable.js';

export interface Table {
  /** Without titles there are rows only: no titles, no dashes, and nothing is cut. */
  titles?: readonly string[];
  rows: readonly (readonly string[])[];
  /** Titles of the columns that are cut and then left out, the least valuable first. */
  cut?: readonly string[];
  /** Titles of the columns that people copy, which are never cut. Columns in neither list are names, cut at the last. */
  copied?: readonly string[];
  /** Everything is shown, however narrow the terminal is. */
  isWhole?: boolean;
  /** Stands where something was cut. Default: `...`. */
  cutMark?: string;
}

interface Cell {
  text: string;
  width: number;
}

const NOTHING: Cell = { text: '', width: 0 };

/** No frame and no space around a cell: what separates two columns is part of the first one's width. */
const BARE = {
  chars: Object.fromEntries(
    ['top', 'bottom', 'left', 'right', 'mid']
      .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
      .concat('middle')
      .map((name) => [name, '']),
  ),
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
};

/** Lines that are drawn together: the time that cli-table3 takes grows with their square. */
const LINES_AT_ONCE = 50;

/**
 * What cli-table3 gets for a text: one of these for each of its cells. It reckons cells by an old string-width, which is
 * wrong about many scripts and newer emoji; of this it cannot be wrong.
 */
const STAND_IN = '#';

/**
 * @param terminal  its width in cells; undefined where there is none, and nothing is cut then
 * @returns the table's lines, each with its end, and whether something was cut
 */
export function drawTable(table: Table, terminal: number | undefined): { text: string; isCut: boolean } {
  const { titles, cut = [], copied = [], isWhole = false, cutMark = '...' } = table;
  const head = titles?.map(cellOf) ?? [];
  const rows = table.rows.map((row) => row.map((text) => cellOf(printableLine(text))));
  const cells = columnCells(head, rows);
  const natural = naturalWidths(cells);
  let widths = natural;
  if (titles && terminal !== undefined && !isWhole) {
    const numbers = (some: readonly string[]) => some.map((one) => titles.indexOf(one)).filter((at) => at >= 0);
    // The last separator separates nothing: it stands there where it fits.
    const room = terminal + 1;
    widths = widthsWithin(room, { cells, cut: numbers(cut), copied: numbers(copied), mark: cellWidth(cutMark) });
  }
  const dashes = cells.map(({ title, content }) => cellOf('-'.repeat(Math.max(title, content))));
  const shown = [...cells.keys()].filter((at) => widths[at]! > 0);
  const lines = [...(titles ? [head, dashes] : []), ...rows].map((line) =>
    shown.map((at) => cutTo(widths[at]! - 1, line[at] ?? NOTHING, line === dashes ? '' : cutMark)),
  );
  const drawn = shown.map((at) => widths[at]!);
  if (sum(drawn) - 1 === terminal) drawn[drawn.length - 1]! -= 1;
  return { text: draw(lines, drawn), isCut: widths.some((width, at) => width < natural[at]!) };
}

function cellOf(text: string): Cell {
  const width = cellWidth(text);
  // A text that nobody sees is written nevertheless, beside a blank.
  return width === 0 && text !== '' ? { text: `${text} `, width: 1 } : { text, width };
}

/** For each column, cells of its title and of the widest text under it. */
function columnCells(head: readonly Cell[], rows: readonly (readonly Cell[])[]): { title: number; content: number }[] {
  const columns = head.map(({ width }) => ({ title: width, content: 0 }));
  for (const row of rows) {
    for (const [at, { width }] of row.entries()) {
      columns[at] ??= { title: 0, content: 0 };
      columns[at].content = Math.max(columns[at].content, width);
    }
  }
  return columns;
}

/** A text that is too wide: its start and the mark, of which less is shown where the text would have no character left. */
function cutTo(most: number, cell: Cell, mark: string): Cell {
  if (cell.width <= most) return cell;
  for (let markWidth = Math.min(cellWidth(mark), most - 1); markWidth >= 0; markWidth--) {
    const start = firstCells(cell.text, most - markWidth);
    if (start !== '') return cellOf(start + firstCells(mark, markWidth));
  }
  return cellOf(firstCells(mark, most));
}

/** Cells of the same widths make the same line: of a long table few are drawn. */
function draw(lines: readonly (readonly Cell[])[], colWidths: number[]): string {
  if (colWidths.length === 0) return '';
  const shapes = new Map(lines.map((line) => [shapeOf(line), line]));
  const drawn = new Map<string, string>();
  const all = [...shapes];
  for (let at = 0; at < all.length; at += LINES_AT_ONCE) {
    const some = all.slice(at, at + LINES_AT_ONCE);
    const table = new CliTable({ ...BARE, colWidths });
    table.push(...some.map(([, line]) => line.map(({ width }) => STAND_IN.repeat(width))));
    for (const [index, text] of table.toString().split('\n').entries()) drawn.set(some[index]![0], text);
  }
  const filled = (line: readonly Cell[]) => {
    const texts = line.filter(({ width }) => width > 0);
    let next = 0;
    return drawn.get(shapeOf(line))!.replace(/#+/g, () => texts[next++]!.text);
  };
  return lines.map((line) => `${filled(line)}\n`).join('');
}

const shapeOf = (line: readonly Cell[]): string => line.map(({ width }) => width).join();
