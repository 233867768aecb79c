/**
 * keytar in a child process: begun when it is first asked, ended when nobody has asked for a while, when it is told to, or
 * with this process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import type { KeytarModule, OpenKeytar } from './keychain.js';
import type { Answer, Question } from './keychain-child.js';

/** A tunnel that stays open for days must not keep a second process for it. */
const IDLE_MS = 1_000;

/** All that the child needs: the bus, the display of a prompt, the person, where libraries are. Tokens and passwords are not passed on. */
const PASSED_ON =
  /^(DBUS_.*|XDG_.*|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|HOME|USER|LOGNAME|PATH|LANG|LC_.*|LD_LIBRARY_PATH|TMPDIR|USERPROFILE|APPDATA|LOCALAPPDATA|SYSTEMROOT|WINDIR|TEMP|TMP)$/i;

export function keytarInChild(vars: Record<string, string | undefined>): OpenKeytar {
  const env = Object.fromEntries(Object.entries(vars).filter(([name]) => PASSED_ON.test(name)));
  let current: Child | undefined;
  const ask = async <T>(call: Question['call'], ...args: string[]): Promise<T> => {
    current ??= startChild(env, (ended) => {
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

interface Child {
  ask(call: Question['call'], args: string[]): Promise<unknown>;
  end(): void;
}

function startChild(env: Record<string, string | undefined>, onEnd: (child: Child) => void): Child {
  // The name stands in package.json, so that it is found from the sources and from dist alike.
  const child: ChildProcess = fork(createRequire(import.meta.url).resolve('#keychain-child'), {
    env,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // Ctrl-C at the terminal is for `tsh`, which ends the child.
    detached: process.platform !== 'win32',
  });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let count = 0;
  const end = () => {
    clearTimeout(idle);
    process.removeListener('exit', end);
    // Not by a word: a thread that waits for a keychain keeps a process from ending.
    child.kill('SIGKILL');
    onEnd(self);
  };
  const rest = () => {
    if (waiting.size > 0) return;
    child.unref();
    child.channel?.unref();
    idle.refresh();
  };
  const idle = setTimeout(() => waiting.size === 0 && end(), IDLE_MS);
  idle.unref();
  const fail = (why: string) => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
    end();
  };
  child.on('message', ({ id, value, error }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(error));
    rest();
  });
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => fail(`its helper process ended with ${signal ?? code}`));
  process.once('exit', end);

  const self: Child = {
    end,
    ask: async (call, args) =>
      await new Promise((resolve, reject) => {
        const id = count++;
        waiting.set(id, { resolve, reject });
        child.ref();
        child.channel?.ref();
        child.send({ id, call, args } satisfies Question, (error) => {
          if (error && waiting.delete(id)) reject(error);
        });
      }),
  };
  return self;
}
