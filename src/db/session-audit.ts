/**
 * The audit records of one database session. Records are kept until `write`, which puts all of them into the spool at once:
 * when it returns they survive the end of this process, and `durable` says when they survive the end of the power. What
 * cannot be written is thrown there, before anything of it has been sent on. Shipping to Auth is the spool's business.
 *
 * Source: database-service.md 9.
 */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type AuditEventName, auditEvent } from '../audit/events.js';
import { RecordChain, type SessionRecord } from '../audit/record-chain.js';
import { isTooLong, RecordTooLong, recordText } from '../audit/record-text.js';
import type { RecordOwner } from '../audit/shares.js';
import type { AuditSpool } from '../audit/spool.js';
import { isTeleportError, messageOf } from '../errors.js';
import type { AuditedStatement, TextPart } from '../pg/audit-text.js';
import type { Outcome, Run } from '../pg/outcomes.js';
import { notRecorded, tooLong } from '../pg/sqlstate.js';
import { redactValue } from '../redact.js';
import { databaseType } from '../resources/database-type.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import type { Database } from '../resources/types.js';
import type { Turns } from '../turns.js';
import { rest } from '../wait.js';
import type { AutoUser } from './auto-user.js';
import type { DatabaseSession } from './session.js';

export interface AuditServer {
  hostId: string;
  version: string;
  clusterName: string;
  now: () => Date;
}

const STATEMENT_EVENTS = {
  Query: 'db.session.query',
  Parse: 'db.session.postgres.statements.parse',
  Bind: 'db.session.postgres.statements.bind',
  Execute: 'db.session.postgres.statements.execute',
  Close: 'db.session.postgres.statements.close',
  FunctionCall: 'db.session.postgres.function',
} as const satisfies Record<AuditedStatement['type'], AuditEventName>;

const RESULT = 'db.session.result';
/** How long results wait for a statement that they can be written with. */
const RESULTS_AFTER_MS = 50;
/** That are encoded and written at once: some 20 µs each. */
const MOST_RESULTS = 100;

export class SessionAudit {
  /** Called once, when records that were written turn out not to be kept. */
  onLost: (error: unknown) => void = () => {};
  readonly #spool: Pick<AuditSpool, 'write' | 'pauseMs'>;
  readonly #server: AuditServer;
  readonly #session: DatabaseSession;
  readonly #turns: Turns;
  readonly #chain: RecordChain;
  /** Not written yet, and how many of them the client's statements are. */
  #kept: SessionRecord[] = [];
  #statements = 0;
  /** Not written yet. */
  #results: SessionRecord[] = [];
  #soon: NodeJS.Timeout | undefined;
  #writingResults: Promise<void> | undefined;
  /** Of the event that the parts before it belong to. */
  #uid: string | undefined;
  #undurable = 0;
  #writing: Promise<void> | undefined;
  #isLost = false;

