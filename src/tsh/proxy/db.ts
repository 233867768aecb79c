/**
 * `tsh proxy db`: a local port for GUI tools and JDBC clients. With `--tunnel` clients need neither TLS nor a password;
 * without it they bring the certificate that is stored. Source: cli.md 4.12.
 */

import { isAbsolute, join, resolve } from 'node:path';
import { clientUser } from '../../access/access.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printLine, printShellLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { isPort, parseHostPort } from '../../host-port.js';
import { isLoopback } from '../../ip.js';
import { type LocalEnd, type LocalProxyOptions, startLocalProxy } from '../../localproxy/listener.js';
import { tellsPeers } from '../../localproxy/peer.js';
import { connectionUri } from '../../localproxy/psql/command.js';
import { withoutVariables } from '../../localproxy/psql/environment.js';
import { quotedWord } from '../../shell-word.js';
import { assertKeyFiles, type RouteArgs, routeRequest } from '../db/args.js';
import { chooseDatabase } from '../db/choose.js';

export interface ProxyDbArgs extends RouteArgs {
  port?: string | undefined;
  listen?: string | undefined;
  insecureListenAnywhere: boolean;
  allowOtherUsers: boolean;
  tunnel: boolean;
}

export async function run(env: Env, args: ProxyDbArgs): Promise<number> {
  const at = listenAddress(env, args);
  await using access = await openAccess(env, args);
  const database = await chooseDatabase(env, access, args);
  const route = await access.route(database, routeRequest(args));
  const name = route.database.metadata.name;
  if (!args.tunnel) await assertKeyFiles(access, args, { name, ...route });
  await using connector = await access.connector(route, { inMemory: args.tunnel, clientTls: !args.tunnel });
  const serve: LocalProxyOptions['serve'] = (client, options) => connector.serve(client, options);
  await using local = await startLocalProxy({ at, serve, leave: async () => connector[Symbol.asyncDispose]() });
  const { address } = local;
  if (args.tunnel) {
    printLine(
      env,
      `Started authenticated tunnel for the PostgreSQL database "${name}" in ${access.place} on ${address}.`,
    );
    env.stderr.write(`${whoGetsIn(at)}\n`);
  } else {
    printLine(env, `Started DB proxy on ${address}`);
  }
  const isRandom = !args.port && !args.listen;
  printLine(
    env,
    isRandom ? 'To avoid port randomization, you can choose the listening port using the --port flag.' : '',
  );
  if (isRandom) printLine(env);
  if (args.tunnel) {
    const uri = connectionUri({
      host: isLoopback(local.host) ? 'localhost' : local.host,
      port: local.port,
      dbUser: clientUser(route, connector),
      dbName: route.dbName,
    });
    printLine(
      env,
      'Use the following command to connect to the database or to the address above using other database GUI/CLI clients:',
    );
    printShellLine(env, `  $ ${withoutVariables(env.vars, env.platform)}psql ${quotedWord(uri)}`);
  } else {
    const info = await access.connectionInfo(name);
    printLine(env, `Use the following credentials to connect to the ${name} proxy:`);
    printLine(env, `  ca_file=${info.caFile}`);
    if (info.certFile) printLine(env, `  cert_file=${info.certFile}`);
    if (info.keyFile) printLine(env, `  key_file=${info.keyFile}`);
    if (info.passFile) printLine(env, `  pass_file=${info.passFile}`);
    printLine(env);
    printLine(
      env,
      `Your database user is "${info.dbUser ?? route.dbUser}". The target database name is "${route.dbName}".`,
    );
    printLine(env);
  }
  await aborted(env.signal);
  return 0;
}

/** Whoever comes through a tunnel is let in without a word, so its owner must know who can. */
function whoGetsIn(at: LocalEnd): string {
  if (at.kind !== 'tcp') return 'Only your own programs can use it.';
  if (at.ownOnly) return 'Only your own programs can use it: those of other users of this machine are refused.';
  if (!isLoopback(at.host)) return 'Every program that reaches this address can use it, and is let in as you.';
  return 'Every program of every user of this machine can use it, and is let in as you. For yours only: --listen=unix:FOLDER';
}

/** Where a socket is that was named by its folder only: `psql -h FOLDER` looks there. */
const POSTGRES_PORT = 5432;

/** @throws BadParameter for both flags, a port that is none, an address that others can reach, or a system that does not say who comes */
function listenAddress(env: Env, args: ProxyDbArgs): LocalEnd {
  if (args.port && args.listen) {
    throw new TeleportError(
      'BadParameter',
      'either the address or port for the local proxy can be specified, not both',
    );
  }
  const path = /^unix:(?:\/\/)?(.*)$/s.exec(args.listen ?? '')?.[1];
  if (path !== undefined) return folderAt(env, path);
  const at = tcpAddress(args);
  if (!args.tunnel || args.allowOtherUsers || !isLoopback(at.host) || env.platform !== 'linux') return at;
  if (tellsPeers(env.platform)) return { ...at, ownOnly: true };
  throw new TeleportError(
    'BadParameter',
    'this system does not say whose programs connect (/proc/net/tcp cannot be read), so those of other users cannot be refused',
    { hint: 'Use a socket that only you can reach, --listen=unix:FOLDER, or let everybody in: --allow-other-users.' },
  );
}

/** `unix:FOLDER`, or the socket in it as psql names it, `unix:FOLDER/.s.PGSQL.5433`. */
function folderAt({ platform, cwd, home }: Env, path: string): LocalEnd {
  if (platform === 'win32')
    throw new TeleportError(
      'BadParameter',
      '--listen=unix:FOLDER: there are no such sockets for PostgreSQL on Windows',
    );
  if (path === '') throw new TeleportError('BadParameter', '--listen=unix:FOLDER: the folder is missing');
  const [, folder = path, port] = /^(.*?)\/?\.s\.PGSQL\.(\d+)$/s.exec(path) ?? [];
  const from = folder.startsWith('~/') ? join(home, folder.slice(2)) : folder;
  return { kind: 'folder', folder: isAbsolute(from) ? from : resolve(cwd, from), port: Number(port ?? POSTGRES_PORT) };
}

function tcpAddress(args: ProxyDbArgs): { kind: 'tcp'; host: string; port: number } {
  if (args.listen) {
    // A port alone is on loopback; `:port`, as in Go, on every address.
    const found = parseHostPort(args.listen, { host: args.listen.startsWith(':') ? '0.0.0.0' : '127.0.0.1' });
    if (!found) throw new TeleportError('BadParameter', `listen tcp: address ${args.listen}: expected HOST:PORT`);
    const { host, port } = found;
    if (!isLoopback(host) && !args.insecureListenAnywhere) {
      throw new TeleportError(
        'BadParameter',
        `only loopback addresses are allowed for listener without --insecure-listen-anywhere switch, got "${args.listen}"`,
      );
    }
    return { kind: 'tcp', host, port };
  }
  const port = Number(args.port ?? 0);
  if (port !== 0 && !isPort(port)) {
    throw new TeleportError('BadParameter', `listen tcp: lookup tcp/${args.port}: unknown port`);
  }
  // psql tries every address of "localhost"; the listener is where the first one that works is.
  return { kind: 'tcp', host: '127.0.0.1', port };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
