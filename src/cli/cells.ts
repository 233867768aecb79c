/**
 * How wide a text is on a terminal, in cells: a wide character takes two, a mark over a letter none, an emoji of several
 * code points two, a colour code or a link none. The only door to get-east-asian-width and strip-ansi. Pure.
 *
 * Source: Unicode's annexes 11 (East Asian width), 29 (grapheme clusters) and 51 (emoji).
 */
import { eastAsianWidth } from 'get-east-asian-width';
import stripAnsi from 'strip-ansi';

const ONE_CELL_EACH = /^[ -~]*$/;
/** What takes no room: controls, joiners, marks over and under letters. Marks beside them take a cell. */
const NO_CELL = /[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Mn}\p{Me}]/gu;
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Emoji_Modifier_Base}\p{Emoji_Modifier})/u;
const HANGUL = /^\p{Script=Hangul}/u;
const JOINER = '\u200d';

/** Made for the first text that is not plain: it takes longer than drawing a table does. */
let segmenter: Intl.Segmenter | undefined;
function clustersOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}

/** Cells that a text of one line takes. */
export function cellWidth(text: string): number {
  if (ONE_CELL_EACH.test(text)) return text.length;
  let width = 0;
  for (const { segment } of clustersOf(stripAnsi(text))) width += clusterWidth(segment);
  return width;
}

/** The start of a text that takes at most so many cells; no character is cut in two. */
export function firstCells(text: string, most: number): string {
  if (ONE_CELL_EACH.test(text)) return text.slice(0, most);
  let taken = 0;
  let end = 0;
  for (const { segment, index } of clustersOf(text)) {
    taken += clusterWidth(segment);
    if (taken > most) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** The text with blanks after it, until it takes so many cells. */
export function padCells(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - cellWidth(text)));
}

/** What a person takes for one character. */
function clusterWidth(cluster: string): number {
  if (EMOJI.test(cluster)) return 2;
  // What is joined to the first is drawn with it.
  const [first] = cluster.split(JOINER, 1);
  const letters = [...first!.replace(NO_CELL, '')];
  // The letters of a Hangul syllable share the square of the first; the parts of an Indian syllable stand side by side.
  return (HANGUL.test(cluster) ? letters.slice(0, 1) : letters).reduce(
    (sum, letter) => sum + eastAsianWidth(letter.codePointAt(0)!),
    0,
  );
}
