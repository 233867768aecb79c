/** Facts under each other, a line each: a label, and the value in its column. Pure. */
import { padCells } from './cells.js';
import { printableLine } from './printable.js';

/** @param column  cells before the value; a longer label has one blank after it */
export function factLines(facts: readonly (readonly [label: string, value: string])[], column: number): string[] {
  return facts.map(([label, value]) => `${padCells(printableLine(label), column - 1)} ${printableLine(value)}`);
}
