/**
 * `teleport install systemd`: a unit that runs `teleport start`. A reload goes to the main process, which systemd knows;
 * Teleport's own unit looks for a process that holds a lock on the pid file, and ours takes none. Source: cli.md 7.7.
 */
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Env } from '../../cli/env.js';
import { print } from '../../cli/output.js';
import { refuseSecrets } from '../../cli/refuse-secrets.js';
import { DEFAULT_CONFIG_FILE } from '../../resources/default-paths.js';
import { outputPath, writeNewFile } from '../output-file.js';

export interface InstallSystemdArgs {
  envFile: string;
  pidFile: string;
  fdLimit: number;
  teleportPath?: string | undefined;
  output: string;
}

const UNIT_FILE = '/lib/systemd/system/teleport.service';

export async function run(env: Env, args: InstallSystemdArgs): Promise<void> {
  refuseSecrets({ ...args });
  const text = unit({ ...args, teleportPath: args.teleportPath || runningProgram() });
  const path = outputPath(args.output, UNIT_FILE);
  if (path === undefined) print(env, `\n${text}`);
  else await writeNewFile(path, text, 0o644);
}

/** The text of the unit. */
export function unit(args: Omit<InstallSystemdArgs, 'output'> & { teleportPath: string }): string {
  const { teleportPath } = args;
  const pidFile = withoutSpecifiers(args.pidFile);
  return `[Unit]
Description=Teleport Service
After=network.target

[Service]
Type=simple
Restart=always
RestartSec=5
EnvironmentFile=-${withoutSpecifiers(args.envFile)}
ExecStart=${teleportPath} start --config ${DEFAULT_CONFIG_FILE} ${asWord(`--pid-file=${args.pidFile}`)}
# Reads the web certificate and opens the log again; connections go on
ExecReload=/bin/kill -HUP $MAINPID
PIDFile=${pidFile}
LimitNOFILE=${args.fdLimit}

[Install]
WantedBy=multi-user.target
`;
}

/** Where a unit's `#!/usr/bin/env node` looks: systemd's own PATH. Source: systemd.exec(5). */
const UNIT_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function runningProgram(): string {
  const script = process.argv[1];
  return script === undefined ? '/usr/local/bin/teleport' : startWords(realPath(script), process.execPath);
}

/** A script as a unit starts it: by itself, or by its Node where a unit would not find that one. */
export function startWords(script: string, node: string): string {
  const words = UNIT_PATH.includes(dirname(node)) ? [script] : [node, script];
  return words.map(asWord).join(' ');
}

/** One word of a command line of a unit. Source: systemd.service(5), "Command lines". */
function asWord(text: string): string {
  const word = withoutSpecifiers(text).replace(/\$/g, '$$$$').replace(/[\\"]/g, '\\$&');
  return /[\s'"\\;]/.test(word) ? `"${word}"` : word;
}

/** `%` begins a specifier in every setting. */
const withoutSpecifiers = (text: string) => text.replace(/%/g, '%%');

function realPath(path: string): string {
  try {
    return realpathSync(resolve(path));
  } catch {
    return resolve(path);
  }
}
