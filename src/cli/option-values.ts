/**
 * Words of the command line or the environment turned into typed values, with kingpin's and Go's error texts. Pure apart
 * from the existence check of `file`.
 */
import { existsSync } from 'node:fs';
import { goDurationMs, invalidDuration } from '../duration.js';
import { didYouMean } from '../errors.js';
import { goBoolean } from '../yes-no.js';
import type { OptionSpec } from './command.js';

/**
 * One option's value from its text.
 *
 * @param texts  every text given for it, in order; only lists and texts use more than the last
 * @returns boolean, number (int; duration in milliseconds), string or string[]
 * @throws Error with the text for a person when a text cannot be meant
 */
export function parseValue(option: OptionSpec, texts: readonly string[]): unknown {
  const text = texts.at(-1) ?? '';
  switch (option.kind ?? 'string') {
    case 'string':
      return text;
    case 'boolean': {
      const value = goBoolean(text);
      if (value === undefined) throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
      return value;
    }
    case 'int':
      if (!/^[-+]?\d{1,15}$/.test(text))
        throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    case 'enum':
      checkEnum(option.values ?? [], text);
      return text;
    case 'list':
      return texts.flatMap((t) => t.split(',').map((part) => part.trim())).filter((part) => part !== '');
    case 'texts':
      return texts.filter((one) => one !== '');
    case 'duration': {
      const ms = goDurationMs(text);
      if (ms === undefined) throw invalidDuration(text);
      return ms;
    }
    case 'file':
      if (!existsSync(text)) throw new Error(`path '${text}' does not exist`);
      return text;
  }
}

/** @throws Error `enum value must be one of …` */
export function checkEnum(values: readonly string[], text: string): void {
  if (!values.includes(text))
    throw new Error(`enum value must be one of ${values.join(',')}, got '${text}'${didYouMean(text, values)}`);
}

/** The value of an option that nobody gave. */
export function defaultValue(option: OptionSpec): unknown {
  if (option.default !== undefined) return option.default;
  if (option.kind === 'boolean') return false;
  return option.kind === 'list' || option.kind === 'texts' ? [] : undefined;
}
