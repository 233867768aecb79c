/**
 * A command on a pseudo-terminal, by a program of the machine: `script` of util-linux, or Python. A machine may have
 * neither: then the tests that need it are skipped, with the reason.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface Terminal {
  /** Keys; `\u0003` is Ctrl-C. */
  type(keys: string): void;
  /** Waits until what was shown since the last call contains this. @throws Error with what was shown */
  until(text: string | RegExp): Promise<void>;
  /** Everything that was shown so far. */
  all(): string;
  /** Status of the command. */
  ended: Promise<number>;
  kill(): void;
}

export type OpenTerminal = (
  command: readonly string[],
  options: { cwd: string; vars: Record<string, string | undefined> },
) => Terminal;

const PATIENCE_MS = 100_000;
const PYTHON = 'import os,pty,sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

/** Undefined where no program makes terminals. */
export function findTerminal(): OpenTerminal | undefined {
  const output = (file: string, ...args: string[]) => spawnSync(file, args, { encoding: 'utf8' }).stdout ?? '';
  const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  if (output('script', '--version').includes('util-linux')) {
    return (command, options) =>
      terminalOf(spawn('script', ['-qefc', `exec ${command.map(quote).join(' ')}`, '/dev/null'], { ...of(options) }));
  }
  if (output('python3', '-c', 'import os, pty; print(os.waitstatus_to_exitcode(0))').trim() === '0') {
    return (command, options) => terminalOf(spawn('python3', ['-c', PYTHON, ...command], { ...of(options) }));
  }
  return undefined;
}

const of = ({ cwd, vars }: { cwd: string; vars: Record<string, string | undefined> }) => ({ cwd, env: vars });

function terminalOf(child: ChildProcess): Terminal {
  let all = '';
  let shown = '';
  let look = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      all += text;
      shown += text;
      look();
    });
  }
  child.stdin?.on('error', () => {});
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  return {
    ended,
    all: () => all,
    type: (keys) => void child.stdin?.write(keys),
    until: (text) =>
      new Promise((resolve, reject) => {
        const fail = () => reject(new Error(`${text} was not shown, but:\n${shown}`));
        const late = setTimeout(fail, PATIENCE_MS);
        look = () => {
          const at = typeof text === 'string' ? shown.indexOf(text) : shown.search(text);
          if (at < 0) return;
          clearTimeout(late);
          look = () => {};
          shown = shown.slice(at + 1);
          resolve();
        };
        look();
      }),
    kill: () => void child.kill('SIGKILL'),
  };
}
