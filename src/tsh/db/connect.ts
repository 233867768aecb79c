/**
 * `tsh db connect`: psql on a database. The local proxy listens on a Unix socket that only this person can reach and holds
 * the certificate; psql gets a URI and nothing secret. Source: cli.md 4.10.
 */
import { clientUser } from '../../access/access.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { READER_GONE, reportError } from '../../cli/exit.js';
import { TeleportError } from '../../errors.js';
import { privateAt, startLocalProxy } from '../../localproxy/listener.js';
import { psqlArguments } from '../../localproxy/psql/command.js';
import { psqlEnvironment } from '../../localproxy/psql/environment.js';
import { checkPassthrough } from '../../localproxy/psql/passthrough.js';
import { findPsql, psqlMissing, runPsql } from '../../localproxy/psql/run.js';
import { shellWord } from '../../shell-word.js';
import { type RouteArgs, routeRequest } from './args.js';
import { chooseDatabase } from './choose.js';

export interface DbConnectArgs extends RouteArgs {
  tunnel: boolean;
  /** What stands behind `--`. */
  passthrough?: string[];
}

/** The status of a program that a signal ended is this and the signal's number. */
const SIGNALLED = 128;

/** psql's `-c` runs a statement, ours names a cluster; a statement has what no name has. */
function checkCluster({ cluster = '', db = 'DATABASE' }: DbConnectArgs): void {
  if (!/[\s;()\\]/.test(cluster)) return;
  throw new TeleportError('BadParameter', `${JSON.stringify(cluster)} is not the name of a cluster`, {
    hint: `-c is --cluster here. psql's own flags stand behind "--": tsh db connect ${shellWord(db)} -- -c ${shellWord(cluster)}`,
  });
}

export async function run(env: Env, args: DbConnectArgs): Promise<number> {
  checkPassthrough(args.passthrough ?? []);
  checkCluster(args);
  const psql = await findPsql(env.vars.PATH);
  if (psql === undefined) throw psqlMissing();
  await using access = await openAccess(env, args);
  const database = await chooseDatabase(env, access, args);
  const route = await access.route(database, routeRequest(args));
  let isRefused = false;
  const onRefused = () => {
    isRefused = true;
  };
  await using connector = await access.connector(route, { inMemory: args.tunnel, warm: true, onRefused });
  await using local = await startLocalProxy({ at: privateAt(env), serve: (client) => connector.serve(client) });
  // Ctrl-C cancels the statement and must not end the proxy under it.
  using _interrupt = env.holdSignals();
  const target = {
    host: local.host,
    port: local.port,
    dbUser: clientUser(route, connector),
    dbName: route.dbName,
  };
  const { status } = await runPsql({
    file: psql,
    args: psqlArguments(target, args.passthrough),
    env: psqlEnvironment(env.vars, env.platform),
    signal: env.signal,
  });
  // A signal ended it, ours or one from the terminal: it could not cancel its statement any more.
  if (status > SIGNALLED || env.signal.aborted) await connector.cancelAll();
  env.signal.throwIfAborted();
  // psql has said what went wrong; this adds what to do, and psql's status becomes ours.
  if (status !== 0 && status !== READER_GONE) await reportError(psqlFailed(status, psql, isRefused), env);
  return status;
}

function psqlFailed(status: number, psql: string, isRefused: boolean): TeleportError {
  if (!isRefused) return new TeleportError('ConnectionProblem', `exit status ${status}`);
  return new TeleportError(
    'AccessDenied',
    `exit status ${status}: '${psql}' exited with the above error. Use 'tsh db ls' to see your available logins, or ask your Teleport administrator to grant you access.`,
  );
}
