/** `teleport install systemd`: a unit that runs `teleport start`. Source: cli.md 7.7. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Env } from '../cli/env.js';
import { print } from '../cli/output.js';
import { DEFAULT_CONFIG_FILE } from './config.js';
import { outputPath, writeNewFile } from './output-file.js';

export interface InstallSystemdArgs {
  envFile: string;
  pidFile: string;
  fdLimit: number;
  teleportPath?: string | undefined;
  output: string;
}

const UNIT_FILE = '/lib/systemd/system/teleport.service';

export async function run(env: Env, args: InstallSystemdArgs): Promise<void> {
  const text = unit({ ...args, teleportPath: args.teleportPath || runningProgram() });
  const path = outputPath(args.output, UNIT_FILE);
  if (path === undefined) print(env, `\n${text}`);
  else await writeNewFile(path, text, 0o644);
}

/** The text of the unit. */
export function unit(args: Omit<InstallSystemdArgs, 'output'> & { teleportPath: string }): string {
  const { teleportPath, pidFile } = args;
  return `[Unit]
Description=Teleport Service
After=network.target

[Service]
Type=simple
Restart=always
RestartSec=5
EnvironmentFile=-${args.envFile}
ExecStart=${teleportPath} start --config ${DEFAULT_CONFIG_FILE} --pid-file=${pidFile}
# systemd before version 239 needs an absolute path
ExecReload=/bin/sh -c "exec pkill -HUP -L -F ${pidFile}"
PIDFile=${pidFile}
LimitNOFILE=${args.fdLimit}

[Install]
WantedBy=multi-user.target
`;
}

/** The script that runs now; its first line names Node. */
function runningProgram(): string {
  const script = process.argv[1];
  if (script === undefined) return '/usr/local/bin/teleport';
  try {
    return realpathSync(resolve(script));
  } catch {
    return resolve(script);
  }
}
