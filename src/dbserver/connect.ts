/**
 * To the database and through its login: TCP, SSLRequest, TLS with the checks of the database's `tls.mode`, StartupMessage,
 * credentials. Redshift and Redshift Serverless log in with a temporary password from AWS (`aws-login.ts`), everything
 * else with a client certificate that the caller provides.
 *
 * Source: database-service.md 4.5 and 5.
 */
import type { TLSSocket } from 'node:tls';
import { certificateProblem } from '../certificate-problem.js';
import { isTeleportError, isTimedOut, messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { certificateAlert, dialTcp, dialTls } from '../net/dial.js';
import { cancel, type LoggedIn, login, requestTls } from '../pg/frontend.js';
import type { BackendKey } from '../pg/messages.js';
import { isServerError } from '../pg/server-error.js';
import { databaseType } from '../resources/database-type.js';
import { splitUri } from '../resources/database-uri.js';
import type { Database } from '../resources/types.js';
import type { AwsLogins, LoginAs } from './aws-login.js';

export interface DatabaseDialOptions extends LoginAs {
  database: Database;
  startupParameters: Iterable<readonly [string, string]>;
  /** For TCP, TLS and login together. Default 30 s. */
  timeoutMs?: number;
}

/** A certificate for one database user, signed by the cluster's db_client authority. */
export interface ClientCertificate {
  certPem: string;
  keyPem: string;
  /** db authority: signs the server certificates of `tctl auth sign --format=db`. */
  databaseCaPems: string[];
}

export interface ClientCertificates {
  get(dbUser: string): Promise<ClientCertificate>;
}

export interface ConnectContext {
  aws: AwsLogins;
  clientCertificates: ClientCertificates;
  /** Who signs Redshift's certificates, PEM; `amazonRoots()` looked up once, for it reads every root there is. */
  amazonRoots: readonly string[];
  /** Environment, for the authorities of the web. */
  vars: Record<string, string | undefined>;
  /** Who checks the server, as messages name it. */
  checker: 'Database service' | 'tsh';
}

export interface DatabaseConnection {
  socket: TLSSocket;
  loggedIn: LoggedIn;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const NOT_REDSHIFT = 'Redshift always has TLS: something else answers at this address. Nothing secret was sent.';
const OTHER_AUTHORITY =
  'Amazon signs the certificates of Redshift, unless --ca-file names who does. If that is right, something on the way answers in its place.';
/** SQLSTATEs with which a server refuses who logs in. */
const LOGIN_REFUSED = new Set(['28000', '28P01']);

/** @throws ConnectionProblem, AccessDenied (the database refused us; its text), ServerError (anything else it said) */
export async function connectDatabase(
  context: ConnectContext,
  options: DatabaseDialOptions,
): Promise<DatabaseConnection> {
  const { database, startupParameters, timeoutMs = DEFAULT_TIMEOUT_MS, ...as } = options;
  const { dbUser, dbName } = as;
  const usesAws = isRedshift(database);
  const endsAt = performance.now() + timeoutMs;
  const leftMs = () => Math.max(1, endsAt - performance.now());
  for (let attempt = 1; ; attempt++) {
    const credential = usesAws ? await context.aws.credential(database, as) : undefined;
    const socket = await dialDatabase(context, database, dbUser, leftMs()).catch(async (error: unknown) => {
      const isDown = isTeleportError(error, 'ConnectionProblem') && certificateProblem(error) === undefined;
      throw (usesAws && isDown && (await context.aws.whyDown(database))) || error;
    });
    try {
      const loggedIn = await login(socket, {
        user: credential?.user ?? dbUser,
        database: dbName,
        parameters: startupParameters,
        ...(credential ? { password: () => credential.password } : {}),
        timeoutMs: leftMs(),
        address: addressOf(database),
      });
      return { socket, loggedIn };
    } catch (error) {
      socket.destroy();
      if (!isServerError(error)) {
        throw (
          refusedCertificate(error) ?? askedForPassword(error, as) ?? unanswered(error) ?? brokenOff(error, database)
        );
      }
      // A password can die between minting and use, or the database can have forgotten it: once more with a fresh one.
      if (credential?.isCached && attempt === 1 && LOGIN_REFUSED.has(error.sqlState)) {
        await context.aws.forget(database, as, credential);
        continue;
      }
      throw error; // the database's own words, as they came
    }
  }
}

/** TCP and TLS only: what a cancel request needs. */
export async function dialDatabase(
  context: ConnectContext,
  database: Database,
  dbUser: string,
  timeoutMs = DEFAULT_TIMEOUT_MS,
): Promise<TLSSocket> {
  const [host, port] = splitUri(database.spec.uri);
  const tls = database.spec.tls ?? {};
  const mode = tls.mode ?? 'verify-full';
  const isAws = isRedshift(database);
  const identity = isAws ? undefined : await context.clientCertificates.get(dbUser);
  const ownCa = tls.ca_cert ?? database.spec.ca_cert ?? database.status?.ca_cert;
  const roots = ownCa ? [ownCa] : isAws ? context.amazonRoots : (identity?.databaseCaPems ?? []);
  const endsAt = performance.now() + timeoutMs;
  const leftMs = () => Math.max(1, endsAt - performance.now());
  const socket = await dialTcp({ host, port, timeoutMs }).catch((error: unknown) => {
    throw unreached(error, context.checker, host, port);
  });
  try {
    if (!(await requestTls(socket, { timeoutMs: leftMs(), address: addressOf(database) }))) {
      throw new TeleportError('ConnectionProblem', `database server ${database.spec.uri} refused TLS connection`, {
        hint: isAws
          ? NOT_REDSHIFT
          : 'Turn TLS on in the database: ssl = on, with a certificate from "tctl auth sign --format=db".',
      });
    }
    return await dialTls({
      socket,
      host,
      port,
      // Without a name to verify none is announced either.
      servername: mode === 'verify-ca' ? '' : (tls.server_name ?? host),
      ca: roots,
      systemRoots: tls.trust_system_cert_pool ?? false,
      vars: context.vars,
      ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
      rejectUnauthorized: mode !== 'insecure',
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
      timeoutMs: leftMs(),
    });
  } catch (error) {
    socket.destroy();
    throw refusedCertificate(error) ?? unanswered(error) ?? explained(error, database, context.checker);
  }
}

/** A CancelRequest to the server of a database, over a connection of its own. Never asks AWS. Throws as `dialDatabase`. */
export async function cancelDatabase(
  context: ConnectContext,
  { database, dbUser }: Pick<DatabaseDialOptions, 'database' | 'dbUser'>,
  { pid, secret }: BackendKey,
): Promise<void> {
  const socket = await dialDatabase(context, database, dbUser);
  await cancel(socket, { pid, secret }, { address: addressOf(database) });
}

/** `host:port`. */
function addressOf({ spec }: Database): string {
  return joinHostPort(...splitUri(spec.uri));
}

export function isRedshift(database: Database): boolean {
  return /^redshift(-serverless)?$/.test(databaseType(database));
}

/** The database's verdict on our certificate: under TLS 1.3 it comes after the handshake, in place of the first message. */
function refusedCertificate(error: unknown): TeleportError | undefined {
  const alert = certificateAlert(error);
  if (alert === undefined) return undefined;
  return new TeleportError(
    'ConnectionProblem',
    `Database cannot validate client certificate generated by database service: remote error: tls: ${alert}.`,
    { cause: error, hint: 'Give the database the certificates that "tctl auth sign --format=db" writes.' },
  );
}

/** Where we have a certificate and the server does not look at it. */
function askedForPassword(error: unknown, { dbUser, dbName }: LoginAs): TeleportError | undefined {
  if (!isTeleportError(error, 'AccessDenied')) return undefined;
  const line = `hostssl ${JSON.stringify(dbName)} ${JSON.stringify(dbUser)} all cert`;
  return new TeleportError('AccessDenied', error.message, {
    cause: error,
    hint: `The login is by client certificate. Add to pg_hba.conf, before the line that asks for a password: ${line}`,
  });
}

/** A server that takes connections and says nothing: what was awaited, and where, is in the error already. */
function unanswered(error: unknown): TeleportError | undefined {
  if (!isTimedOut(error)) return undefined;
  return new TeleportError(error.code, error.message, {
    cause: error,
    hint: 'Something accepts connections there and does not answer as a database: it may be starting, overloaded or not a database at all. Look at its own log.',
  });
}

/** A login without an end: whose it was, which the reader of messages does not know. */
function brokenOff(error: unknown, { spec }: Database): unknown {
  if (!isTeleportError(error)) return error;
  return new TeleportError(error.code, `the login to ${spec.uri} did not end: ${error.message}`, {
    cause: error,
    hint: error.hint ?? 'The database may be restarting. Try again; if it stays so, look at its own log.',
  });
}

/** The step that the troubleshooting pages give for time-outs. */
function unreached(error: unknown, checker: ConnectContext['checker'], host: string, port: number): unknown {
  if (!isTeleportError(error, 'ConnectionProblem')) return error;
  const where = checker === 'tsh' ? 'This machine' : 'The machine of the Database Service';
  return new TeleportError('ConnectionProblem', error.message, {
    cause: error,
    hint: `${where} does not reach the database. Look at routes, the database's security group and whether it is publicly accessible; try there: nc -zv ${host} ${port}`,
  });
}

/** TLS failures in the words of Teleport's troubleshooting pages. */
function explained(error: unknown, database: Database, checker: ConnectContext['checker']): unknown {
  const problem = certificateProblem(error);
  const hasLegacyName = /legacy Common Name/.test(messageOf(error));
  if (problem === 'unknown-authority') {
    return new TeleportError(
      'ConnectionProblem',
      `${checker} cannot validate database's certificate: ${messageOf(error)}. ${checker === 'tsh' ? 'It is not of the authorities that are trusted.' : 'Please verify if the correct CA bundle is used in the database config.'}`,
      { cause: error, hint: checker === 'tsh' ? OTHER_AUTHORITY : undefined },
    );
  }
  if (problem === 'expired') {
    return new TeleportError(
      'ConnectionProblem',
      `Connection Failure. ${checker} could not validate database’s certificate: certificate expired or is not yet valid.`,
      { cause: error },
    );
  }
  if (problem === 'name') {
    return new TeleportError(
      'ConnectionProblem',
      `${checker} cannot validate database's certificate: ${messageOf(error)}.`,
      {
        cause: error,
        hint: hasLegacyName
          ? 'Rotate the certificate of the database: in AWS as "Rotating your SSL/TLS certificate" describes, elsewhere with "tctl auth sign --format=db".'
          : checker === 'tsh'
            ? 'Connect by a name that is in the certificate: the endpoint as AWS shows it. If you do, somebody else answers there.'
            : `Set tls.server_name of "${database.metadata.name}" to a name in the certificate, or use tls.mode verify-ca.`,
      },
    );
  }
  if (isTeleportError(error)) return error;
  return new TeleportError('ConnectionProblem', `connection to ${database.spec.uri} failed: ${messageOf(error)}`, {
    cause: error,
  });
}
