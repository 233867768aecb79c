/**
 * `tsh db exec`: one statement on several databases, each through its own tunnel. psql runs it where there is one;
 * elsewhere we speak PostgreSQL ourselves and print as psql does. Rows stand on standard output and nothing else; what is
 * under way, on standard error. Status 0 only when every database answered (RFD 3). Source: cli.md 4.11.
 */

import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Access, type AccessibleDatabase, type Connector, clientUser, type Route } from '../../access/access.js';
import { isEndpoint } from '../../access/endpoint.js';
import { openAccess } from '../../access/open.js';
import { type Env, Signalled } from '../../cli/env.js';
import { READER_GONE } from '../../cli/exit.js';
import { labelsText, print, tableFor } from '../../cli/output.js';
import { printable, visible } from '../../cli/printable.js';
import { confirm } from '../../cli/prompt.js';
import { fileError, isTeleportError, messageOf, nodeCodeOf, TeleportError } from '../../errors.js';
import { privateAt, startLocalProxy } from '../../localproxy/listener.js';
import { alignedText, NUMBER_TYPES } from '../../localproxy/psql/aligned.js';
import { psqlArguments } from '../../localproxy/psql/command.js';
import { psqlEnvironment } from '../../localproxy/psql/environment.js';
import { errorText } from '../../localproxy/psql/error-text.js';
import { findPsql, runPsql } from '../../localproxy/psql/run.js';
import { cancel } from '../../pg/frontend.js';
import { isServerError, type ServerError } from '../../pg/server-error.js';
import { connectSession, type StatementResult } from '../../pg/session.js';
import { fileName } from '../../profile/paths.js';
import { DISCOVERED_NAME_LABEL } from '../../resources/labels.js';
import { unlessAborted } from '../../wait.js';
import { type RouteArgs, routeRequest } from './args.js';
import { NOT_LISTED, parseLabels } from './choose.js';
import { searchWords } from './ls.js';
import { inParallel } from './parallel.js';

export interface DbExecArgs extends RouteArgs {
  command: string;
  dbs?: string[] | undefined;
  search?: string | undefined;
  parallel: number;
  outputDir?: string | undefined;
  confirm: boolean;
}

const MAX_PARALLEL = 10;

interface Outcome {
  route: { service_name: string; protocol: string; username: string; database: string; roles?: string[] };
  outputFile?: string;
  error?: string;
  exitCode: number;
}

export async function run(env: Env, args: DbExecArgs): Promise<number> {
  await checkArgs(args);
  await using access = await openAccess(env, args);
  const databases = await find(env, access, args);
  if (!args.dbs?.length) await ask(env, args, databases);
  if (args.outputDir) await makeFolder(args.outputDir);

  const outcomes: Outcome[] = new Array(databases.length);
  await inParallel(databases, args.parallel, async (database, i) => {
    if (!env.signal.aborted) outcomes[i] = await executeOn(env, access, database, args);
  });
  env.signal.throwIfAborted();
  await summarize(env, args, outcomes);
  return outcomes.every(({ error }) => error === undefined) ? 0 : 1;
}

/** A line for the person who waits. */
function say(env: Env, text = ''): void {
  env.stderr.write(`${visible(text)}\n`);
}

async function checkArgs(args: DbExecArgs): Promise<void> {
  const wrong = (text: string) => new TeleportError('BadParameter', text);
  const hasSearch = Boolean(args.labels || args.search);
  if (!args.dbs?.length && !hasSearch) throw wrong('please provide one of --dbs, --labels, --search flags');
  if (args.dbs?.length && hasSearch) throw wrong('--labels/--search flags cannot be used with --dbs flag');
  if (!(args.parallel >= 1 && args.parallel <= MAX_PARALLEL)) {
    throw wrong(`--parallel must be between 1 and ${MAX_PARALLEL}`);
  }
  if (args.parallel > 1 && !args.outputDir)
    throw wrong('--output-dir must be set when executing concurrent connections');
  if (args.outputDir && (await exists(args.outputDir))) throw wrong(`directory "${args.outputDir}" already exists`);
}

