/** keytar in a child process, which is begun with the first call and ends with this process, or when it is told to. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { KeytarModule, OpenKeytar } from './keychain.js';
import type { Answer, Question } from './keychain-child.js';

/** Built beside this file. */
const CHILD = new URL('./keychain-child.js', import.meta.url);

/** All that the child needs: the bus, the display of a prompt, the person. Tokens and passwords are not passed on. */
const PASSED_ON =
  /^(DBUS_.*|XDG_.*|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|HOME|USER|LOGNAME|PATH|LANG|LC_.*|TMPDIR|USERPROFILE|APPDATA|LOCALAPPDATA|SYSTEMROOT|WINDIR|TEMP|TMP)$/i;

export function keytarInChild(vars: Record<string, string | undefined>): OpenKeytar {
  const env = Object.fromEntries(Object.entries(vars).filter(([name]) => PASSED_ON.test(name)));
  const child = fork(fileURLToPath(CHILD), {
    env,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // Ctrl-C at the terminal is for `tsh`, which ends the child.
    detached: process.platform !== 'win32',
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let count = 0;
  const rest = () => {
    if (waiting.size > 0) return;
    child.unref();
    child.channel?.unref();
  };
  const fail = (why: string) => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  };
  child.on('message', ({ id, value, error }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(value as never);
    else asked?.reject(new Error(error));
    rest();
  });
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => fail(`its helper process ended with ${signal ?? code}`));
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  rest();

  const ask = async <T>(call: Question['call'], ...args: string[]): Promise<T> =>
    await new Promise<T>((resolve, reject) => {
      const id = count++;
      waiting.set(id, { resolve, reject });
      child.ref();
      child.channel?.ref();
      child.send({ id, call, args } satisfies Question, (error) => {
        if (error && waiting.delete(id)) reject(error);
      });
    });
  const keytar: KeytarModule = {
    getPassword: async (...args) => await ask('getPassword', ...args),
    setPassword: async (...args) => await ask('setPassword', ...args),
    deletePassword: async (...args) => await ask('deletePassword', ...args),
    findCredentials: async (...args) => await ask('findCredentials', ...args),
  };
  return { keytar, abandon: kill };
}
