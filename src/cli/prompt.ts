/**
 * Questions to the person at the terminal: a secret that is not shown, a line, yes or no. Questions go to standard
 * error, so that standard output stays a result. What was pasted beyond a line is kept for the next question.
 */

import { StringDecoder } from 'node:string_decoder';
import { TeleportError } from '../errors.js';
import { yesOrNo } from '../yes-no.js';
import { type Env, Signalled } from './env.js';

/** Longest answer, in characters. Our own limit; a password or token is far shorter. */
const MOST_CHARACTERS = 64 * 1024;

export interface PromptOptions {
  /** What the error says when standard input is not a terminal. Default: `cannot ask a question without a terminal`. */
  withoutTerminal?: string;
}

/**
 * Ask for a secret; what is typed is not shown. The question is printed with `:` and a newline, as `tsh` does.
 *
 * @throws TeleportError `BadParameter` when standard input is not a terminal or ends; Signalled on Ctrl-C and Ctrl-\
 */
export async function askSecret(env: Env, question: string, options: PromptOptions = {}): Promise<string> {
  needTerminal(env, options.withoutTerminal);
  env.stderr.write(`${question}:\n`);
  return await readAnswer(env, { raw: true });
}

/**
 * Ask for a line; on a terminal what is typed is shown. The question is printed as it is.
 *
 * @param options.withoutTerminal  when given, refuse to read from a pipe or file
 * @throws TeleportError `BadParameter` when the input ends
 */
export async function askLine(env: Env, question: string, options: PromptOptions = {}): Promise<string> {
  if (options.withoutTerminal !== undefined) needTerminal(env, options.withoutTerminal);
  env.stderr.write(question);
  return await readAnswer(env, { raw: false });
}

/** On a terminal: wait for Enter, so that what was printed is read. What is typed is not shown. */
export async function acknowledge(env: Env): Promise<void> {
  if (!env.isTty.stdin) return;
  env.stderr.write('Press [ENTER] to continue.\n');
  await readAnswer(env, { raw: true });
}

/** Ask `question [y/N]: `; anything but a word for yes is no. Reads a pipe too, so that `yes | tsh …` works. */
export async function confirm(env: Env, question: string, options: PromptOptions = {}): Promise<boolean> {
  return yesOrNo(await askLine(env, `${question} [y/N]: `, options)) ?? false;
}

function needTerminal(env: Env, message = 'cannot ask a question without a terminal'): void {
  if (env.isTty.stdin) return;
  throw new TeleportError('BadParameter', message, {
    cause: new TeleportError('BadParameter', 'underlying reader is not a terminal'),
  });
}

async function readAnswer(env: Env, { raw }: { raw: boolean }): Promise<string> {
  env.signal.throwIfAborted();
  const { stdin } = env;
  const decoder = new StringDecoder('utf8');
  const line: Line = { characters: [], raw };
  return await new Promise<string>((resolve, reject) => {
    const settle = (act: () => void) => {
      stdin.off('data', onData).off('end', onEnd).off('error', onError).off('close', onEnd);
      env.signal.removeEventListener('abort', onAbort);
      if (raw) stdin.setRawMode?.(false);
      stdin.pause();
      act();
    };
    const onData = (chunk: Buffer | string) => {
      const text = typeof chunk === 'string' ? chunk : decoder.write(chunk);
      const { outcome, used } = take(line, text);
      if (outcome === undefined) return;
      const rest = text.slice(used);
      settle(() => {
        if (rest !== '') stdin.unshift(Buffer.from(rest));
        if (outcome === 'interrupted') reject(new Signalled('SIGINT'));
        else if (outcome === 'quit') reject(new Signalled('SIGQUIT'));
        else if (outcome === 'ended') reject(ended());
        else if (outcome === 'too long') reject(new TeleportError('LimitExceeded', 'the answer is too long'));
        else resolve(line.characters.join(''));
      });
    };
    const onEnd = () => {
      // A last line without newline is an answer too.
      const text = line.characters.join('');
      settle(() => (text === '' ? reject(ended()) : resolve(text)));
    };
    const onError = (error: Error) => settle(() => reject(error));
    const onAbort = () => settle(() => reject(env.signal.reason));
    if (stdin.readableEnded || stdin.destroyed) return reject(ended());
    env.signal.addEventListener('abort', onAbort, { once: true });
    if (raw) stdin.setRawMode?.(true);
    stdin.on('data', onData).on('end', onEnd).on('error', onError).on('close', onEnd);
    stdin.resume();
  });
}

interface Line {
  characters: string[];
  raw: boolean;
  /** Inside an escape sequence of an arrow or function key. */
  escape?: 'start' | 'body' | undefined;
}

type Outcome = 'done' | 'interrupted' | 'quit' | 'ended' | 'too long';

/** Take characters up to the end of the line; in raw mode the editing keys are ours to understand. */
function take(line: Line, text: string): { outcome?: Outcome; used: number } {
  let used = 0;
  for (const char of text) {
    used += char.length;
    if (line.escape !== undefined) {
      if (line.escape === 'start') line.escape = char === '[' || char === 'O' ? 'body' : undefined;
      else if (/[@-~]/.test(char)) line.escape = undefined;
    } else if (char === '\n' || char === '\r') {
      if (!line.raw && char === '\r') continue;
      // A pasted line may end in CR LF: the LF belongs to it.
      if (char === '\r' && text[used] === '\n') used += 1;
      return { outcome: 'done', used };
    } else if (!line.raw) {
      line.characters.push(char);
    } else if (char === '\u0003') {
      return { outcome: 'interrupted', used };
    } else if (char === '\u001c') {
      return { outcome: 'quit', used };
    } else if (char === '\u0004') {
      if (line.characters.length === 0) return { outcome: 'ended', used };
    } else if (char === '\u007f' || char === '\b') {
      line.characters.pop();
    } else if (char === '\u0015') {
      line.characters.length = 0;
    } else if (char === '\u001b') {
      line.escape = 'start';
    } else if (char >= ' ') {
      line.characters.push(char);
    }
    if (line.characters.length > MOST_CHARACTERS) return { outcome: 'too long', used };
  }
  return { used };
}

function ended(): TeleportError {
  return new TeleportError('BadParameter', 'failed reading prompt response', {
    cause: new TeleportError('BadParameter', 'EOF'),
  });
}
