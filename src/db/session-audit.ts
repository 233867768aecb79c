/**
 * The audit events of one database session, with the fields that every one of them carries. `record` resolves when the
 * event is durable on this agent's disk; shipping it to Auth is the spool's business.
 *
 * Source: database-service.md 9.
 */
import { hostname } from 'node:os';
import { type AuditContext, type AuditEventName, type AuditOutcome, auditEvent } from '../audit/events.js';
import type { AuditSpool } from '../audit/spool.js';
import { messageOf } from '../errors.js';
import type { AuditedStatement } from '../pg/audit-text.js';
import { redactValue } from '../redact.js';
import { databaseType } from '../resources/database-type.js';
import type { DatabaseSession } from './session.js';

export interface SessionAudit {
  started(postgresPid: number | undefined): Promise<void>;
  refused(error: unknown): Promise<void>;
  statement(statement: AuditedStatement): Promise<void>;
  disconnected(reason: string): Promise<void>;
  ended(): Promise<void>;
}

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

export function createSessionAudit(
  spool: Pick<AuditSpool, 'append'>,
  server: AuditServer,
  session: DatabaseSession,
): SessionAudit {
  const { identity, database } = session;
  const context: AuditContext = { clusterName: identity.routeToCluster || server.clusterName, now: server.now };
  const common = {
    user: identity.username,
    user_kind: 1,
    user_roles: identity.groups,
    user_traits: identity.traits,
    user_cluster_name: identity.teleportCluster,
    impersonator: identity.impersonator,
    access_requests: identity.activeRequests,
    sid: session.id,
    with_mfa: identity.mfaVerified,
    private_key_policy: identity.privateKeyPolicy,
    db_service: database.metadata.name,
    db_protocol: database.spec.protocol,
    db_uri: redactValue(database.spec.uri),
    db_name: session.dbName,
    db_user: session.dbUser,
    db_type: databaseType(database),
    db_origin: database.metadata.labels?.['teleport.dev/origin'],
    db_labels: database.metadata.labels,
    db_roles: identity.routeToDatabase?.roles,
  };
  const serverFields = {
    namespace: 'default',
    server_id: server.hostId,
    server_version: server.version,
    server_hostname: hostname(),
    user_agent: session.userAgent,
    'addr.remote': session.clientAddr,
  };
  let index = 0;
  const record = (name: AuditEventName, outcome: AuditOutcome, fields: Record<string, unknown>) =>
    spool.append([auditEvent(name, outcome, { ei: index++, ...common, ...fields }, context)]);

  return {
    started: (postgresPid) =>
      record('db.session.start', 'ok', {
        ...serverFields,
        success: true,
        postgres_pid: postgresPid,
        time: session.startedAt.toISOString(),
      }),
    refused: (error) =>
      record('db.session.start', 'failed', {
        ...serverFields,
        success: false,
        error: messageOf(error),
        message: messageOf(error),
      }),
    statement: ({ type, fields }) =>
      record(STATEMENT_EVENTS[type], 'ok', type === 'Query' ? { ...fields, success: true } : { ...fields }),
    disconnected: (reason) => record('client.disconnect', 'ok', { ...serverFields, reason }),
    ended: () =>
      record('db.session.end', 'ok', {
        session_start: session.startedAt.toISOString(),
        session_stop: server.now().toISOString(),
        participants: [identity.username],
        'addr.remote': session.clientAddr,
        'addr.local': redactValue(database.spec.uri),
        proto: 'db',
      }),
  };
}