async function find(env: Env, access: Access, args: DbExecArgs): Promise<AccessibleDatabase[]> {
  if (args.dbs?.length) {
    say(env, 'Fetching databases by name ...');
    const found = await access.databases({}, { names: args.dbs });
    return args.dbs.map((name) => {
      const exact = found.find(({ database, askedAs }) => (askedAs ?? database.metadata.name) === name);
      const discovered = found.filter(({ database }) => database.metadata.labels?.[DISCOVERED_NAME_LABEL] === name);
      if (exact) return exact;
      if (discovered.length === 1) return discovered[0]!;
      if (discovered.length > 1) {
        const names = discovered.map(({ database }) => database.metadata.name).join(', ');
        throw new TeleportError('BadParameter', `"${name}" matches multiple databases: ${names}`, {
          hint: 'Use one of these full names.',
        });
      }
      throw new TeleportError('NotFound', `database "${name}" not found`, { hint: NOT_LISTED });
    });
  }
  say(env, 'Searching databases ...');
  const found = await access.databases({ labels: parseLabels(args.labels), search: searchWords(args.search) });
  if (found.length === 0) throw new TeleportError('NotFound', 'no databases found');
  return found;
}

async function ask(env: Env, args: DbExecArgs, databases: AccessibleDatabase[]): Promise<void> {
  say(env, `Found ${databases.length} database(s):`);
  say(env);
  const rows = databases.map(({ database: { metadata, spec } }) => [
    metadata.name,
    metadata.description ?? '',
    spec.protocol,
    labelsText(metadata.labels, { verbose: false }),
  ]);
  const titles = ['Name', 'Description', 'Protocol', 'Labels'];
  say(env, (await tableFor(env, { titles, rows, cut: ['Labels', 'Description', 'Protocol'] }, 'stderr')).text);
  const question = `Do you want to proceed with ${databases.length} database(s)?`;
  if (!args.confirm) {
    say(env, `Skipping confirmation for "${question}" due to the --no-confirm flag.`);
  } else if (!(await answerTo(env, question))) {
    throw new TeleportError('BadParameter', 'Operation canceled by user request.');
  }
}

async function answerTo(env: Env, question: string): Promise<boolean> {
  try {
    return await confirm(env, question);
  } catch (error) {
    if (!isTeleportError(error) || env.isTty.stdin) throw error;
    throw new TeleportError('BadParameter', error.message, {
      cause: error.cause,
      hint: 'Where nobody can answer, run it without the question: --no-confirm',
    });
  }
}

async function executeOn(env: Env, access: Access, found: AccessibleDatabase, args: DbExecArgs): Promise<Outcome> {
  const name = found.database.metadata.name;
  const outputFile = args.outputDir ? join(args.outputDir, `${outputNameOf(name)}.output`) : undefined;
  const outcome: Outcome = {
    route: {
      service_name: name,
      protocol: found.database.spec.protocol,
      username: args.dbUser ?? '',
      database: args.dbName ?? '',
      ...(args.dbRoles?.length ? { roles: args.dbRoles } : {}),
    },
    exitCode: 0,
    ...(outputFile ? { outputFile: resolve(env.cwd, outputFile) } : {}),
  };
  if (outputFile) say(env, `Executing command for "${name}". Output will be saved at "${outputFile}".`);
  else {
    say(env);
    say(env, `Executing command for "${name}".`);
  }
  try {
    const route = await access.route(found, routeRequest(args));
    outcome.route.username = route.dbUser;
    outcome.route.database = route.dbName;
    await using connector = await access.connector(route, { inMemory: true, isExec: true, warm: true });
    outcome.exitCode = await execute(env, connector, route, args.command, outputFile);
    // Nobody reads any more, so nothing is asked of the databases that are left.
    if (outcome.exitCode === READER_GONE && !outputFile) throw new Signalled('SIGPIPE');
    if (outcome.exitCode !== 0) throw new TeleportError('ConnectionProblem', `exit status ${outcome.exitCode}`);
  } catch (error) {
    if (error instanceof Signalled && !env.signal.aborted) throw error;
    outcome.error = messageOf(error);
    outcome.exitCode ||= 1;
    if (!env.signal.aborted)
      env.stderr.write(`Failed to execute command for "${visible(name)}": ${printable(outcome.error)}\n`);
  }
  return outcome;
}

/** Names of databases stay as they are; a pasted endpoint has slashes and colons. */
function outputNameOf(name: string): string {
  return fileName(isEndpoint(name) ? name.replace(/[^\w.-]+/g, '_') : name);
}

