/**
 * How a reader follows the arguments of `tsh db connect` from `run` to the first relayed byte: every function entered, in
 * the order of the calls, indented under the one that calls it. A step is `file function`, and `by name` where the call
 * uses another name (a callback, a field). What is already read is not entered again; a constructor that only keeps what
 * it gets is no step; the methods of `ProfileStore` and `AuthClient` are read in their interfaces.
 *
 * A climb is a call that leads to a file opened before the file that it stands in: the reader goes back up.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const DB_CONNECT = `
tsh/db/connect.ts run
  localproxy/psql/run.ts findPsql
  access/open.ts openAccess
    access/open.ts isAws
    access/cluster/open.ts openCluster
      access/login/session.ts currentSession
        profile/session.ts openSession
          profile/session.ts sessionOf
        access/login/session.ts personalStore
  tsh/db/choose.ts chooseDatabase
    access/cluster/access.ts active
      access/cluster/access.ts #stored
    access/cluster/access.ts databases
      access/login/login.ts withAuth
        access/login/login.ts renewing
          access/login/login.ts withAuth by work
            access/login/login.ts #connected
              access/login/client.ts connectCluster
                profile/session.ts usableKeys
                api/dial.ts openAuth
                  api/dial.ts clientOf
                    api/client.ts openAuthClient
                  api/dial.ts connectAuth
                    api/dial.ts connectAnyhow
                      api/dial.ts connectOnce
                        api/dial.ts authTlsOptions
                          api/dial.ts authoritiesOf
                        net/routed.ts dialRouted
                          net/dial.ts dialTls
            access/cluster/access.ts databases by work
              access/cluster/calls.ts listDatabases
              access/cluster/access.ts #ownOnce
                access/cluster/calls.ts ownAccess
              access/cluster/access.ts allowancesOf
                rbac/alike.ts oncePerKind
    tsh/db/choose.ts oneOf
  access/cluster/access.ts route
    access/cluster/access.ts #storedFor
    access/cluster/choose-names.ts chooseDbUser
    access/cluster/choose-names.ts chooseDbName
  tsh/db/args.ts routeRequest
  access/cluster/access.ts connector
    access/cluster/certificates.ts keysFor
      access/cluster/issue.ts issueCertificate
        access/cluster/issue.ts isMfaRequired
        access/cluster/issue.ts generateDatabaseCertificate
      access/cluster/certificates.ts #renewed
  localproxy/listener.ts startLocalProxy
    access/cluster/connector.ts serve
      access/cluster/connector.ts #first
        pg/backend.ts readStartup
      access/cluster/connector.ts #ask
        access/cluster/connector.ts firstAnswer
        access/cluster/connector.ts #dial
          access/cluster/access.ts connector by dial
            access/cluster/dial.ts dialPostgres by #dial
      localproxy/clients.ts join
        net/relay.ts relay
  localproxy/psql/run.ts runPsql
`;

/** What happens where the login has run out: a story of its own, read from `renewing` on. */
export const RENEWAL = `
access/login/login.ts renewing
  access/login/login.ts #renew
    access/login/relogin.ts relogin
      access/login/relogin.ts renewedElsewhere
      access/login/session.ts askProxy
      access/login/sign-in.ts signIn
        access/login/sso.ts signInBySso
        access/login/password.ts signInByPassword
      access/login/sign-in.ts saveSignIn
        access/login/client.ts connectRoot
          access/login/client.ts connectCluster
        access/login/host-cas.ts fetchHostCas
    access/login/login.ts #use
`;

export interface Step {
  depth: number;
  file: string;
  name: string;
  /** How the caller names it. */
  by: string;
  caller: Step | undefined;
}

export function stepsOf(trace: string): Step[] {
  const steps: Step[] = [];
  for (const line of trace.split('\n').filter((one) => one.trim() !== '')) {
    const [, indent = '', file = '', name = '', by = name] = /^( *)(\S+) (\S+)(?: by (\S+))?$/.exec(line) ?? [];
    const depth = indent.length / 2;
    steps.push({ depth, file, name, by, caller: steps.findLast((one) => one.depth < depth) });
  }
  return steps;
}

/** The calls that lead back up, as `caller -> callee`. */
export function climbs(steps: readonly Step[]): string[] {
  const opened = [...new Set(steps.map(({ file }) => file))];
  return steps.flatMap(({ file, name, caller }) =>
    caller && opened.indexOf(file) < opened.indexOf(caller.file)
      ? [`${caller.file} ${caller.name} -> ${file} ${name}`]
      : [],
  );
}

/** Where a trace is not what stands in the source under `root`: functions, calls and the order of the calls. */
export function untrue(steps: readonly Step[], root: string): string[] {
  const readUpTo = new Map<Step, number>();
  return steps.flatMap((step) => {
    const { file, name, by, caller } = step;
    if (bodyOf(root, file, name) === undefined) return [`${file} has no ${name}`];
    if (!caller) return [];
    const from = readUpTo.get(caller) ?? 0;
    const call = new RegExp(`(?<![\\w#])${escaped(by)}\\b(?:<[^\\n(]*>)?\\(`, 'g');
    const places = [...(bodyOf(root, caller.file, caller.name) ?? '').matchAll(call)].map(({ index }) => index);
    const place = places.find((one) => one >= from);
    if (place === undefined) {
      const why = places.length > 0 ? 'calls it earlier:' : 'does not call';
      return [`${caller.file} ${caller.name} ${why} ${by} of ${file}`];
    }
    readUpTo.set(caller, place);
    return [];
  });
}

/** A function from its head to the brace in the column where it begins. */
function bodyOf(root: string, file: string, name: string): string | undefined {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const head = new RegExp(
    `^(\\s*)(?:export )?(?:async )?(?:(?:function\\*? |const |let )${escaped(name)}\\b|${escaped(name)}(?:<[^(]*>)?\\((?!.*;$))`,
  );
  const start = lines.findIndex((line) => head.test(line));
  if (start < 0) return undefined;
  const indent = head.exec(lines[start]!)![1]!;
  const end = lines.findIndex(
    (line, at) => at > start && line.startsWith(`${indent}}`) && !/^\s*\}[):,].*[{>]$/.test(line),
  );
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n');
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
