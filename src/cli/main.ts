/** The frame of a program: the words that were typed, the real process, and its end. */
import { nodeUtil } from '../node-modules.js';
import { paletteOf } from './color.js';
import { type Env, processEnv } from './env.js';
import { errorText, statusOfLost } from './exit.js';
import { withRedactedStderr } from './redacted.js';
import { isTerminal } from './std-streams.js';

/**
 * Run a program and end the process with its status once its output is written; timers and sockets that were left open
 * do not hold it. Output that is lost (`tsh db ls > /dev/full`) is a failure, whatever the program itself thinks.
 *
 * @param run          gets the words after the program's name
 * @param commandRuns  as `Env` has it
 */
export async function runMain(
  proc: NodeJS.Process,
  run: (argv: readonly string[], env: Env) => Promise<number>,
  commandRuns?: (path: string) => void,
): Promise<void> {
  const words = proc.argv.slice(2);
  const env = withRedactedStderr(processEnv(proc), words);
  if (commandRuns) env.commandRuns = commandRuns;
  // What a library says by itself, such as the SDK of a URL that it cannot read, goes the same way.
  console.error = console.warn = (...said) => void env.stderr.write(`${nodeUtil().format(...said)}\n`);
  const terminals = [0, 1, 2].filter(isTerminal);
  let status = await run(words, env);
  await env.flush();
  const lost = env.lost();
  if (lost) {
    status = statusOfLost(lost) || 1;
    if (lost.signalName === undefined) {
      env.stderr.write(errorText(lost.asError(), { debug: false, palette: await paletteOf(env, 'stderr') }));
      await env.flush();
    }
  }
  // Node 20 aborts with a native stack where it cannot give a terminal its settings back, so it must not try.
  if (lost?.signalName === 'SIGHUP' || !terminals.every(isTerminal)) {
    proc.removeAllListeners('SIGHUP');
    proc.kill(proc.pid, 'SIGHUP');
  }
  proc.exit(status);
}