  /** @param turns  of whose session it is: what nobody waits for is done in them */
  constructor(
    spool: Pick<AuditSpool, 'write' | 'pauseMs'>,
    server: AuditServer,
    session: DatabaseSession,
    turns: Turns,
  ) {
    this.#spool = spool;
    this.#server = server;
    this.#session = session;
    this.#turns = turns;
    this.#chain = new RecordChain(commonFields(session), {
      clusterName: session.identity.routeToCluster || server.clusterName,
      now: server.now,
    });
  }

  /** Records that are written and not durable. */
  get undurable(): number {
    return this.#undurable;
  }

  /** Resolves when all that was written is durable, and never when it was lost; undefined when it is. */
  get durable(): Promise<void> | undefined {
    if (this.#isLost) return new Promise(() => {});
    return this.#writing?.catch(() => new Promise<never>(() => {}));
  }

  /** Before anything goes to the database: what the client says at the start has an effect there. @throws StateError when it cannot be recorded */
  async started(): Promise<void> {
    const { startedAt } = this.#session;
    this.#keep('db.session.start', 'ok', { ...this.#startFields(), success: true }, { time: startedAt });
    this.write();
    await this.#whenDurable();
  }

  /** The database has let us in. @param postgresPid  of its process, where it says so */
  entered(postgresPid: number | undefined): void {
    this.#chain.extend({ postgres_pid: postgresPid });
  }

  /** The session's user was made or enabled, or could not be. It is written with what comes next. */
  userAdmitted({ name, roles }: AutoUser, error?: unknown): void {
    this.#keepOfUser('db.session.user.create', error, { username: name, roles });
  }

  /**
   * What the user had was taken away after the end, or could not be.
   *
   * @throws StateError when it cannot be recorded
   */
  userEnded({ name }: AutoUser, end: { isDropped: boolean } | { error: unknown }): void {
    const isDropped = 'isDropped' in end && end.isDropped;
    this.#keepOfUser('db.session.user.deactivate', 'error' in end ? end.error : undefined, {
      username: name,
      delete: isDropped,
    });
    this.write({ isEnd: true });
  }

  #keepOfUser(
    event: 'db.session.user.create' | 'db.session.user.deactivate',
    error: unknown,
    fields: Record<string, unknown>,
  ): void {
    const reason = error === undefined ? undefined : reasonOf(error);
    const outcome = reason === undefined ? 'ok' : 'failed';
    this.#keep(event, outcome, { ...fields, success: reason === undefined, error: reason, message: reason });
  }

  /** A start that was recorded came to nothing. It is written with the end. */
  notEntered(error: unknown): void {
    const reason = reasonOf(error);
    this.#keep('db.session.start', 'failed', {
      ...this.#startFields(),
      success: false,
      error: reason,
      message: reason,
    });
  }

  /** @throws StateError when it cannot be recorded */
  async refused(error: unknown): Promise<void> {
    this.notEntered(error);
    this.write();
    await this.#whenDurable();
  }

  /** More of a text whose statement comes later. */
  part({ part, text, encoding }: TextPart): void {
    this.#statements += 1;
    this.#uid ??= randomUUID();
    this.#keep('db.session.query.part', 'ok', { uid_of: this.#uid, part, text, db_query_encoding: encoding });
  }

  /** @returns its `uid`, for `result` */
  statement({ type, fields }: AuditedStatement): string {
    const uid = this.#uid ?? randomUUID();
    this.#uid = undefined;
    this.#statements += 1;
    this.#keep(STATEMENT_EVENTS[type], 'ok', type === 'Query' ? { ...fields, success: true } : { ...fields }, { uid });
    return uid;
  }

  /** What a statement came to, or several in a row. It is written with the next one, or soon. */
  result(uid: string, outcome: Outcome, run?: Run<string>): void {
    const fields = { uid_of: uid, uid_to: run?.last, statements: run?.count, ...resultFields(outcome) };
    this.#results.push(this.#chain.record(RESULT, 'ok', fields));
    this.#soon ??= setTimeout(() => this.#writeResults(), RESULTS_AFTER_MS).unref();
  }

  /** Resolves when no more than a few results are left to be written; undefined when that is so. */
  get fewResults(): Promise<void> | undefined {
    return this.#results.length > MOST_RESULTS ? this.#writeResults() : undefined;
  }

  /** Bytes that were not sent on: a statement that is too long, or bytes that do not form a message. */
  violated(error: unknown): void {
    const reason = messageOf(error);
    if (isTeleportError(error, 'LimitExceeded')) {
      this.#keep('db.session.query.failed', 'failed', { db_query: '', success: false, error: reason, message: reason });
    } else {
      this.#keep('db.session.malformed_packet', 'ok', { ...this.#serverFields(), error: reason });
    }
  }

  disconnected(reason: string): void {
    this.#keep('client.disconnect', 'ok', { ...this.#serverFields(), reason });
  }

  /** @throws StateError when it cannot be recorded */
  async ended(): Promise<void> {
    const { identity, startedAt, clientAddr, database } = this.#session;
    await this.#writeResults();
    this.#keep('db.session.end', 'ok', {
      session_start: startedAt.toISOString(),
      session_stop: this.#server.now().toISOString(),
      participants: [identity.username],
      'addr.remote': clientAddr,
      'addr.local': redactValue(database.spec.uri),
      proto: 'db',
    });
    this.write({ isEnd: true });
    await this.#whenDurable();
  }

  /**
   * Write what was kept.
   *
   * @throws StateError when it cannot be: nothing of it is written then, so nothing of it may go on
   */
  write(use: Omit<RecordOwner, 'user'> = {}): void {
    if (this.#kept.length === 0) return;
    const records = [...this.#results.splice(0, MOST_RESULTS), ...this.#kept];
    const statements = this.#statements;
    this.#kept = [];
    this.#statements = 0;
    this.#put(records, statements, use);
  }

  #put(records: readonly SessionRecord[], statements: number, use: Omit<RecordOwner, 'user'>): void {
    const writing = this.#append(records, { user: this.#session.identity.username, ...use });
    this.#writing = writing;
    this.#undurable += statements;
    writing.then(
      () => {
        this.#undurable -= statements;
        if (this.#writing === writing) this.#writing = undefined;
      },
      (error: unknown) => this.#lost(notRecorded(error)),
    );
  }

  /** How long the user has to wait, for the others' sake; undefined where not at all. */
  pause(): Promise<void> | undefined {
    const ms = this.#spool.pauseMs(this.#session.identity.username);
    return ms > 0 ? rest(ms, undefined, { isIdle: true }) : undefined;
  }

  /** All of them, in turns. Never rejects. */
  #writeResults(): Promise<void> {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#writingResults ??= this.#writeAllResults().finally(() => {
      this.#writingResults = undefined;
    });
    return this.#writingResults;
  }

  async #writeAllResults(): Promise<void> {
    if (this.#results.length > 0 && this.#turns.waitMs > 0) await this.#turns.next();
    while (this.#results.length > 0) {
      this.#turns.do(() => this.#writeSomeResults());
      if (this.#results.length > 0) await this.#turns.next();
    }
  }

  /** No answer waits for these. */
  #writeSomeResults(): void {
    const before = this.#writing;
    try {
      this.#put(this.#results.splice(0, MOST_RESULTS), 0, { areResults: true });
      this.#writing = before;
    } catch (error) {
      this.#lost(error);
    }
  }

  /** A result that is missing is unknown. */
  #lost(error: unknown): void {
    this.#results = [];
    if (this.#isLost) return;
    this.#isLost = true;
    this.onLost(error);
  }

  #append(records: readonly SessionRecord[], owner: RecordOwner): Promise<void> {
    try {
      return this.#chain.append(records, (lines) => this.#spool.write(lines, owner));
    } catch (error) {
      throw error instanceof RecordTooLong ? tooLong(error.message, error.hint) : notRecorded(error);
    }
  }

  /** Until what was written is durable. @throws StateError when it never will be */
  async #whenDurable(): Promise<void> {
    await this.#writing?.catch((error: unknown) => {
      throw notRecorded(error);
    });
  }

  #keep(...record: Parameters<RecordChain['record']>): void {
    this.#kept.push(this.#chain.record(...record));
  }

  #startFields(): Record<string, unknown> {
    return { ...this.#serverFields(), startup_parameters: Object.fromEntries(this.#session.startupParameters) };
  }

  #serverFields(): Record<string, unknown> {
    return {
      namespace: 'default',
      server_id: this.#server.hostId,
      server_version: this.#server.version,
      server_hostname: hostname(),
      user_agent: this.#session.userAgent,
      'addr.remote': this.#session.clientAddr,
    };
  }
}

