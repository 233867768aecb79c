/**
 * keytar in a child process: begun when it is first asked, ended when nobody has asked for a while, when it is asked to, or
 * with this process.
 */
import { createRequire } from 'node:module';
import { desktopVariables, type StartedChild, startChild, type Variables } from '../child-process.js';
import { messageOf } from '../errors.js';
import type { KeytarAnswer, KeytarModule, OpenKeytar, Question } from './keytar.js';

/** A tunnel that stays open for days must not keep a second process for it. */
const IDLE_MS = 1_000;

export function keytarInChild(vars: Variables): OpenKeytar {
  let current: KeytarProcess | undefined;
  const ask = async <T>(call: Question['call'], ...args: string[]): Promise<T> => {
    current ??= new KeytarProcess(vars, (ended) => {
      if (current === ended) current = undefined;
    });
    return (await current.ask(call, args)) as T;
  };
  const keytar: KeytarModule = {
    getPassword: async (...args) => await ask('getPassword', ...args),
    setPassword: async (...args) => await ask('setPassword', ...args),
    deletePassword: async (...args) => await ask('deletePassword', ...args),
    findCredentials: async (...args) => await ask('findCredentials', ...args),
  };
  return { keytar, abandon: () => current?.end() };
}

/** Those that run. One listener for all: each keychain of a process has a child of its own. */
const running = new Set<KeytarProcess>();
const endAll = () => {
  for (const one of running) one.end();
};

class KeytarProcess {
  readonly #onEnd: (self: KeytarProcess) => void;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #idle: NodeJS.Timeout;
  /** When it runs, or could not be started. */
  readonly #started: Promise<void>;
  #child: StartedChild['child'] | undefined;
  #count = 0;

  constructor(vars: Variables, onEnd: (self: KeytarProcess) => void) {
    this.#onEnd = onEnd;
    this.#idle = setTimeout(() => this.#waiting.size === 0 && this.end(), IDLE_MS).unref();
    if (running.size === 0) process.once('exit', endAll);
    running.add(this);
    this.#started = this.#start(vars).catch((error: unknown) => this.#fail(messageOf(error)));
  }

  async ask(call: Question['call'], args: string[]): Promise<unknown> {
    const id = this.#count++;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    void this.#started.then(() => this.#send({ id, call, args }));
    return await answer;
  }

  end(): void {
    clearTimeout(this.#idle);
    running.delete(this);
    if (running.size === 0) process.removeListener('exit', endAll);
    this.#kill();
    this.#onEnd(this);
  }

  async #start(vars: Variables): Promise<void> {
    // The name stands in package.json, so that it is found from the sources and from dist alike.
    const script = createRequire(import.meta.url).resolve('#keychain-child');
    const { child } = await startChild(process.execPath, [script], {
      env: desktopVariables(vars),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Ctrl-C at the terminal is for `tsh`, which ends the child.
      detached: process.platform !== 'win32',
    });
    this.#child = child;
    child.on('message', (answer) => this.#take(answer as KeytarAnswer));
    child.on('error', (error) => this.#fail(error.message));
    child.on('exit', (code, signal) => this.#fail(`its helper process ended with ${signal ?? code}`));
    // Given up meanwhile.
    if (!running.has(this)) this.#kill();
  }

  #send(question: Question): void {
    this.#child?.ref();
    this.#child?.channel?.ref();
    // A child that cannot be asked is gone, or ends here: why it ended is the answer, not which write met its end first.
    this.#child?.send(question, (error) => error && this.end());
  }

  #take({ id, value, error }: KeytarAnswer): void {
    const asked = this.#settle(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(error));
    if (this.#waiting.size > 0) return;
    this.#child?.unref();
    this.#child?.channel?.unref();
    this.#idle.refresh();
  }

  #settle(id: number) {
    const asked = this.#waiting.get(id);
    this.#waiting.delete(id);
    return asked;
  }

  #fail(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
    this.end();
  }

  /** Not by a word: a thread that waits for a keychain keeps a process from ending. */
  #kill(): void {
    this.#child?.kill('SIGKILL');
  }
}
