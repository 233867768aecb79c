/**
 * Where the demo plays: a temporary folder, the built programs as child processes with an environment of their own, and
 * what is printed: each command as a person would type it, below it what the program wrote. Whatever was started is
 * ended by `close`, also on Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { hasColor } from '../../src/cli/color.js';

export type Program = 'tsh' | 'tctl' | 'teleport';
export type Vars = Record<string, string | undefined>;

export interface Result {
  status: number;
  stdout: string;
  /** Standard output and error as they came. */
  all: string;
}

export interface RunOptions {
  /** What else may happen than status 0: the output must fit. */
  refusal?: RegExp;
}

export interface Running {
  /** Everything that it has written. */
  text(): string;
  stop(): Promise<void>;
}

export interface Stage {
  /** Working folder of every command. */
  dir: string;
  /** Home folder of the person. */
  home: string;
  /** Environment of `tsh` and `tctl`; the demo adds to it. */
  vars: Vars;
  say(text: string): void;
  /** Print a command line that something else carries out. */
  show(...words: string[]): void;
  /** Write a file and print it as `cat` does. */
  file(name: string, text: string): Promise<void>;
  /** Run a program to its end. @throws Error when its status is not 0, or `refusal` does not fit */
  run(program: Program, args: string[], options?: RunOptions): Promise<Result>;
  /** Start a program that goes on, and wait until its output fits. */
  start(program: Program, args: string[], ready: RegExp, vars?: Vars): Promise<Running>;
  /** Measure a part of the story. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  steps: readonly { name: string; ms: number }[];
  /** Run this at the end; last in, first out. */
  onClose(work: () => Promise<unknown>): void;
  close(): Promise<void>;
}

const READY_MS = 30_000;
const COMMAND_MS = 60_000;
const TERM_MS = 10_000;
/** `--dist=FOLDER`: other programs than those of this checkout, such as the installed ones. */
const DIST = resolve(process.argv.find((arg) => arg.startsWith('--dist='))?.slice('--dist='.length) ?? 'dist');

export async function openStage(write: (text: string) => void): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'teleshift-demo-'));
  const home = join(dir, 'home');
  const bin = join(dir, 'bin');
  await mkdir(home, { mode: 0o700 });
  await mkdir(bin);
  for (const program of ['tsh', 'tctl', 'teleport'] as const) {
    const line = `exec ${quote(process.execPath)} ${quote(join(DIST, `${program}.js`))} "$@"`;
    await writeFile(join(bin, program), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
  const undo: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true, maxRetries: 3 })];
  const steps: { name: string; ms: number }[] = [];
  const PATH = [bin, process.env.PATH].filter(Boolean).join(delimiter);
  const children = new Set<ChildProcess>();
  let closing: Promise<void> | undefined;

  const launch = (program: Program, args: string[], vars: Vars) => {
    const child = spawn(process.execPath, [join(DIST, `${program}.js`), ...args], {
      cwd: dir,
      env: vars,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('close', () => children.delete(child));
    return child;
  };
  const stage: Stage = {
    dir,
    home,
    vars: { PATH, HOME: home, USER: 'alice', LANG: process.env.LANG, TERM: process.env.TERM },
    steps,
    say: (text) => write(`${text}\n`),
    show: (...words) => write(`${bold(`$ ${words.map(quote).join(' ')}`)}\n`),
    async file(name, text) {
      await writeFile(join(dir, name), text);
      stage.show('cat', name);
      write(`${text}\n`);
    },
    async run(program, args, { refusal } = {}) {
      stage.show(program, ...args);
      const child = launch(program, args, stage.vars);
      const result = await ended(child, write);
      if (!result.all.endsWith('\n\n')) write('\n');
      const isExpected = refusal ? refusal.test(result.all) : result.status === 0;
      if (!isExpected) throw new Error(`${program} ${args.join(' ')}: unexpected result, status ${result.status}`);
      return result;
    },
    async start(program, args, ready, vars = stage.vars) {
      stage.show(program, ...args);
      const child = launch(program, args, vars);
      const stop = () => endChild(child);
      undo.push(stop);
      const text = await untilReady(child, ready);
      return { text, stop };
    },
    async step(name, work) {
      const start = performance.now();
      const result = await work();
      steps.push({ name, ms: performance.now() - start });
      return result;
    },
    onClose: (work) => void undo.push(work),
    close() {
      closing ??= (async () => {
        for (const child of children) child.kill('SIGTERM');
        for (const one of undo.reverse()) await one().catch(() => {});
      })();
      return closing;
    },
  };
  return stage;
}

/** A word as a shell needs it. */
export function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  // `--flag=value with blanks` reads better with the quotes around the value.
  const [, flag = '', value = ''] = /^(--[\w-]+=)?([\s\S]*)$/.exec(word) ?? [];
  const mark = /["$`\\!]/.test(value) ? "'" : '"';
  return `${flag}${mark}${mark === "'" ? value.replaceAll("'", `'\\''`) : value}${mark}`;
}

function ended(child: ChildProcess, write: (text: string) => void): Promise<Result> {
  let stdout = '';
  let all = '';
  const take = (text: string) => {
    all += text;
    write(text);
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    take(text);
  });
  child.stderr?.setEncoding('utf8').on('data', take);
  const late = setTimeout(() => child.kill('SIGKILL'), COMMAND_MS);
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(late);
      done({ status: code ?? 1, stdout, all });
    });
  });
}

function untilReady(child: ChildProcess, ready: RegExp): Promise<() => string> {
  let text = '';
  return new Promise((done, reject) => {
    const fail = (why: string) => reject(new Error(`${why}:\n${text}`));
    const late = setTimeout(() => fail(`not ready after ${READY_MS / 1000} s`), READY_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!ready.test(text)) return;
        clearTimeout(late);
        done(() => text);
      });
    }
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(late);
      fail(`ended with status ${code}`);
    });
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = new Promise((done) => child.once('close', done));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), TERM_MS);
  await closed;
  clearTimeout(late);
}

function bold(text: string): string {
  return hasColor({ vars: process.env, isTty: { stdin: false, stderr: false, stdout: process.stdout.isTTY } }, 'stdout')
    ? `\u001b[1m${text}\u001b[22m`
    : text;
}
