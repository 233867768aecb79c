/** `tsh env`: the session as environment variables. */

import { currentSession, personalStore } from '../access/login/session.js';
import type { Env } from '../cli/env.js';
import { printJson, printShellLine, printYaml } from '../cli/output.js';
import { TeleportError } from '../errors.js';
import { quotedWord } from '../shell-word.js';
import type { GlobalArgs } from './flags.js';

export interface EnvArgs extends GlobalArgs {
  format: 'text' | 'json' | 'yaml';
  unset: boolean;
}

const UNSET = ['TELEPORT_PROXY', 'TELEPORT_CLUSTER', 'TELEPORT_KUBE_CLUSTER', 'KUBECONFIG'];

export async function run(env: Env, args: EnvArgs): Promise<void> {
  if (!args.proxy && !args.identity && (await personalStore(env).currentName()) === undefined) {
    throw new TeleportError('NotFound', 'current-profile is not set');
  }
  const { profile, cluster } = await currentSession(env, args);
  if (args.unset && args.format === 'text') {
    for (const name of UNSET) printShellLine(env, `unset ${name}`);
    return;
  }
  const values = { TELEPORT_CLUSTER: cluster, TELEPORT_PROXY: profile.webProxyAddr };
  if (args.format === 'json') printJson(env, values);
  else if (args.format === 'yaml') await printYaml(env, values);
  else {
    printShellLine(env, `export TELEPORT_PROXY=${quotedWord(values.TELEPORT_PROXY)}`);
    printShellLine(env, `export TELEPORT_CLUSTER=${quotedWord(values.TELEPORT_CLUSTER)}`);
  }
}
