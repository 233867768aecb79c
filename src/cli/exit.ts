/**
 * Anything thrown, told to a person, and the exit status that goes with it. Nobody else sets one.
 * Spec: Teleport 18's `FatalError`: `ERROR: ` on stderr, red on a terminal, causes indented by tabs, one empty line, status 1.
 */
import { ownCertificateProblem } from '../certificate-problem.js';
import { firstOf, messageOf, systemReason, type TeleportError } from '../errors.js';
import { type Palette, PLAIN, paletteOf } from './color.js';
import { type Env, Signalled } from './env.js';
import { printable } from './printable.js';
import { OutputLost } from './std-streams.js';

/** 128 plus the number that POSIX gives the signal. */
const SIGNAL_STATUS: Record<string, number> = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGPIPE: 141, SIGTERM: 143 };

/** Status of a program whose reader went away: nobody is left who could read anything. */
export const READER_GONE = SIGNAL_STATUS.SIGPIPE!;

/**
 * Print an error on stderr and give the exit status: 1 for every error, 128+n for a signal (nothing is printed then).
 *
 * @param options.debug  print code, causes and stack as well
 */
export async function reportError(thrown: unknown, env: Env, options: { debug?: boolean } = {}): Promise<number> {
  const error = firstOf(thrown);
  const signalled = signalStatus(error, env);
  if (signalled !== undefined) return signalled;
  const palette = await paletteOf(env, 'stderr');
  env.stderr.write(errorText(error, { debug: options.debug ?? false, palette }));
  return 1;
}

/** The text of `reportError`, final empty line included. @param options.palette  default: no colours */
export function errorText(error: unknown, { debug, palette = PLAIN }: { debug: boolean; palette?: Palette }): string {
  const said = certificateText(error) ?? lines(error).join('\n');
  const text = `${palette.error('ERROR: ')}${said}\n\n`;
  return debug ? `${debugReport(error)}${text}` : text;
}

/** A reader that goes away (`tsh db ls | head -1`) ends the program in silence, as it ends a Go program. */
export function statusOfLost({ signalName }: OutputLost): number {
  return signalName === undefined ? 1 : SIGNAL_STATUS[signalName]!;
}

/**
 * The exit status of a program that was stopped: of `env.signal`'s reason, or 130 for a prompt that was left with Ctrl-C.
 * Undefined when `error` is an ordinary error.
 */
export function signalStatus(error: unknown, env: Env): number | undefined {
  // Whatever came of it, this was the cause; the end of the program tells it (`main.ts`).
  if (env.signal.reason instanceof OutputLost) return statusOfLost(env.signal.reason);
  const chain = chainOf(error);
  const signalled = chain.find((link): link is Signalled => link instanceof Signalled);
  if (signalled) return SIGNAL_STATUS[signalled.signalName] ?? 1;
  if (!chain.some((link) => (link as { name?: unknown }).name === 'AbortError')) return undefined;
  if (env.signal.aborted && env.signal.reason instanceof Signalled)
    return SIGNAL_STATUS[env.signal.reason.signalName] ?? 1;
  return 130;
}

/** The message, our own causes one tab deeper each, and the last hint found on the way. */
function lines(error: unknown): string[] {
  const said = fileText(error) ?? messageOf(error);
  const out = [printable(said)];
  let hint = hintOf(error);
  let depth = 0;
  let outer = said;
  for (const cause of chainOf(error).slice(1)) {
    hint ??= hintOf(cause);
    // Foreign causes were not written for people; the door they came through has said it already.
    if (!isOurs(cause) || outer.includes(cause.message)) continue;
    depth += 1;
    outer = cause.message;
    out.push(printable(cause.message).replace(/^/gm, '\t'.repeat(depth)));
  }
  if (hint !== undefined) out.push(printable(hint));
  return out;
}

/** What a call for files says of itself in Node's words, in ours; undefined for everything else. */
function fileText(error: unknown): string | undefined {
  const { path, syscall, errno } = (error ?? {}) as { path?: unknown; syscall?: unknown; errno?: unknown };
  if (typeof errno !== 'number' || typeof syscall !== 'string' || typeof path !== 'string') return undefined;
  if (/^(connect|listen|bind|spawn)/.test(syscall)) return undefined;
  return `${syscall} ${path}: ${systemReason(error)}`;
}

/** A refused certificate in words that say what to do. `net` leaves `host` on its errors. */
function certificateText(error: unknown): string | undefined {
  for (const link of chainOf(error)) {
    const problem = ownCertificateProblem(link);
    if (problem === undefined) continue;
    const named = (link as { host?: unknown }).host;
    const host = typeof named === 'string' ? printable(named) : 'the server';
    if (problem === 'name') {
      return `Cannot establish https connection to ${host}:\n${printable(messageOf(link))}\n\nThe certificate was issued for another name. Use the address that it names, or have it issued for this one.`;
    }
    if (problem === 'expired') {
      return `Cannot establish https connection to ${host}:\nits certificate is not valid now. Have it renewed, and check the clock of this machine.`;
    }
    return [
      'WARNING:',
      '',
      `  The certificate of ${host} was signed by an authority that this machine does not know.`,
      '',
      '  If the server is yours and its certificate is self-signed, point SSL_CERT_FILE at the',
      '  certificate of its authority, or SSL_CERT_DIR at a folder of such files. An authority in',
      '  the trust store of this machine needs neither.',
      '  For a test on your own machine only, --insecure skips the check.',
      '',
      '  If you did not expect this, somebody may be between you and the server.',
    ].join('\n');
  }
  return undefined;
}

function debugReport(error: unknown): string {
  const chain = chainOf(error);
  const out = ['', 'ERROR REPORT:', `Original Error: ${describe(chain.at(-1))}`, 'Stack Trace:'];
  for (const link of chain)
    out.push(
      ...String((link as Error)?.stack ?? link)
        .split('\n')
        .map((line) => `\t${printable(line)}`),
    );
  out.push(`User Message: ${lines(error).join('\n')}`, '');
  return out.join('\n');
}

function describe(value: unknown): string {
  const code = (value as { code?: unknown } | undefined)?.code;
  const name = value instanceof Error ? value.name : typeof value;
  return printable(`${name}${typeof code === 'string' ? ` ${code}` : ''}: ${messageOf(value)}`);
}

/** The error and its causes, outermost first; a ring of causes ends after 16. */
function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (
    let link = error;
    link !== undefined && link !== null && chain.length < 16;
    link = (link as { cause?: unknown }).cause
  ) {
    chain.push(link);
  }
  return chain.length > 0 ? chain : [error];
}

function isOurs(value: unknown): value is TeleportError {
  return value instanceof Error && value.name === 'TeleportError';
}

function hintOf(value: unknown): string | undefined {
  return isOurs(value) ? value.hint : undefined;
}
