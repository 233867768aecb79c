/**
 * Audit events as data: their names, codes and the fields that every event carries. Field names are JSON names of
 * Teleport 18.3.0 (lib/events/codes.go, lib/events/api.go; the table of database events is in lib/srv/db/common/audit.go),
 * so that the tools people have for Teleport's log read ours.
 */
import { randomUUID } from 'node:crypto';

/** Event name to its codes: `ok` for success or plain information, `failed` for the refused or failed form. */
export const AUDIT_EVENTS = {
  'user.login': { ok: 'T1000I', failed: 'T1000W' },
  'user.create': { ok: 'T1002I' },
  'user.update': { ok: 'T1003I' },
  'user.delete': { ok: 'T1004I' },
  'user.password_change': { ok: 'T1005I' },
  'mfa.add': { ok: 'T1006I' },
  'reset_password_token.create': { ok: 'T6000I' },
  'role.created': { ok: 'T9000I' },
  'role.deleted': { ok: 'T9001I' },
  'role.updated': { ok: 'T9002I' },
  'trusted_cluster.create': { ok: 'T7000I' },
  'trusted_cluster.delete': { ok: 'T7001I' },
  // Ours: a leaf of this cluster.
  'remote_cluster.create': { ok: 'T7050I' },
  'remote_cluster.delete': { ok: 'T7051I' },
  'auth_preference.update': { ok: 'TCAUTH001I' },
  'cluster_networking_config.update': { ok: 'TCNET002I' },
  'session_recording_config.update': { ok: 'TCREC003I' },
  'lock.created': { ok: 'TLK00I' },
  'lock.deleted': { ok: 'TLK01I' },
  'join_token.create': { ok: 'TJT00I' },
  // Teleport has no events for these two.
  'join_token.delete': { ok: 'TJT50I' },
  'db_server.delete': { ok: 'TDB50I' },
  'instance.join': { ok: 'TJ002I', failed: 'TJ002E' },
  'cert.create': { ok: 'TC000I' },
  'db.create': { ok: 'TDB03I' },
  'db.update': { ok: 'TDB04I' },
  'db.delete': { ok: 'TDB05I' },
  'db.session.start': { ok: 'TDB00I', failed: 'TDB00W' },
  'db.session.end': { ok: 'TDB01I' },
  'db.session.query': { ok: 'TDB02I' },
  'db.session.query.failed': { failed: 'TDB02W' },
  // Ours: more of a text that is too long for one event.
  'db.session.query.part': { ok: 'TDB02P' },
  // Ours: an authority goes on to another phase of its rotation.
  'cert_authority.rotate': { ok: 'TCA01I' },
  'db.session.malformed_packet': { ok: 'TDB06I' },
  'db.session.permissions.update': { ok: 'TDB07I' },
  'db.session.user.create': { ok: 'TDB08I', failed: 'TDB08W' },
  'db.session.user.deactivate': { ok: 'TDB09I', failed: 'TDB09W' },
  'db.session.result': { ok: 'TDB10I' },
  'db.session.postgres.statements.parse': { ok: 'TPG00I' },
  'db.session.postgres.statements.bind': { ok: 'TPG01I' },
  'db.session.postgres.statements.execute': { ok: 'TPG02I' },
  'db.session.postgres.statements.close': { ok: 'TPG03I' },
  'db.session.postgres.function': { ok: 'TPG04I' },
  'client.disconnect': { ok: 'T3006I' },
  // Of Auth's own log; Teleport has no such events.
  'audit.checkpoint': { ok: 'TAU00I' },
  'audit.log.changed': { failed: 'TAU01W' },
  'audit.log.expired': { ok: 'TAU02I' },
  'audit.log.unsigned': { failed: 'TAU04W' },
  'audit.change.failed': { failed: 'TAU03W' },
} as const satisfies Record<string, { ok?: string; failed?: string }>;

export type AuditEventName = keyof typeof AUDIT_EVENTS;
export type AuditOutcome = 'ok' | 'failed';

/** One event as it is written: flat, JSON-ready, empty fields left out. */
export interface AuditEvent {
  /** Order within one session, 0 where there is no session. */
  ei: number;
  event: string;
  uid: string;
  code: string;
  /** RFC 3339, UTC, milliseconds. */
  time: string;
  cluster_name?: string;
  /** Put behind it by Auth (`chain.ts`). */
  auth?: { received: string; host: string; n: number; sum: string };
  [field: string]: unknown;
}

export interface AuditContext {
  clusterName: string;
  now: () => Date;
}

/** Fields that are written although they are empty. */
const ALWAYS = new Set(['db_protocol', 'db_uri', 'db_query', 'username', 'delete', 'success']);

/**
 * Complete an event: adds ei, uid, code, time and cluster_name, leaves out empty fields.
 *
 * @param fields  event-specific fields in their JSON names; `ei`, `uid`, `time` and `cluster_name` may be overridden
 */
export function auditEvent(
  name: AuditEventName,
  outcome: AuditOutcome,
  fields: Record<string, unknown>,
  { clusterName, now }: AuditContext,
): AuditEvent {
  return {
    ei: 0,
    event: name,
    uid: randomUUID(),
    code: codeOf(name, outcome),
    time: now().toISOString(),
    cluster_name: clusterName,
    ...withoutEmpty(fields),
  };
}

export function codeOf(name: AuditEventName, outcome: AuditOutcome): string {
  const codes: { ok?: string; failed?: string } = AUDIT_EVENTS[name];
  return codes[outcome] ?? codes.ok ?? codes.failed ?? '';
}

/** Without the fields that are left out when they are empty. */
export function withoutEmpty(fields: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(fields)) if (!isEmpty(fields[key]) || ALWAYS.has(key)) kept[key] = fields[key];
  return kept;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && !(value instanceof Date) && Object.keys(value).length === 0;
}
