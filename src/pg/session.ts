/**
 * Statements over a Duplex that is logged in: a small client for `tsh db exec` without psql and for the admin user's
 * procedures. One statement at a time; values travel as text.
 *
 * Specification: PostgreSQL manual, "Protocol Flow": "Simple Query", "Extended Query". COPY is refused here: psql does it.
 */

import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { decodeBackend } from './decode.js';
import { encodeFrontend } from './encode.js';
import { type LoggedIn, type LoginOptions, login } from './frontend.js';
import type { FieldDescription, FrontendMessage } from './messages.js';
import { ServerError } from './server-error.js';
import { type Deadline, deadlineIn, readMessage } from './stream.js';

export type ResultRow = (string | null)[];

export interface StatementResult {
  fields: FieldDescription[];
  rows: ResultRow[];
  /** `SELECT 3`, `INSERT 0 1`, …; empty for an empty statement. */
  commandTag: string;
}

/** What a server may take of our time and memory. */
export interface StatementLimits {
  /** For all statements of the call together. Default 10 minutes; Infinity = no limit. */
  timeoutMs?: number;
  /** Of one message, in bytes. Default: `maxResultBytes`. */
  maxBodyBytes?: number;
  /** Of all that the call keeps in memory (`KEPT_BYTES`). Default 256 MiB. */
  maxResultBytes?: number;
  /** Of all its results together. Default: as many as `maxResultBytes` allow. */
  maxRows?: number;
}

export interface StatementOptions extends StatementLimits {
  /** Takes the result of each statement when it is complete, also of those before one that fails. */
  onResult?: (result: StatementResult) => void;
  /** Takes what the server remarks meanwhile. */
  onNotice?: (notice: ServerError) => void;
}

export interface PgSession extends LoggedIn {
  readonly duplex: Duplex;
  query(sql: string, options?: StatementOptions): Promise<StatementResult[]>;
  execute(sql: string, parameters?: readonly (string | null)[], options?: StatementOptions): Promise<StatementResult>;
  /** Says Terminate and ends the Duplex. */
  close(): void;
}

const DEFAULT_STATEMENT_TIMEOUT_MS = 600_000;
const DEFAULT_RESULT_BYTES = 256 * 1024 * 1024;
/** What each of these takes in memory beside its text: a row without columns is 7 bytes on the wire. */
const KEPT_BYTES = { row: 64, value: 32, field: 128, result: 192, notice: 256 };

/** Log in and keep the connection for statements. Throws as `login`; a Duplex that could not log in is the caller's. */
export async function connectSession(duplex: Duplex, options: LoginOptions): Promise<PgSession> {
  return sessionOver(duplex, await login(duplex, options));
}

/** Statements over a Duplex that somebody else has logged in. @param limits  of each call that does not name its own */
export function sessionOver(duplex: Duplex, loggedIn: LoggedIn, limits: StatementLimits = {}): PgSession {
  // A break between two statements is met by the next one, not by the process.
  const ignore = () => {};
  duplex.on('error', ignore);
  return {
    ...loggedIn,
    duplex,
    query: (sql, options) => simpleQuery(duplex, sql, { ...limits, ...options }),
    execute: (sql, parameters, options) => extendedQuery(duplex, sql, parameters, { ...limits, ...options }),
    close() {
      if (!duplex.destroyed && !duplex.writableEnded) duplex.end(encodeFrontend({ type: 'Terminate' }));
      duplex.resume();
    },
  };
}

/**
 * One Query message, which may hold several statements.
 *
 * @returns a result a statement, in order
 * @throws ServerError for the first one that fails; the connection can be used on. After any other error it cannot:
 * 'LimitExceeded' for results that are too large, 'NotImplemented' for COPY from standard input and to standard output, 'Protocol',
 * 'ConnectionProblem'
 */
export async function simpleQuery(
  duplex: Duplex,
  sql: string,
  options: StatementOptions = {},
): Promise<StatementResult[]> {
  duplex.write(encodeFrontend({ type: 'Query', query: sql }));
  return await readResults(duplex, options);
}

/**
 * One statement with parameters `$1`, `$2`, … given as text.
 *
 * @throws as `simpleQuery`
 */
