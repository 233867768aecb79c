/**
 * To the database and through its login: TCP, SSLRequest, TLS with the checks of the database's `tls.mode`, StartupMessage,
 * credentials. Redshift and Redshift Serverless log in with a temporary password from AWS (`aws-login.ts`), everything
 * else with a client certificate of the cluster's db_client authority (`client-certificate.ts`).
 *
 * Source: database-service.md sections 4.5 and 5.
 */
import type { TLSSocket } from 'node:tls';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { certificateProblem, dialTcp, dialTls } from '../net/dial.js';
import { amazonRoots } from '../net/roots.js';
import { type LoggedIn, login, requestTls } from '../pg/frontend.js';
import { isServerError } from '../pg/server-error.js';
import { databaseType } from '../resources/database-type.js';
import type { Database } from '../resources/types.js';
import type { AwsLogins } from './aws-login.js';
import type { ClientCertificates } from './client-certificate.js';
import { splitUri } from './health.js';

export interface ConnectOptions {
  database: Database;
  dbUser: string;
  dbName: string;
  startupParameters: Iterable<readonly [string, string]>;
  /** For TCP, TLS and login together. Default 30 s. */
  timeoutMs?: number;
}

export interface ConnectContext {
  aws: AwsLogins;
  clientCertificates: ClientCertificates;
}

export interface DatabaseConnection {
  socket: TLSSocket;
  loggedIn: LoggedIn;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** SQLSTATEs with which a server refuses who logs in. */
const LOGIN_REFUSED = new Set(['28000', '28P01']);

/** @throws ConnectionProblem, AccessDenied (the database refused us; its text), ServerError (anything else it said) */
export async function connectDatabase(context: ConnectContext, options: ConnectOptions): Promise<DatabaseConnection> {
  const { database, dbUser, dbName, startupParameters, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const usesAws = isRedshift(database);
  for (let attempt = 1; ; attempt++) {
    const credential = usesAws ? await context.aws.credential(database, dbUser, dbName) : undefined;
    const socket = await dialDatabase(context, database, dbUser, timeoutMs);
    try {
      const loggedIn = await login(socket, {
        user: credential?.user ?? dbUser,
        database: dbName,
        parameters: startupParameters,
        ...(credential ? { password: () => credential.password } : {}),
        timeoutMs,
      });
      return { socket, loggedIn };
    } catch (error) {
      socket.destroy();
      if (!isServerError(error) || !LOGIN_REFUSED.has(error.sqlState)) throw error;
      // A password can die between minting and use, or the database was told to forget it: once more with a fresh one.
      if (credential?.isCached && attempt === 1) {
        context.aws.forget(database, dbUser, dbName);
        continue;
      }
      throw new TeleportError('AccessDenied', `${error.severity}: ${error.message} (SQLSTATE ${error.sqlState})`, {
        cause: error,
      });
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
  const roots = ownCa ? [ownCa] : isAws ? amazonRoots() : (identity?.databaseCaPems ?? []);
  const socket = await dialTcp({ host, port, timeoutMs });
  try {
    if (!(await requestTls(socket, { timeoutMs }))) {
      throw new TeleportError('ConnectionProblem', `database server ${database.spec.uri} refused TLS connection`, {
        hint: 'Turn TLS on in the database: ssl = on, with a certificate from "tctl auth sign --format=db".',
      });
    }
    return await dialTls({
      socket,
      host,
      port,
      // Without a name to verify none is announced either.
      servername: mode === 'verify-ca' ? '' : (tls.server_name ?? host),
      ca: roots,
      ...(tls.trust_system_cert_pool ? { systemRoots: true } : {}),
      ...(identity ? { cert: identity.certPem, key: identity.keyPem } : {}),
      rejectUnauthorized: mode !== 'insecure',
      ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
      timeoutMs,
    });
  } catch (error) {
    socket.destroy();
    throw explained(error, database);
  }
}

export function isRedshift(database: Database): boolean {
  return /^redshift(-serverless)?$/.test(databaseType(database));
}

/** TLS failures in the words of Teleport's troubleshooting pages. */
function explained(error: unknown, database: Database): unknown {
  const problem = certificateProblem(error);
  const legacyName = /Common Name|no alternative|subjectAltName/i.test(messageOf(error));
  if (problem === 'unknown-authority') {
    return new TeleportError(
      'ConnectionProblem',
      `Database service cannot validate database's certificate: ${messageOf(error)}. Please verify if the correct CA bundle is used in the database config.`,
      { cause: error },
    );
  }
  if (problem === 'expired') {
    return new TeleportError(
      'ConnectionProblem',
      'Connection Failure. Database service could not validate database’s certificate: certificate expired or is not yet valid.',
      { cause: error },
    );
  }
  if (problem === 'name') {
    return new TeleportError(
      'ConnectionProblem',
      `Database service cannot validate database's certificate: ${messageOf(error)}.`,
      {
        cause: error,
        hint: legacyName
          ? 'x509: certificate relies on legacy Common Name field, use SANs instead: rotate the certificate of the database.'
          : `Set tls.server_name of "${database.metadata.name}" to a name in the certificate, or use tls.mode verify-ca.`,
      },
    );
  }
  if (isTeleportError(error)) return error;
  return new TeleportError('ConnectionProblem', `connection to ${database.spec.uri} failed: ${messageOf(error)}`, {
    cause: error,
  });
}