/** Characters of a reason: a database says it in its own words. */
const MOST_REASON = 1000;

const reasonOf = (error: unknown) => [...messageOf(error)].slice(0, MOST_REASON).join('');

function resultFields(outcome: Outcome): Record<string, unknown> {
  const { how, rows, bytes, affected, commands, isSuspended, sqlState, message, durationMs } = outcome;
  return {
    success: how === 'done',
    error: message,
    sqlstate: sqlState,
    // Left out where it is 0, as Teleport does.
    affected_records: affected || undefined,
    rows,
    bytes,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    commands: commands > 1 ? commands : undefined,
    suspended: isSuspended || undefined,
    outcome: how === 'unknown' || how === 'skipped' ? how : undefined,
  };
}

/**
 * Record a user that nobody is in a session as, and who was disabled or dropped later. It is in no session's chain. Who it is only
 * the database says, so it is nobody of the cluster: neither `user` of the record nor whose share of the spool it takes.
 *
 * @returns resolves when it is durable, rejects when the disk has failed it
 * @throws RecordTooLong; LimitExceeded when the spool or the database's share of it is full
 */
export function recordUserLeftBehind(
  spool: Pick<AuditSpool, 'write'>,
  database: Database,
  { user, isDropped }: { user: string; isDropped: boolean },
  { hostId, clusterName, now }: Omit<AuditServer, 'version'>,
): Promise<void> {
  const fields = { ...databaseFields(database), db_user: user, server_id: hostId };
  const end = { username: user, delete: isDropped, success: true };
  const event = auditEvent('db.session.user.deactivate', 'ok', { ...fields, ...end }, { clusterName, now });
  const line = recordText(event);
  if (isTooLong(line)) throw new RecordTooLong(event.event);
  return spool.write(`${line}\n`, { user: `database ${database.metadata.name}` });
}

function databaseFields(database: Database): Record<string, unknown> {
  return {
    db_service: database.metadata.name,
    db_protocol: database.spec.protocol,
    db_uri: redactValue(database.spec.uri),
    db_type: databaseType(database),
    db_origin: database.metadata.labels?.[ORIGIN_LABEL],
    db_labels: database.metadata.labels,
  };
}

function commonFields({ id, identity, database, dbName, dbUser, autoUser }: DatabaseSession): Record<string, unknown> {
  return {
    user: identity.username,
    user_kind: 1,
    user_roles: identity.groups,
    user_traits: identity.traits,
    user_cluster_name: identity.teleportCluster,
    impersonator: identity.impersonator,
    access_requests: identity.activeRequests,
    sid: id,
    with_mfa: identity.mfaVerified,
    private_key_policy: identity.privateKeyPolicy,
    ...databaseFields(database),
    db_name: dbName,
    db_user: dbUser,
    db_roles: autoUser?.roles ?? identity.routeToDatabase?.roles,
  };
}
