/**
 * One database connection, in order.
 *
 *     client (through the tunnel)              agent                                database
 *       StartupMessage  ─────────────────────▶ read it
 *                                              believe the certificate, ask Auth for the roles,
 *                                              check user, name and labels,
 *                                              record the start, and then
 *                                              TLS, login with certificate or AWS password ──▶
 *       ◀── AuthenticationOk, BackendKeyData, ParameterStatus…, ReadyForQuery
 *       Query … ─────────────────────────────▶ ───────────── bytes as they came ────────────▶
 *                                              read headers beside the copy, write records of
 *                                              statements before their last byte goes on
 *       ◀──────────── bytes as they came, held until the record of their statement is durable
 *
 * After login nothing is re-framed. A statement goes to the database when its record is written, while it is made durable; only
 * the answer waits for that, and only for what is left of it. A statement that cannot be recorded does not go on. Our own errors
 * travel as ErrorResponse, never as a hang-up, also those that end a session: a lock, a limit, a record that cannot be
 * written, the end of the service.
 *
 * Source: database-service.md 8, auth-grpc-and-routing.md 7.3 to 7.5.
 */
import type { Duplex } from 'node:stream';
import type { AuditSpool } from '../audit/spool.js';
import { type ConnectContext, cancelDatabase, connectDatabase, type DatabaseConnection } from '../dbserver/connect.js';
import { messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { hangUp } from '../net/hang-up.js';
import { relay } from '../net/relay.js';
import { encodeReady, negotiation } from '../pg/backend.js';
import { lastWords } from '../pg/last-words.js';
import { encodeError, SessionEnd } from '../pg/sqlstate.js';
import type { StartupMessage } from '../pg/startup.js';
import { readFirst } from '../pg/stream.js';
import type { RightsWatch } from '../rights/rights-watch.js';
import type { Turns, UserTurns } from '../turns.js';
import { type Authorizer, checkAccess, checkAdmission, LOGIN_AGAIN, rightsOf, sessionLimits } from './authorize.js';
import { type AutoUser, notActivated } from './auto-user.js';
import type { AutoUsers, OwnConnection, UserStay } from './auto-users.js';
import { type Limit, startMonitor } from './monitor.js';
import type { DatabaseSession, SessionCaller } from './session.js';
import { type AuditServer, SessionAudit } from './session-audit.js';
import { StatementTap } from './statement-tap.js';

export interface EngineContext extends ConnectContext {
  authorizer: Authorizer;
  spool: Pick<AuditSpool, 'write' | 'pauseMs'>;
  rights: RightsWatch;
  autoUsers: AutoUsers;
  turns: UserTurns;
  server: AuditServer;
  log: Logger;
  /** For the client's first packet. Default 30 s. */
  startupTimeoutMs?: number;
  /** Aborted when the service stops: every session ends, and its client hears the reason. */
  ending?: AbortSignal;
}

/** How long the other half may still send after one half has ended. */
const HALF_CLOSE_TIMEOUT_MS = 30_000;

/** Serve one connection from the tunnel up to its end. Never throws. */
export async function serveSession(context: EngineContext, client: Duplex, caller: SessionCaller): Promise<void> {
  client.on('error', () => {}); // a reset is an ordinary end; every reader below sees it as well
  const cut = new AbortController();
  const onEnding = () => cut.abort(context.ending?.reason);
  // Until bytes flow both ways; after that the relay takes leave of the client.
  const onCut = () => hangUp(client, encodeError(cut.signal.reason));
  const after: Ending['after'] = [];
  cut.signal.addEventListener('abort', onCut);
  context.ending?.addEventListener('abort', onEnding);
  if (context.ending?.aborted) onEnding();
  try {
    const { message } = await readFirst(client, { timeoutMs: context.startupTimeoutMs ?? 30_000 });
    if (message.type !== 'StartupMessage' && message.type !== 'CancelRequest') {
      throw new TeleportError('Protocol', `unexpected ${message.type}`);
    }
    const session = await context.authorizer.session(caller, message);
    if (message.type === 'CancelRequest') {
      checkAdmission(session);
      checkAccess(session);
      const { database, autoUser, dbUser } = session;
      await cancelDatabase(context, { database, dbUser: autoUser?.name ?? dbUser }, message);
      hangUp(client);
    } else {
      await runSession(context, client, session, message, { cut, onCut, after });
    }
  } catch (error) {
    context.log.debug('Database connection refused.', { error: messageOf(error), client: caller.clientAddr });
    hangUp(client, encodeError(error));
  } finally {
    context.ending?.removeEventListener('abort', onEnding);
    for (const work of after) await work();
  }
}

/** How a session is ended from here, what does it before bytes flow, and what is done when the client has its answer. */
interface Ending {
  cut: AbortController;
  onCut: () => void;
  after: (() => Promise<void>)[];
}

async function runSession(
  context: EngineContext,
  client: Duplex,
  session: DatabaseSession,
  startup: StartupMessage,
  { cut, onCut, after }: Ending,
): Promise<void> {
  const turns = context.turns.of(session.identity.username);
  const audit = new SessionAudit(context.spool, context.server, session, turns);
  try {
    checkAdmission(session);
    checkAccess(session);
  } catch (error) {
    await audit.refused(error);
    throw error;
  }
  await audit.started();
  const user = session.autoUser && stayAs(context, session, session.autoUser, audit);
  let connection: DatabaseConnection | undefined;
  try {
    connection = await enterDatabase(context, session, { audit, user }).catch((error: unknown) => {
      // What is to be mended here is mended by whoever runs the agent: a role, a route, a certificate.
      context.log.warn('Cannot enter a database.', { db: session.database.metadata.name, error: messageOf(error) });
      audit.notEntered(error);
      throw error;
    });
    const { socket, loggedIn } = connection;
    socket.on('error', () => {});
    audit.entered(loggedIn.backendKey?.pid);
    cut.signal.throwIfAborted();
    cut.signal.removeEventListener('abort', onCut);
    client.write(
      encodeReady({
        parameters: loggedIn.parameters,
        backendKey: loggedIn.backendKey,
        txStatus: loggedIn.txStatus,
        negotiate: negotiation(startup),
      }),
    );
    await pump(context, client, connection, session, { audit, turns, cut });
  } finally {
    connection?.socket.destroy();
    user?.stay.out();
    await audit.ended().catch((error: unknown) => {
      context.log.error('Cannot record the end of a session.', { error: messageOf(error), sid: session.id });
    });
    if (user) after.push(() => user.leave(connection));
  }
}

/** The session's connection to the database, as a user that is there or as one that is made. */
async function enterDatabase(
  context: EngineContext,
  { database, dbUser, dbName, startupParameters, identity, autoUser }: DatabaseSession,
  { audit, user }: { audit: SessionAudit; user: UserOfSession | undefined },
): Promise<DatabaseConnection> {
  const connect = async () =>
    await connectDatabase(context, {
      database,
      dbUser: autoUser?.name ?? dbUser,
      dbName,
      startupParameters,
      askedBy: identity.username,
    });
  if (!autoUser || !user) return await connect();
  let isAdmitted = false;
  const onAdmitted = () => {
    if (!isAdmitted) audit.userAdmitted(autoUser);
    isAdmitted = true;
  };
  return await user.stay
    .enter({ onAdmitted, connect, close: ({ socket }) => socket.destroy() })
    .catch((error: unknown) => {
      if (isAdmitted) throw error;
      audit.userAdmitted(autoUser, error);
      throw notActivated(autoUser.name, error);
    });
}

interface UserOfSession {
  stay: UserStay;
  /** Never throws. */
  leave(connection: DatabaseConnection | undefined): Promise<void>;
}

function stayAs(
  context: EngineContext,
  session: DatabaseSession,
  autoUser: AutoUser,
  audit: SessionAudit,
): UserOfSession {
  const { database } = session;
  const stay = context.autoUsers.begin(database, autoUser);
  const log = (text: string, error: unknown) =>
    context.log.error(text, { error: messageOf(error), user: autoUser.name, sid: session.id });
  const ownOf = (connection: DatabaseConnection): OwnConnection => {
    const key = connection.loggedIn.backendKey;
    const cancel = async () => {
      if (key) await cancelDatabase(context, { database, dbUser: autoUser.name }, key);
    };
    return { pid: key?.pid, cancel };
  };
  return {
    stay,
    leave: (connection) =>
      stay.leave(connection && ownOf(connection), (end) => {
        if (end.how === 'failed') log('Cannot take the rights of a user away.', end.error);
        if (end.how === 'gone') return;
        try {
          audit.userEnded(autoUser, end.how === 'failed' ? end : { isDropped: end.how === 'dropped' });
        } catch (error) {
          log('Cannot record the end of a user.', error);
        }
      }),
  };
}

/** Copy both directions until one ends or a limit is reached. */
async function pump(
  context: EngineContext,
  client: Duplex,
  { socket }: DatabaseConnection,
  session: DatabaseSession,
  { audit, turns, cut }: { audit: SessionAudit; turns: Turns; cut: AbortController },
): Promise<void> {
  audit.onLost = (error) => {
    context.log.error('Cannot keep records, ending their session.', { error: messageOf(error), sid: session.id });
    cut.abort(error);
  };
  const tap = new StatementTap(audit, turns);
  const monitor = startMonitor(sessionLimits(session), context.server.now, (reason, limit) => {
    audit.disconnected(reason);
    cut.abort(sessionEnd(limit, reason));
  });
  using _rights = context.rights.during(rightsOf(session), monitor.end);
  try {
    await relay(client, socket, {
      onAtoB: (chunk) => {
        monitor.touch();
        return tap.fromClient(chunk);
      },
      onBtoA: () => tap.fromServer(),
      halfCloseTimeoutMs: HALF_CLOSE_TIMEOUT_MS,
      signal: cut.signal,
      lastWords: lastWords({ follow: tap.follow }),
    });
  } catch (error) {
    // A record that cannot be written, bytes that are not a message.
    const { id: sid, identity } = session;
    context.log.warn('A session is ended.', { error: messageOf(error), sid, user: identity.username });
    throw error;
  } finally {
    monitor.stop();
    tap.end();
  }
}

/** What the client hears of a limit; the reason as the audit event says it. */
function sessionEnd(limit: Limit, reason: string): SessionEnd {
  if (limit === 'idle') return new SessionEnd('57P05', `due to idle-session timeout: ${reason}`);
  return new SessionEnd('57P01', reason, limit === 'expired' ? LOGIN_AGAIN : undefined);
}
