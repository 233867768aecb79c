/** The lines of the benchmark, printed as they come and kept for the page. */

export interface Report {
  add(what: string, measured: string, ratio?: string, target?: string, isReached?: boolean): void;
  /** What is not measured on this machine, and why. */
  skip(what: string, why: string): void;
  /** Rows of a Markdown table. */
  rows(): string;
}

export function createReport(print: (line: string) => void): Report {
  const rows: string[] = [];
  const row = (...cells: string[]) => void rows.push(`| ${cells.join(' | ')} |`);
  const verdict = (is: boolean | undefined) => (is === undefined ? '' : is ? 'reached' : 'missed');
  return {
    add(what, measured, ratio = '', target = '', isReached) {
      row(what, measured, ratio, target, verdict(isReached));
      const aim = target && `(target: ${target}: ${verdict(isReached)})`;
      print([what, measured, ratio, aim].filter(Boolean).join('  '));
    },
    skip(what, why) {
      row(what, 'skipped', why, '', '');
      print(`${what}  skipped: ${why}`);
    },
    rows: () => rows.join('\n'),
  };
}

export const ms = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
export const times = (value: number) => `${value.toFixed(2)} ×`;
export const rate = (value: number) => `${value.toFixed(0)} MB/s`;
