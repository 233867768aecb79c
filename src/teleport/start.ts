/**
 * `teleport start`: Auth, Proxy and Database Service in one process or any of them. A first SIGTERM, SIGQUIT or SIGINT drains and stops, and what is still open then hears
 * why it ends; a second one ends at once. SIGHUP reads the web certificate again, SIGUSR1 writes the state of the process to
 * the log.
 *
 * Source: cli.md 7.1.
 */
import type { Env } from '../cli/env.js';
import { messageOf } from '../errors.js';
import { createLogger, type Logger } from '../log.js';
import { readConfigFile, type TeleportConfig, teleportConfig } from './config.js';
import { processState } from './diagnostics.js';
import { removePid, writePid } from './host-files.js';
import { type LogOutput, openLogOutput } from './log-output.js';
import { type RunningTeleport, startTeleport } from './running.js';
import type { StartFlags } from './start-flags.js';

export async function run(env: Env, flags: StartFlags): Promise<number> {
  const { file, raw } = readConfigFile(flags.config);
  const config = teleportConfig(flags, file, raw);
  const output = openLogOutput(config.log.output, env);
  try {
    const { level, format } = config.log;
    return await serve(env, config, output, createLogger({ component: 'PROC', level, format, write: output.write }));
  } finally {
    output.close();
  }
}

async function serve(env: Env, config: TeleportConfig, output: LogOutput, log: Logger): Promise<number> {
  let running: RunningTeleport | undefined;
  let reloadAsked = false;
  // From before the start until after the end: a reload that comes early must not stop the program.
  using _hangup = env.onSignal('SIGHUP', () => {
    try {
      output.reopen();
    } catch (error) {
      log.warn('Cannot open the log again, keeping the old file.', { error: messageOf(error) });
    }
    log.info('Reading certificates again.');
    reloadAsked = true;
    void running?.reload();
  });
  using _state = env.onSignal('SIGUSR1', () => {
    const sessions = running?.sessions() ?? 0;
    log.info('Got signal SIGUSR1, logging diagnostic info.', { sessions, ...processState() });
  });
  using _upgrade = env.onSignal('SIGUSR2', () => {
    log.warn('Got signal SIGUSR2, and this program does not replace itself while it runs. Restart it instead.');
  });
  await using started = await startTeleport(config, { log, now: env.now, vars: env.vars });
  running = started;
  if (reloadAsked) void started.reload();
  if (config.pidFile) await writePid(config.pidFile, process.pid, log);
  await new Promise<void>((resolve) => {
    if (env.signal.aborted) resolve();
    else env.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  log.info('Stopping.', { sessions: started.sessions() });
  if (config.pidFile) await removePid(config.pidFile, log);
  return 0;
}
