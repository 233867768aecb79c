/**
 * Regular expressions that somebody else wrote, in the dialect that Teleport reads them in (RE2, as Go's `regexp`): no
 * looking around and no back references, and in return a match takes time in proportion to the text, whatever the pattern.
 * JavaScript's own would let one label hang a service for good.
 */
import { RE2JS } from 're2js';
import { messageOf, TeleportError } from './errors.js';
import { Kept } from './kept.js';

/** Longest pattern that is read; ours. */
export const MAX_PATTERN_CHARS = 1024;
/**
 * Most repetitions that the counts of a pattern may ask for (`a{2,9}` asks for 9, `(a{9}){9}` for 81); ours. RE2 writes each one
 * out, and a match may look at all of them for each character: `^a{0,900}a{0,900}$` would be linear, and take seconds.
 */
export const MAX_REPETITIONS = 256;
/** Patterns kept compiled: more than a cluster with a thousand roles has, and of the longest ones some hundreds. */
const MAX_KEPT = 5_000;
const MAX_KEPT_CHARS = 512 * 1024;

export interface PatternOptions {
  ignoreCase?: boolean;
  /** `.` is a line break too. */
  dotAll?: boolean;
}

export class Pattern {
  readonly #compiled: RE2JS;

  /** @throws TeleportError `BadParameter` for what cannot be read, with RE2's reason */
  constructor(source: string, { ignoreCase = false, dotAll = false }: PatternOptions = {}) {
    if (source.length > MAX_PATTERN_CHARS) {
      throw new TeleportError('BadParameter', `a regular expression of more than ${MAX_PATTERN_CHARS} characters`);
    }
    const excess = excessIn(source);
    if (excess !== undefined) throw new TeleportError('BadParameter', `a regular expression that ${excess}`);
    try {
      const flags = (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (dotAll ? RE2JS.DOTALL : 0);
      this.#compiled = RE2JS.compile(source, flags);
    } catch (error) {
      const text = `invalid regular expression ${JSON.stringify(source)}: ${messageOf(error)}`;
      throw new TeleportError('BadParameter', text, { cause: error });
    }
  }

  /** Whether it is found in a text. */
  test(text: string): boolean {
    return this.#compiled.test(text);
  }

  /** Every place replaced. `$1`, `${1}`, `$name` and `${name}` are groups, `$$` is a dollar, as in Go. */
  replace(text: string, replacement: string): string {
    const matcher = this.#compiled.matcher(text);
    const names = new Set(Object.keys(this.#compiled.namedGroups()));
    const group = (name: string): string => {
      if (/^\d+$/.test(name)) return Number(name) <= matcher.groupCount() ? (matcher.group(Number(name)) ?? '') : '';
      return names.has(name) ? (matcher.group(name) ?? '') : '';
    };
    let result = '';
    let end = 0;
    while (matcher.find()) {
      result += text.slice(end, matcher.start());
      result += replacement.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (all, bare?: string, braced?: string) =>
        all === '$$' ? '$' : group((bare ?? braced)!),
      );
      end = matcher.end();
    }
    return result + text.slice(end);
  }
}

/** One piece of a pattern: what is skipped (quoted text, an escape, a class), the beginning of a group, a count, any other character. */
const PIECE =
  /\\Q.*?(?:\\E|$)|\\[xpP]\{\^?\w*\}|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]])*\]?|\((?:\?(?:P?<\w+>|[\w-]*:?))?|\{(\d+)(?:(,)(\d*))?\}|./gs;

/** What the counts of a pattern come to: each repeats all that stands in its piece, as it is written out. */
function repetitionsIn(source: string): number {
  const empty = { size: 0, counted: 0, last: { size: 0, counted: 0 } };
  /** Groups that are open, the outermost first: their pieces written out, how many of these a count asked for, and the last piece. */
  const open = [{ ...empty }];
  for (const [piece, least, comma, most] of source.matchAll(PIECE)) {
    const group = open.at(-1)!;
    const add = (last: { size: number; counted: number }) => {
      const into = open.at(-1)!;
      into.size += last.size;
      into.counted += last.counted;
      into.last = last;
    };
    if (piece.startsWith('(')) {
      open.push({ ...empty });
    } else if (piece === ')' && open.length > 1) {
      open.pop();
      add({ size: group.size, counted: group.counted });
    } else if (least !== undefined) {
      const { last } = group;
      const all = last.size * Math.max(Number(least) + (comma && !most ? 1 : 0), Number(most || 0));
      group.size -= last.size;
      group.counted -= last.counted;
      add({ size: all, counted: all });
    } else if (!'?*+|'.includes(piece)) {
      add({ size: 1, counted: 0 });
    }
  }
  return open.reduce((sum, { counted }) => sum + counted, 0);
}

/** What is wrong with a pattern that asks for too many repetitions, to follow its name; undefined for any other. */
export function excessIn(source: string): string | undefined {
  const repetitions = repetitionsIn(source);
  if (repetitions <= MAX_REPETITIONS) return undefined;
  return `asks for ${repetitions} counted repetitions, more than ${MAX_REPETITIONS}`;
}

const kept = new Kept<Pattern>({ most: MAX_KEPT, mostChars: MAX_KEPT_CHARS });

/** The same, kept for the next time. @throws TeleportError `BadParameter` */
export function patternOf(source: string, options: PatternOptions = {}): Pattern {
  const key = `${options.ignoreCase ? 'i' : ''}${options.dotAll ? 's' : ''}:${source}`;
  return kept.get(key, () => new Pattern(source, options));
}

export function isPattern(source: string): boolean {
  try {
    return patternOf(source) !== undefined;
  } catch {
    return false;
  }
}
