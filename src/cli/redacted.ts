/** Standard error of a command that cannot give away what was typed or stands in the environment. */
import type { Writable } from 'node:stream';
import { redactorOf } from '../redact.js';
import type { Env } from './env.js';

/** The words that an environment knows already, so that no text is looked through twice. */
const KNOWN = Symbol('redacted');

/**
 * The same environment, whose standard error hides secrets of the command line. What child programs write themselves and
 * what is written as bytes is theirs.
 *
 * @param words  of the command line
 */
export function withRedactedStderr<E extends Env>(env: E, words: readonly string[]): E {
  const typed = words.join('\0');
  if ((env as { [KNOWN]?: string })[KNOWN] === typed) return env;
  const redact = redactorOf(words, env.vars);
  let stream: Writable | undefined;
  const stderr = () => {
    const real = env.stderr;
    stream ??= new Proxy(real, {
      get(_, name) {
        if (name === 'write') {
          return (chunk: unknown, ...rest: []) =>
            real.write(typeof chunk === 'string' ? redact(chunk) : chunk, ...rest);
        }
        const value: unknown = Reflect.get(real, name, real);
        return typeof value === 'function' ? value.bind(real) : value;
      },
    });
    return stream;
  };
  return Object.create(env, { stderr: { get: stderr, enumerable: true }, [KNOWN]: { value: typed } }) as E;
}
