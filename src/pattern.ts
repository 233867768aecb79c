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
