/** An `Env` in memory: what a command writes can be read back, what a person types can be given. */
import { PassThrough, Writable } from 'node:stream';
import { type Env, Signalled, type Stdin } from '../../src/cli/env.js';
import { type Logger, silent } from '../../src/log.js';

export interface MemoryEnvOptions {
  vars?: Record<string, string | undefined>;
  home?: string;
  cwd?: string;
  /** Which streams are terminals. Default: none. */
  tty?: Partial<Env['isTty']>;
  /** Width of the terminal that both output streams are, or of each. Default: none. */
  columns?: number | Env['columns'];
  now?: () => Date;
  platform?: NodeJS.Platform;
  log?: Logger;
  /** All of standard input; without it the input stays open for `type`. */
  input?: string;
}

export interface MemoryEnv extends Env {
  /** Everything written to standard output so far. */
  out(): string;
  /** Everything written to standard error so far. */
  err(): string;
  /** Forget what was written. */
  clear(): void;
  /** Give keys to standard input. */
  type(text: string): void;
  /** End standard input. */
  endInput(): void;
  /** As if the process got this signal. */
  interrupt(name?: NodeJS.Signals): void;
  /** Raw mode of the input, as last set. */
  readonly rawMode: boolean;
  /** Resolves when standard error contains `text`. */
  untilErr(text: string): Promise<void>;
  /** Gives all of standard output when it matches `pattern`. */
  untilOut(pattern: RegExp): Promise<string>;
}

export function memoryEnv(options: MemoryEnvOptions = {}): MemoryEnv {
  const stdout = collector();
  const stderr = collector();
  const input = new PassThrough() as unknown as PassThrough & Stdin;
  const stop = new AbortController();
  let raw = false;
  let held = 0;
  const listeners = new Set<{ name: NodeJS.Signals; listener: () => void }>();
  if (options.tty?.stdin) {
    input.isTTY = true;
    input.setRawMode = (on) => {
      raw = on;
    };
  }
  if (options.input !== undefined) input.end(options.input);
  const { columns, home = '/home/alice' } = options;
  return {
    stdin: input,
    stdout: stdout.stream,
    stderr: stderr.stream,
    isTty: { stdin: false, stdout: false, stderr: false, ...options.tty },
    columns: typeof columns === 'object' ? columns : { stdout: columns, stderr: columns },
    vars: options.vars ?? {},
    home,
    cwd: options.cwd ?? home,
    platform: options.platform ?? 'linux',
    now: options.now ?? (() => new Date()),
    signal: stop.signal,
    onSignal(name, listener) {
      const one = { name, listener };
      listeners.add(one);
      return { [Symbol.dispose]: () => void listeners.delete(one) };
    },
    holdSignals() {
      held += 1;
      return {
        [Symbol.dispose]() {
          held -= 1;
        },
      };
    },
    log: options.log ?? silent,
    out: stdout.text,
    err: stderr.text,
    clear() {
      stdout.clear();
      stderr.clear();
    },
    type: (text) => void input.write(text),
    endInput: () => void input.end(),
    interrupt(name = 'SIGINT') {
      if (name === 'SIGINT' && held > 0) return;
      const heard = [...listeners].filter((one) => one.name === name);
      for (const { listener } of heard) listener();
      if (heard.length === 0 && !name.startsWith('SIGUSR')) stop.abort(new Signalled(name));
    },
    get rawMode() {
      return raw;
    },
    untilErr: (text) => stderr.until((written) => written.includes(text)).then(() => {}),
    untilOut: (pattern) => stdout.until((written) => pattern.test(written)),
  };
}

function collector() {
  let written = '';
  const waiting: { fits: (written: string) => boolean; done: (written: string) => void }[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: Buffer | string, _encoding, done) {
      written += chunk.toString();
      for (const one of waiting.filter(({ fits }) => fits(written))) {
        waiting.splice(waiting.indexOf(one), 1);
        one.done(written);
      }
      done();
    },
  });
  return {
    stream,
    text: () => written,
    clear() {
      written = '';
    },
    until: (fits: (written: string) => boolean) =>
      new Promise<string>((done) => {
        if (fits(written)) done(written);
        else waiting.push({ fits, done });
      }),
  };
}
