/** A built program as a process of its own, with a home folder and nothing else of ours in its environment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { until } from './until.js';

export interface ProgramProcess extends AsyncDisposable {
  child: ChildProcess;
  pid: number;
  /** Everything that it has written, both streams. */
  text(): string;
  untilSaid(text: string): Promise<void>;
  /** Its exit status, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
}

export interface ProgramOptions {
  /** Default: `dist` of this checkout. */
  dist?: string;
  home: string;
  vars?: Record<string, string>;
  /** Of Node, before the program. */
  nodeArgs?: string[];
}

export type BuiltProgram = 'tsh' | 'tctl' | 'teleport';

/** Its standard input stays open. */
export function startProgram(program: BuiltProgram, args: string[], options: ProgramOptions): ProgramProcess {
  const { dist = resolve('dist'), home, vars = {}, nodeArgs = [] } = options;
  const child = spawn(process.execPath, [...nodeArgs, resolve(dist, `${program}.js`), ...args], {
    env: {
      PATH: process.env.PATH,
      NODE_REDIRECT_WARNINGS: process.env.NODE_REDIRECT_WARNINGS, // a warning fails the run: test/tools/jest.mjs
      HOME: home,
      TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'tsh.yaml'),
      ...vars,
    },
    stdio: 'pipe',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once('close', (code, signal) => done(signal ?? code ?? 1));
  });
  return {
    child,
    pid: child.pid!,
    text: () => text,
    ended,
    untilSaid: (words) =>
      until(`${program} says "${words}"`, async () => {
        if (text.includes(words)) return true;
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${program} ended: ${text}`);
        return undefined;
      }).then(
        () => {},
        (error: Error) => {
          throw new Error(`${error.message}\n${text}`);
        },
      ),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** TCP ports that a process listens on. Linux: its sockets among those of the machine that listen. */
export function listeningPorts(pid: number): number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        return undefined; // closed in the meantime
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((column) => column[3] === '0A' && sockets.has(column[9]))
      .map((column) => Number.parseInt(column[1]!.split(':')[1]!, 16)),
  );
}

/** True when the process has a handler of its own for the signal. Linux. */
export function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
  return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}
