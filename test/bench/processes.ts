/** Programs as processes of their own, for what is measured. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export type Vars = Record<string, string>;

export interface Running {
  pid: number;
  /** Everything that it has written. */
  text(): string;
  stop(): Promise<void>;
}

const READY_MS = 30_000;

/** Command line of a built program. */
export function programArgs(program: 'tsh' | 'tctl' | 'teleport', ...args: string[]): string[] {
  return [resolve('dist', `${program}.js`), ...args];
}

/** A program from start to end, its output thrown away. */
export async function ended(file: string, args: string[], vars: Vars): Promise<void> {
  const status = await closed(spawn(file, args, { env: vars, stdio: 'ignore' }));
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}`);
}

/** A program that goes on, once it has said that it is ready. */
export async function start(file: string, args: string[], vars: Vars, ready: RegExp): Promise<Running> {
  const child = spawn(file, args, { env: vars, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const stop = () => stopChild(child);
  try {
    await new Promise<void>((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`not ready in time: ${text}`)), READY_MS);
      const look = (chunk: string) => {
        text += chunk;
        if (!ready.test(text)) return;
        clearTimeout(timer);
        done();
      };
      child.stdout.setEncoding('utf8').on('data', look);
      child.stderr.setEncoding('utf8').on('data', look);
      child.once('exit', () => failed(new Error(`it ended: ${text}`))).once('error', failed);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid!, text: () => text, stop };
}

function closed(child: ChildProcess): Promise<number | null> {
  return new Promise((done, failed) => void child.once('close', done).once('error', failed));
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((done) => child.once('exit', done));
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(timer);
}

/** The first of these programs that PATH has. */
export function onPath(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file));
}
