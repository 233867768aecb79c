/**
 * What ran, out of the records of sessions: each statement that was executed with its text, and what it came to. A prepared
 * statement is recorded in three steps (its text, its values, its execution); here they come together again. A step that failed
 * or was skipped has taken no name. Pure.
 */
export interface RanStatement {
  time: string;
  database: string;
  dbUser: string;
  dbName: string;
  /** What is known of its text; a statement that was prepared before the records begin has its name alone. */
  text: string;
  /** Whether the text is longer than what is recorded in one piece. */
  isCut: boolean;
  session: string;
  result?: {
    success: boolean;
    rows?: number;
    affected?: number;
    sqlState?: string;
    error?: string;
    durationMs?: number;
  };
}

type Members = Record<string, unknown>;

/** Names of events that are needed. */
export const STATEMENT_KINDS = [
  'db.session.query',
  'db.session.query.failed',
  'db.session.postgres.statements.parse',
  'db.session.postgres.statements.bind',
  'db.session.postgres.statements.execute',
  'db.session.postgres.function',
  'db.session.result',
];

/** @param records  oldest first */
export function ranStatements(records: readonly Members[]): RanStatement[] {
  const ran: RanStatement[] = [];
  const byUid = new Map<unknown, RanStatement>();
  /** Text of a prepared statement, and of a portal made from it, by session and name. */
  const prepared = new Map<string, Text>();
  const portals = new Map<string, Text>();
  const add = (record: Members, text: Text) => {
    const one = statementOf(record, text);
    ran.push(one);
    byUid.set(record.uid, one);
  };
  const uidsOf = readerOfUids(records);
  const failed = failedUids(records, uidsOf);
  for (const record of records) {
    const of = (field: 'statement_name' | 'portal_name') => `${String(record.sid)} ${nameOf(record, field)}`;
    switch (String(record.event).replace(/^db\.session\.(postgres\.)?(statements\.)?/, '')) {
      case 'query':
      case 'query.failed':
        add(record, { text: textOf(record.db_query), isCut: record.db_query_parts !== undefined });
        break;
      case 'parse':
        if (failed.has(record.uid)) break;
        prepared.set(of('statement_name'), {
          text: textOf(record.query),
          isCut: record.db_query_parts !== undefined,
        });
        break;
      case 'bind':
        if (failed.has(record.uid)) break;
        portals.set(
          of('portal_name'),
          prepared.get(of('statement_name')) ?? {
            text: `(prepared: ${textOf(record.statement_name)})`,
            isCut: true,
          },
        );
        break;
      case 'execute':
        add(record, portals.get(of('portal_name')) ?? { text: '(prepared earlier)', isCut: true });
        break;
      case 'function':
        add(record, { text: `(function ${String(record.function_oid)})`, isCut: false });
        break;
      case 'result':
        for (const uid of uidsOf(record)) {
          const one = byUid.get(uid);
          if (one) one.result = resultOf(record);
        }
    }
  }
  return ran;
}

type UidsOf = (result: Members) => unknown[];

/** Which statements a result is about: one, or all of its session from one to another. */
function readerOfUids(records: readonly Members[]): UidsOf {
  const sessions = new Map<unknown, unknown[]>();
  const places = new Map<unknown, number>();
  for (const { sid, uid } of records) {
    const uids = sessions.get(sid) ?? [];
    sessions.set(sid, uids);
    places.set(uid, uids.push(uid) - 1);
  }
  return ({ sid, uid, uid_of, uid_to }) => {
    if (uid_to === undefined) return [uid_of];
    // The first may be older than what is here; the last stands before its result.
    const [from = 0, to = places.get(uid)] = [places.get(uid_of), places.get(uid_to)];
    return sessions.get(sid)!.slice(from, to === undefined ? to : to + 1);
  };
}

/** Of what took no name. A result may come after the records of what was sent behind its statement. */
function failedUids(records: readonly Members[], uidsOf: UidsOf): Set<unknown> {
  const results = records.filter(
    ({ event, success, outcome }) => event === 'db.session.result' && success !== true && outcome !== 'unknown',
  );
  return new Set(results.flatMap(uidsOf));
}

/** As PostgreSQL compares it: the first 63 bytes. */
function nameOf(record: Members, field: 'statement_name' | 'portal_name'): string {
  const encoding = record[`${field}_encoding`] === 'latin1' ? 'latin1' : 'utf8';
  return Buffer.from(textOf(record[field]), encoding).toString('latin1', 0, 63);
}

interface Text {
  text: string;
  isCut: boolean;
}

function statementOf(record: Members, { text, isCut }: Text): RanStatement {
  const { time, db_service, db_user, db_name, sid } = record;
  const [at, database, dbUser, dbName, session] = [time, db_service, db_user, db_name, sid].map(textOf);
  return { time: at!, database: database!, dbUser: dbUser!, dbName: dbName!, text, isCut, session: session! };
}

function resultOf({ success, rows, affected_records, sqlstate, error, duration_ms }: Members) {
  return {
    success: success === true,
    ...(typeof rows === 'number' ? { rows } : {}),
    ...(typeof affected_records === 'number' ? { affected: affected_records } : {}),
    ...(typeof sqlstate === 'string' ? { sqlState: sqlstate } : {}),
    ...(typeof error === 'string' ? { error } : {}),
    ...(typeof duration_ms === 'number' ? { durationMs: duration_ms } : {}),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** For a cell: rows, or the SQLSTATE of a failure; empty where nothing is known. */
export function resultText({ result }: RanStatement): string {
  if (result === undefined) return '';
  if (!result.success) return result.sqlState ?? 'unknown';
  const count = result.rows || result.affected || 0;
  return `${count} ${count === 1 ? 'row' : 'rows'}`;
}
