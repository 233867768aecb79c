/**
 * What a command may know about the world around it: streams, terminal facts, environment, home, clock, signals.
 * Commands take all of it from an `Env`, so a test can give another one; `processEnv` makes the real one.
 */

import { homedir } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { abortForMany } from '../abort.js';
import { type Logger, silent } from '../log.js';
import { isTerminal, type OutputLost, openStdStream } from './std-streams.js';

/** Standard input; the two extra members exist on a terminal only. */
export type Stdin = Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };

export interface Env {
  stdin: Stdin;
  stdout: Writable;
  stderr: Writable;
  isTty: { stdin: boolean; stdout: boolean; stderr: boolean };
  /** Width of the terminal that a stream is; undefined where it is none, or does not say. */
  columns: Readonly<Record<'stdout' | 'stderr', number | undefined>>;
  vars: Record<string, string | undefined>;
  /** The person's home folder, absolute. */
  home: string;
  cwd: string;
  platform: NodeJS.Platform;
  now(): Date;
  /** Aborted by the first SIGINT, SIGTERM, SIGHUP or SIGQUIT; its reason is a `Signalled`. */
  signal: AbortSignal;
  /** While held, the signal calls `listener` and stops nothing, SIGHUP included: a service reads its files again. */
  onSignal(name: ServiceSignal, listener: () => void): Disposable;
  /** While held, SIGINT is swallowed: Ctrl-C belongs to a child program on the same terminal. */
  holdSignals(): Disposable;
  /** Says nothing unless `--debug`. */
  log: Logger;
  /** Told the path of the row that runs, `db connect <db>`: `bin/code-cache.ts` keeps the code that it uses. */
  commandRuns?(path: string): void;
}

/** What an administrator sends to a service that goes on. Other commands end at SIGHUP and ignore the user signals. */
export type ServiceSignal = 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2';

/** Why `env.signal` was aborted. */
export class Signalled extends Error {
  override readonly name = 'AbortError';
  readonly signalName: NodeJS.Signals;

  constructor(signalName: NodeJS.Signals) {
    super(`stopped by ${signalName}`);
    this.signalName = signalName;
  }
}

/** An `Env` of the real process. */
export interface ProcessEnv extends Env {
  /** Resolves when everything that was written has gone out, or is lost. */
  flush(): Promise<void>;
  /** The first output that could not be written, of standard output before that of standard error. */
  lost(): OutputLost | undefined;
}

/** Those that ask a program to end. Ctrl-\ is SIGQUIT. */
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** A second signal that comes sooner belongs to the first. Our own limit. */
const PATIENCE_MS = 300;

/**
 * The real thing. Listens for signals from now on: the first aborts `signal`, a second one ends the process at once when a
 * person may have sent it. A terminal that closes sends SIGHUP twice, a service manager SIGTERM and SIGHUP together. An
 * output that takes no more aborts `signal` too, but not where only remarks on standard error are lost.
 * Streams are opened when they are first asked for.
 */
export function processEnv(proc: NodeJS.Process): ProcessEnv {
  const stop = abortForMany();
  const signals = new Signals(proc, stop);
  const outputs = new Outputs(proc, stop);
  // A terminal that goes away breaks it after its end, when whoever has read from it listens no more.
  let stdin: Stdin | undefined;
  return {
    get stdin() {
      stdin ??= (proc.stdin as Stdin).on('error', () => {});
      return stdin;
    },
    get stdout() {
      return outputs.open('stdout');
    },
    get stderr() {
      return outputs.open('stderr');
    },
    flush: () => outputs.flush(),
    lost: () => outputs.lost(),
    isTty: {
      get stdin() {
        return proc.stdin.isTTY === true;
      },
      get stdout() {
        return isTerminal(1);
      },
      get stderr() {
        return isTerminal(2);
      },
    },
    columns: {
      get stdout() {
        return isTerminal(1) ? proc.stdout.columns || undefined : undefined;
      },
      get stderr() {
        return isTerminal(2) ? proc.stderr.columns || undefined : undefined;
      },
    },
    vars: proc.env,
    get home() {
      return proc.env.HOME || homedir();
    },
    cwd: proc.cwd(),
    platform: proc.platform,
    now: () => new Date(),
    signal: stop.signal,
    onSignal: (name, listener) => signals.on(name, listener),
    holdSignals: () => signals.hold(),
    log: silent,
  };
}

/** The signals of this process, from now on. */
class Signals {
  readonly #proc: NodeJS.Process;
  readonly #stop: AbortController;
  readonly #hangups = new Set<() => void>();
  #held = 0;
  #stoppedAt = 0;

  constructor(proc: NodeJS.Process, stop: AbortController) {
    this.#proc = proc;
    this.#stop = stop;
    for (const name of SIGNALS) {
      const onSignal = () => {
        if (this.#endsNow(name)) {
          proc.removeListener(name, onSignal);
          proc.kill(proc.pid, name);
        }
      };
      proc.on(name, onSignal);
    }
  }

  on(name: NodeJS.Signals, listener: () => void): Disposable {
    if (name === 'SIGHUP') {
      this.#hangups.add(listener);
      return { [Symbol.dispose]: () => void this.#hangups.delete(listener) };
    }
    this.#proc.on(name, listener);
    return { [Symbol.dispose]: () => void this.#proc.removeListener(name, listener) };
  }

  hold(): Disposable {
    this.#held += 1;
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (isOpen) this.#held -= 1;
        isOpen = false;
      },
    };
  }

  /** Whether the process is to end by this signal, at once. */
  #endsNow(name: NodeJS.Signals): boolean {
    const { signal } = this.#stop;
    if (name === 'SIGINT' && this.#held > 0 && !signal.aborted) return false;
    if (name === 'SIGHUP' && this.#hangups.size > 0) {
      for (const listener of this.#hangups) listener();
      return false;
    }
    if (signal.aborted) return name !== 'SIGHUP' && performance.now() - this.#stoppedAt > PATIENCE_MS;
    this.#stoppedAt = performance.now();
    this.#stop.abort(new Signalled(name));
    return false;
  }
}

/** Standard output and standard error, each opened when it is first asked for. */
class Outputs {
  readonly #proc: NodeJS.Process;
  readonly #stop: AbortController;
  readonly #streams: { stdout?: Writable; stderr?: Writable } = {};
  readonly #lost: { stdout?: OutputLost; stderr?: OutputLost } = {};

  constructor(proc: NodeJS.Process, stop: AbortController) {
    this.#proc = proc;
    this.#stop = stop;
  }

  open(name: 'stdout' | 'stderr'): Writable {
    this.#streams[name] ??= openStdStream(this.#proc, name, (loss) => {
      this.#lost[name] ??= loss;
      if (name === 'stdout' || loss.signalName) this.#stop.abort(loss);
    });
    return this.#streams[name];
  }

  async flush(): Promise<void> {
    const open = Object.values(this.#streams);
    await Promise.all(open.map((stream) => new Promise<void>((done) => stream.write('', () => done()))));
  }

  lost(): OutputLost | undefined {
    return this.#lost.stdout ?? this.#lost.stderr;
  }
}
