/**
 * The first thing that runs in every process of ours, before anything else is read: a Node that is too old is refused in
 * one sentence, and no signal opens Node's debugger. Node 12 must be able to read this file and what it imports: no module
 * of Node's is read before the version is known, and `test/tools/build.mjs` writes them in old syntax.
 */
import { commandRuns } from './code-cache.js';

/**
 * The oldest Node that the programs run on, as `engines` of package.json says. Before 20.5 `Symbol.dispose` is missing;
 * before 20.10 a TLS connection inside another stream can end the process (nodejs/node#48519; 20.9.0 was seen to).
 */
export const OLDEST_NODE = [20, 10] as const;

/** When to look whether a debugger was opened before our listeners were there; ms after the look before. Our own. */
const LOOK_AGAIN_MS = [50, 200, 750, 4000];

/**
 * Run a program.
 *
 * @param name  as people type it
 * @param load  reads the program; its `main` must handle its own errors
 */
export function start(name: string, load: () => Promise<{ main?(report: typeof commandRuns): unknown }>): void {
  keepDebuggerShut();
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    refuse(
      `${name} needs Node ${OLDEST_NODE.join('.')} or newer, and ${process.execPath} is Node ${process.versions.node}. Install a newer Node from https://nodejs.org, or put one that you have first in PATH.`,
    );
    return;
  }
  keepMemoryOutOfCores();
  load().then(
    (program) => program.main?.(commandRuns),
    (error) =>
      refuse(
        `${name} cannot be loaded: ${error instanceof Error ? error.message.split('\n')[0] : error}. Install teleshift again: npm install -g teleshift-VERSION.tgz`,
      ),
  );
}

/** In plain text: what knows about colours is not read yet. */
function refuse(text: string): void {
  process.stderr.on('error', () => {}); // a reader that is gone
  process.stderr.write(`ERROR: ${text}\n\n`);
  process.exitCode = 1;
}

/**
 * Left alone, Node answers SIGUSR1 by listening for a debugger on 127.0.0.1:9229, where every user of the machine may run
 * code as this process. A listener takes the signal away from it. As in Teleport's programs, the user signals then do
 * nothing, unless a command listens as well.
 */
function keepDebuggerShut(): void {
  process.on('SIGUSR1', () => {});
  process.on('SIGUSR2', () => {});
  const flags = `${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS || ''}`;
  if (/(^|\s)--inspect(-brk|-wait)?(=|\s|$)/.test(flags)) return; // asked for
  // A signal may have come before this line, and what it began takes some turns of the event loop.
  lookAgain(LOOK_AGAIN_MS);
}

/** One after the other, so that a process which is held up for seconds looks as often, and as long after its last pause. */
function lookAgain([ms, ...later]: readonly number[]): void {
  if (ms === undefined) return;
  setTimeout(() => {
    closeDebugger();
    lookAgain(later);
  }, ms).unref();
}

/**
 * A process that crashes where core files are written would leave its keys in one. Linux writes only what this filter names, here
 * and in the programs that we start. Source: core(5).
 */
function keepMemoryOutOfCores(): void {
  if (process.platform !== 'linux') return;
  try {
    (require('node:fs') as typeof import('node:fs')).writeFileSync('/proc/self/coredump_filter', '0');
  } catch {} // a system without it
}

function closeDebugger(): void {
  import('node:inspector').then(
    (inspector) => inspector.url() && inspector.close(),
    () => {}, // a Node without an inspector
  );
}