/** @returns psql's exit status, or what psql would end with */
async function execute(
  env: Env,
  connector: Connector,
  route: Route,
  sql: string,
  outputFile?: string,
): Promise<number> {
  const psql = await findPsql(env.vars.PATH);
  const text =
    psql === undefined
      ? await ownText(env, connector, route, sql)
      : await psqlText(env, psql, connector, route, sql, outputFile);
  if (outputFile) {
    await writeNew(outputFile, text.stdout + printable(text.stderr));
  } else {
    print(env, text.stdout);
    env.stderr.write(printable(text.stderr));
  }
  return text.status;
}

async function psqlText(env: Env, psql: string, connector: Connector, route: Route, sql: string, outputFile?: string) {
  await using local = await startLocalProxy({ at: privateAt(env), serve: (client) => connector.serve(client) });
  const target = { host: local.host, port: local.port, dbUser: clientUser(route, connector), dbName: route.dbName };
  const isOwn = outputFile === undefined && !isMemory(env);
  const own = { stdout: env.isTty.stdout ? 'visible' : 'inherit', stderr: 'printable' } as const;
  const text = await runPsql({
    file: psql,
    // A script's statement means the same for everybody: a ~/.psqlrc that turns autocommit off would undo it, with status 0.
    args: [...psqlArguments(target), '-X', '-c', sql],
    env: psqlEnvironment(env.vars, env.platform),
    signal: env.signal,
    stdio: { stdin: 'ignore', ...(isOwn ? own : { stdout: 'pipe', stderr: 'pipe' }) },
  });
  // It was ended and could not cancel its statement any more.
  if (env.signal.aborted) await connector.cancelAll();
  return text;
}

/** True when standard output is not the process's own, as in a test. */
function isMemory(env: Env): boolean {
  return (env.stdout as { fd?: number }).fd !== 1;
}

async function ownText(env: Env, connector: Connector, route: Route, sql: string) {
  const session = await connectSession(await connector.open(), {
    user: clientUser(route, connector),
    database: route.dbName,
  });
  let [stdout, stderr] = ['', ''];
  const onResult = ({ fields, rows, commandTag }: StatementResult) => {
    const columns = fields.map(({ name, typeOid }) => ({ name, isNumber: NUMBER_TYPES.has(typeOid) }));
    stdout += alignedText({ columns, rows, commandTag });
  };
  const onNotice = (notice: ServerError) => {
    stderr += serverText(notice, sql);
  };
  try {
    await unlessAborted(env.signal, session.query(sql, { onResult, onNotice }));
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { backendKey } = session;
    // A wish, as each cancel: what comes of it changes nothing here.
    if (env.signal.aborted && backendKey) await cancel(await connector.open(), backendKey).catch(() => {});
    if (!isServerError(error)) throw error;
    return { status: 1, stdout, stderr: stderr + serverText(error, sql) };
  } finally {
    session.close();
  }
}

function serverText({ severity, message, detail, hint, fields }: ServerError, sql: string): string {
  const position = Number(fields.find(([code]) => code === 'P')?.[1] ?? 0);
  return errorText({ severity, message, detail, hint, position }, sql);
}

async function summarize(env: Env, args: DbExecArgs, outcomes: Outcome[]): Promise<void> {
  const success = outcomes.filter(({ error }) => error === undefined).length;
  if (outcomes.length > 1 || args.outputDir) {
    say(env);
    say(env, `Summary: ${success} of ${outcomes.length} succeeded.`);
  }
  if (!args.outputDir) return;
  const file = join(args.outputDir, 'summary.json');
  const summary = {
    databases: outcomes.map(({ route, outputFile, error, exitCode }) => ({
      database: route,
      command: args.command,
      ...(outputFile ? { output_file: outputFile } : {}),
      success: error === undefined,
      ...(error === undefined ? {} : { error }),
      exit_code: exitCode,
    })),
    success,
    failure: outcomes.length - success,
    total: outcomes.length,
  };
  await writeNew(file, JSON.stringify(summary, null, 2));
  say(env, `Summary is saved at "${file}".`);
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    throw fileError('write', path, error);
  });
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
    throw fileError('write', path, error);
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return false;
    throw fileError('read', path, error);
  }
}
