/**
 * Colour: which stream gets it, and what each colour means. Nobody else writes a colour code. The only door to chalk,
 * which is read where a colour is shown and nowhere else.
 */
import { yesOrNo } from '../yes-no.js';
import type { Env } from './env.js';

/** What a coloured text is. */
export type Meaning = 'error' | 'warning' | 'command';

/** Texts as they are shown on one stream. */
export type Palette = Readonly<Record<Meaning, (text: string) => string>>;

const asItIs = (text: string) => text;

/** For files, pipes, and people who want no colour. */
export const PLAIN: Palette = { error: asItIs, warning: asItIs, command: asItIs };

/**
 * Whether this stream gets colour. The variables, the first that speaks decides: `NO_COLOR` (no), `FORCE_COLOR` (a word
 * for no: no, else yes), `CLICOLOR_FORCE` (yes, unless `0`), `CLICOLOR=0` (no), `TERM=dumb` (no). Empty ones say nothing.
 * Then a terminal gets colour and everything else does not.
 *
 * Source: no-color.org, force-color.org, bixense.com/clicolors; NO_COLOR before FORCE_COLOR as in Python 3.13.
 */
export function hasColor(env: Pick<Env, 'vars' | 'isTty'>, stream: 'stdout' | 'stderr'): boolean {
  const { NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, CLICOLOR } = env.vars;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return yesOrNo(FORCE_COLOR) !== false;
  if (CLICOLOR_FORCE && CLICOLOR_FORCE !== '0') return true;
  if (CLICOLOR === '0' || isDumb(env)) return false;
  return env.isTty[stream];
}

/** A terminal that obeys no control codes at all: neither colours nor erasing. */
export function isDumb(env: Pick<Env, 'vars'>): boolean {
  return env.vars.TERM === 'dumb';
}

/** The colours of a stream, or `PLAIN`. */
export async function paletteOf(env: Env, stream: 'stdout' | 'stderr'): Promise<Palette> {
  if (!hasColor(env, stream)) return PLAIN;
  const { Chalk } = await import('chalk');
  // Sixteen colours everywhere, whatever chalk would find out about the terminal: whether there is colour is decided here.
  const { red, yellow } = new Chalk({ level: 1 });
  return { error: red, warning: yellow, command: yellow };
}