export async function extendedQuery(
  duplex: Duplex,
  sql: string,
  parameters: readonly (string | null)[] = [],
  options: StatementOptions = {},
): Promise<StatementResult> {
  const messages: FrontendMessage[] = [
    { type: 'Parse', statement: '', query: sql, parameterTypes: [] },
    {
      type: 'Bind',
      portal: '',
      statement: '',
      parameterFormats: [],
      parameters: parameters.map((value) => (value === null ? null : Buffer.from(value))),
      resultFormats: [],
    },
    { type: 'Describe', target: 'P', name: '' },
    { type: 'Execute', portal: '', maxRows: 0 },
    { type: 'Sync' },
  ];
  duplex.write(Buffer.concat(messages.map(encodeFrontend)));
  const [result] = await readResults(duplex, options);
  return result ?? { fields: [], rows: [], commandTag: '' };
}

/** As far as ReadyForQuery. */
async function readResults(duplex: Duplex, options: StatementOptions): Promise<StatementResult[]> {
  const deadline: Deadline = deadlineIn(options.timeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS, 'end of the statement');
  const keep = keeper(options);
  const maxBodyBytes = options.maxBodyBytes ?? options.maxResultBytes ?? DEFAULT_RESULT_BYTES;
  const results: StatementResult[] = [];
  let fields: FieldDescription[] = [];
  let rows: ResultRow[] = [];
  let failure: TeleportError | undefined;
  const finish = (commandTag: string) => {
    keep(KEPT_BYTES.result + commandTag.length);
    results.push({ fields, rows, commandTag });
    options.onResult?.({ fields, rows, commandTag });
    fields = [];
    rows = [];
  };
  for (;;) {
    const { tag, body } = await readMessage(duplex, { deadline, maxBodyBytes }).catch((error: unknown) => {
      // A server that ends the session says why, and does not come as far as ReadyForQuery.
      throw failure ?? error;
    });
    const message = decodeBackend(tag, body);
    switch (message.type) {
      case 'RowDescription':
        keep(body.length + KEPT_BYTES.field * message.fields.length);
        fields = message.fields;
        break;
      case 'DataRow':
        keep(body.length + KEPT_BYTES.row + KEPT_BYTES.value * message.values.length, 1);
        rows.push(message.values.map((value) => (value === null ? null : value.toString('utf8'))));
        break;
      case 'CommandComplete':
        finish(message.commandTag);
        break;
      case 'EmptyQueryResponse':
        finish('');
        break;
      case 'ErrorResponse':
        failure ??= new ServerError(message.fields, body);
        break;
      case 'NoticeResponse':
        if (options.onNotice) keep(body.length + KEPT_BYTES.notice);
        options.onNotice?.(new ServerError(message.fields, body));
        break;
      case 'CopyInResponse':
        failure ??= copyRefused();
        duplex.write(encodeFrontend({ type: 'CopyFail', message: 'COPY is not supported here' }));
        break;
      case 'CopyOutResponse':
        failure ??= copyRefused();
        break;
      case 'ReadyForQuery':
        if (failure) throw failure;
        return results;
      case 'ParseComplete':
      case 'BindComplete':
      case 'NoData':
      case 'NotificationResponse':
      case 'ParameterStatus':
      case 'CopyData':
      case 'CopyDone':
        break;
      default:
        throw new TeleportError('Protocol', `the database server sent ${message.type} out of turn`);
    }
  }
}

/** Counts what is kept. */
function keeper({ maxResultBytes = DEFAULT_RESULT_BYTES, maxRows = Infinity }: StatementLimits) {
  let [bytes, rows] = [0, 0];
  return (moreBytes: number, moreRows = 0): void => {
    bytes += moreBytes;
    rows += moreRows;
    const what = rows > maxRows ? `${maxRows} rows` : bytes > maxResultBytes ? `${maxResultBytes} bytes` : undefined;
    if (what) throw new TeleportError('LimitExceeded', `the results of the database are more than ${what}`);
  };
}

function copyRefused(): TeleportError {
  return new TeleportError('NotImplemented', 'COPY from or to the client works through psql only', {
    hint: 'Use `tsh db connect`.',
  });
}
