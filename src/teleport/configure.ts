/**
 * `teleport configure`: print or write a first configuration of Auth, Proxy and Database Service, or check one. What it prints,
 * `teleport start` accepts. Source: cli.md 7.3.
 */

import { existsSync } from 'node:fs';
import { access, constants, readdir } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { paletteOf } from '../cli/color.js';
import type { Env } from '../cli/env.js';
import { print, printLine, yamlText } from '../cli/output.js';
import { refuseSecrets } from '../cli/refuse-secrets.js';
import { checkMatchers } from '../cloud/matchers.js';
import { TeleportError } from '../errors.js';
import { DEFAULT_CONFIG_FILE } from '../resources/default-paths.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import { parseLabelSpec } from '../resources/labels.js';
import { checkServed } from '../resources/served.js';
import { parseConfigText } from '../resources/teleport-yaml.js';
import { checkDatabase } from '../resources/validate-database.js';
import { shellWord } from '../shell-word.js';
import { readAcmeFiles } from './acme.js';
import { readConfigFile, teleportConfig } from './config.js';
import type { AuthConfig } from './config-auth.js';
import { readKeypair } from './host-files.js';
import { checkLogOutput } from './log-output.js';
import { outputPath, writeNewFile } from './output-file.js';
import { sampleConfig } from './sample-config.js';

export interface ConfigureArgs {
  output: string;
  clusterName?: string | undefined;
  acme: boolean;
  acmeEmail?: string | undefined;
  publicAddr?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
  dataDir: string;
  roles: string[];
  token?: string | undefined;
  joinMethod: 'token' | 'iam';
  authServer?: string | undefined;
  proxy?: string | undefined;
  nodeName?: string | undefined;
  nodeLabels?: string | undefined;
  version: string;
  test?: string | undefined;
}

/** Seven lines, as many as Teleport's own. */
const HEADER = `#
# First configuration of a Teleport host, made by "teleport configure".
#
# Before the first start:
#  1. set cluster_name and public_addr to the names that people will use,
#     and give the Proxy a certificate for them (https_keypairs).
#
`;

export async function run(env: Env, args: ConfigureArgs): Promise<number | undefined> {
  if (args.test !== undefined && args.output !== 'stdout')
    throw new TeleportError('BadParameter', 'only --output or --test can be set, not both');
  if (args.test !== undefined) return test(env, args.test);
  const { token: _, test: __, ...open } = args;
  refuseSecrets(open);
  const path = outputPath(args.output, DEFAULT_CONFIG_FILE);
  const config = sampleConfig({
    nodename: args.nodeName || hostname(),
    dataDir: args.dataDir,
    roles: args.roles,
    version: args.version,
    clusterName: args.clusterName,
    acme: args.acme,
    acmeEmail: args.acmeEmail,
    publicAddr: args.publicAddr,
    keypair: keypair(env, args),
    token: args.token,
    joinMethod: args.joinMethod,
    authServer: args.authServer,
    proxy: args.proxy,
    nodeLabels: args.nodeLabels ? parseLabelSpec(args.nodeLabels) : undefined,
  });
  const text = await yamlText(config, { sort: false });
  parseConfigText(text, path ?? 'the new configuration');
  const paint = await paletteOf(env, 'stderr');
  if (await isFilled(args.dataDir)) {
    env.stderr.write(
      `${paint.warning('WARNING:')} The data directory ${args.dataDir} is not empty and may hold another cluster's state.\n`,
    );
  }
  if (path === undefined) {
    print(env, `${HEADER}${text}\n`);
    return undefined;
  }
  await writeNewFile(path, text, 0o600);
  await explain(env, path, args.dataDir);
  return undefined;
}

/** Whatever `teleport start` would refuse before it writes or dials. */
async function test(env: Env, path: string): Promise<number> {
  try {
    await check(resolve(env.cwd, path));
  } catch (error) {
    env.stderr.write(`FAIL ${path}\n`);
    throw error;
  }
  env.stderr.write(`OK ${path}\n`);
  return 0;
}

async function check(path: string): Promise<void> {
  const { file, raw } = readConfigFile(path);
  const config = teleportConfig({}, file, raw);
  checkLogOutput(config.log.output);
  if (config.auth) await checkAuth(config.auth, config.dataDir);
  checkMatchers(config.db?.aws ?? []);
  for (const database of (config.db?.databases ?? []).map(databaseWithDefaults)) {
    checkDatabase(database);
    checkServed(database);
  }
  for (const pair of config.proxy?.keypairs ?? []) await readKeypair(pair);
  if (config.proxy?.acme) await readAcmeFiles(config.proxy.acme);
}

/** Its tokens, and the key of the audit log where the file names one. */
async function checkAuth({ staticTokens, auditSigningKey: keyFile }: AuthConfig, dataDir: string): Promise<void> {
  const { parseStaticToken } = await import('../auth/tokens.js');
  for (const token of staticTokens) parseStaticToken(token);
  const { auditLogIn } = await import('../auth/data-dir.js');
  const { readAuditKey } = await import('../auth/audit-key.js');
  if (keyFile) await readAuditKey({ keyFile, logFolder: auditLogIn(dataDir) });
}

function keypair(env: Env, { certFile, keyFile }: ConfigureArgs): { keyFile: string; certFile: string } | undefined {
  if (!certFile && !keyFile) return undefined;
  if (!certFile || !keyFile) throw new TeleportError('BadParameter', 'please provide both --key-file and --cert-file');
  const pair = { keyFile: resolve(env.cwd, keyFile), certFile: resolve(env.cwd, certFile) };
  for (const file of Object.values(pair)) {
    if (!existsSync(file)) throw new TeleportError('NotFound', `open ${file}: no such file or directory`);
  }
  return pair;
}

async function explain(env: Env, path: string, dataDir: string): Promise<void> {
  const isClosed = !(await canWrite(dataDir));
  printLine(env);
  printLine(env, `A Teleport configuration file has been created at "${path}".`);
  printLine(env, 'To start Teleport with this configuration file, run:');
  printLine(env);
  const word = shellWord(path);
  // Teleport's quotation marks, where nothing in the path has a meaning between them.
  printLine(env, `${isClosed ? 'sudo ' : ''}teleport start --config=${word === path ? `"${path}"` : word}`);
  printLine(env);
  if (isClosed) {
    printLine(env, `"sudo" is there because ${userInfo().username} may not write to ${dataDir}.`);
    printLine(env, 'To run without it, give that folder to this user, or choose another with --data-dir.');
    printLine(env);
  }
  printLine(env, 'Happy Teleporting!');
}

/** The folder, or the nearest one above that exists. */
async function canWrite(folder: string): Promise<boolean> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (!existsSync(at) && dirname(at) !== at) continue;
    return await access(at, constants.W_OK).then(
      () => true,
      () => false,
    );
  }
}

async function isFilled(folder: string): Promise<boolean> {
  return await readdir(folder).then(
    (names) => names.length > 0,
    () => false,
  );
}
