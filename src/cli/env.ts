/**
 * What a command may know about the world around it: streams, terminal facts, environment, home, clock, signals.
 * Commands take all of it from an `Env`, so a test can give another one; `processEnv` makes the real one.
 */
import { homedir } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { type Logger, silent } from '../log.js';
import { isTerminal, type OutputLost, openStdStream } from './std-streams.js';

/** Standard input; the two extra members exist on a terminal only. */
export type Stdin = Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };

export interface Env {
  stdin: Stdin;
  stdout: Writable;
  stderr: Writable;
  isTty: { stdin: boolean; stdout: boolean; stderr: boolean };
  /** Width for truncated tables: of the terminal when standard input is one, else 80. */
  columns: number;
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
  const stop = new AbortController();
  let held = 0;
  let stoppedAt = 0;
  const hangups = new Set<() => void>();
  for (const name of SIGNALS) {
    const onSignal = () => {
      if (name === 'SIGINT' && held > 0 && !stop.signal.aborted) return;
      if (name === 'SIGHUP' && hangups.size > 0) {
        for (const listener of hangups) listener();
        return;
      }
      if (!stop.signal.aborted) {
        stoppedAt = performance.now();
        stop.abort(new Signalled(name));
      } else if (name !== 'SIGHUP' && performance.now() - stoppedAt > PATIENCE_MS) {
        proc.removeListener(name, onSignal);
        proc.kill(proc.pid, name);
      }
    };
    proc.on(name, onSignal);
  }
  const lost: { stdout?: OutputLost; stderr?: OutputLost } = {};
  const streams: { stdout?: Writable; stderr?: Writable } = {};
  const output = (name: 'stdout' | 'stderr') => {
    streams[name] ??= openStdStream(proc, name, (loss) => {
      lost[name] ??= loss;
      if (name === 'stdout' || loss.signalName) stop.abort(loss);
    });
    return streams[name];
  };
  // A terminal that goes away breaks it after its end, when whoever has read from it listens no more.
  let stdin: Stdin | undefined;
  return {
    get stdin() {
      stdin ??= (proc.stdin as Stdin).on('error', () => {});
      return stdin;
    },
    get stdout() {
      return output('stdout');
    },
    get stderr() {
      return output('stderr');
    },
    async flush() {
      const open = Object.values(streams);
      await Promise.all(open.map((stream) => new Promise<void>((done) => stream.write('', () => done()))));
    },
    lost: () => lost.stdout ?? lost.stderr,
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
    get columns() {
      const width = proc.stdin.isTTY ? (proc.stdout.columns ?? proc.stderr.columns) : undefined;
      return width !== undefined && width > 0 ? width : 80;
    },
    vars: proc.env,
    get home() {
      return proc.env.HOME || homedir();
    },
    cwd: proc.cwd(),
    platform: proc.platform,
    now: () => new Date(),
    signal: stop.signal,
    onSignal(name, listener) {
      if (name === 'SIGHUP') {
        hangups.add(listener);
        return { [Symbol.dispose]: () => void hangups.delete(listener) };
      }
      proc.on(name, listener);
      return { [Symbol.dispose]: () => void proc.removeListener(name, listener) };
    },
    holdSignals() {
      held += 1;
      let open = true;
      return {
        [Symbol.dispose]() {
          if (open) held -= 1;
          open = false;
        },
      };
    },
    log: silent,
  };
}
