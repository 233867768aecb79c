/**
 * What the audit log says about a client's messages: their bodies as the fields of the events, in their JSON names.
 *
 * A body up to 64 KiB comes whole. A longer one is read while it passes (`BodyReader`), so that nobody holds 16 MiB: of a
 * text, each further 64 KiB is a part of its own; of values the first 64 KiB are kept, and lengths and hashes of the rest.
 *
 * Bytes that are not UTF-8 stand for themselves, in names and values as in texts, and a field beside them says so.
 *
 * Rules for values: text as it is, binary as base64, other formats as `<unknown>`, NULL as an empty text; a number of
 * format codes that fits nothing gives an empty list, as Teleport's own database service records it.
 */

import { TeleportError } from '../errors.js';
import { sha256 } from '../sha256.js';
import { type Ask, BodyReader, type BodyScript, nameTooLong } from './body-reader.js';
import { decodeFrontend } from './decode.js';
import { KEPT_BYTES, type KeptText, keptText, LongText, LongValues, sumOfValues } from './kept-text.js';
import { nameTag, tagByte } from './messages.js';

/** `db_query`, and for Parse `query`, is the first of it. */
export interface TextFields {
  db_query_bytes: number;
  db_query_sha256: string;
  /** Parts that have more of it; none for a text of up to 64 KiB. */
  db_query_parts?: number;
  /** The text is not UTF-8: each character stands for a byte. */
  db_query_encoding?: 'latin1';
}

/** A name as its client sent it. Of one that is not UTF-8 each character stands for a byte. */
type Named<K extends 'statement_name' | 'portal_name'> = Record<K, string> & Partial<Record<`${K}_encoding`, 'latin1'>>;

export type AuditedStatement =
  | { type: 'Query'; fields: { db_query: string } & TextFields }
  | { type: 'Parse'; fields: Named<'statement_name'> & { query: string } & TextFields }
  | { type: 'Bind'; fields: Named<'statement_name'> & Named<'portal_name'> & { parameters: string[] } }
  | { type: 'Execute'; fields: Named<'portal_name'> }
  | { type: 'Close'; fields: Named<'statement_name'> | Named<'portal_name'> }
  | { type: 'FunctionCall'; fields: { function_oid: number; function_args: string[] } };

/** More of a long text, before its statement. `part` counts from 1. */
export interface TextPart {
  part: number;
  text: string;
  encoding?: 'latin1';
}

/** Longest statement, in bytes of its message's body. Our own limit; PostgreSQL's is 1 GiB. */
export const MOST_STATEMENT_BYTES = 16 * 2 ** 20 + 1;
/** Longest name of a statement or portal; PostgreSQL uses 63 bytes of one. Each is in a record, six times as long at worst. */
const MOST_NAME_BYTES = 1024;

/** Tags of the messages that are audited, and the largest body of those that have a bound of their own. */
const AUDITED: ReadonlyMap<number, number | undefined> = new Map(
  (
    [
      ['Q', MOST_STATEMENT_BYTES],
      ['P', MOST_STATEMENT_BYTES],
      ['B', undefined],
      ['F', undefined],
      ['E', KEPT_BYTES],
      ['C', KEPT_BYTES],
    ] as const
  ).map(([letter, most]) => [tagByte(letter), most]),
);

export interface StatementSink {
  onPart: (part: TextPart) => void;
  /** Called for each audited message when its last byte has been seen. */
  onStatement: (statement: AuditedStatement) => void;
}

/** For a scanner of the client's messages, which has the same members. Throws 'Protocol' for what does not decode. */
export class StatementReader {
  readonly wanted = (tag: number) => (AUDITED.has(tag) ? KEPT_BYTES : undefined);
  readonly most = (tag: number) => AUDITED.get(tag);
  readonly #sink: StatementSink;
  /** The message that comes in pieces. */
  #reader: BodyReader<AuditedStatement> | undefined;

  constructor(sink: StatementSink) {
    this.#sink = sink;
  }

  onMessage = (tag: number, _bodyBytes: number, body: Buffer | undefined): void => {
    if (body) this.#sink.onStatement(statementOf(tag, body));
  };

  onPiece = (tag: number, bodyBytes: number, piece: Buffer, isLast: boolean): void => {
    this.#reader ??= new BodyReader(this.#scriptOf(tag), nameTag(tag, bodyBytes));
    this.#reader.push(piece);
    if (!isLast) return;
    const statement = this.#reader.end();
    this.#reader = undefined;
    this.#sink.onStatement(statement);
  };

  #scriptOf(tag: number): BodyScript<AuditedStatement> {
    switch (String.fromCharCode(tag)) {
      case 'Q':
        return queryScript(this.#sink.onPart);
      case 'P':
        return parseScript(this.#sink.onPart);
      case 'B':
        return bindScript();
      case 'F':
        return callScript();
      default:
        throw new TeleportError('Protocol', `PostgreSQL message ${nameTag(tag, 0)} is not read in pieces`);
    }
  }
}

/** @throws TeleportError 'Protocol' for a body that does not decode */
function statementOf(tag: number, body: Buffer): AuditedStatement {
  const message = decodeFrontend(tag, body);
  switch (message.type) {
    case 'Query':
      return { type: 'Query', fields: queryFields(body.subarray(0, -1)) };
    case 'Parse': {
      const end = endOfName(tag, body, 0);
      const start = end + 1;
      const { db_query: query, ...fields } = queryFields(body.subarray(start, body.indexOf(0, start)));
      return { type: 'Parse', fields: { ...named('statement_name', body.subarray(0, end)), query, ...fields } };
    }
    case 'Bind': {
      const portalEnd = endOfName(tag, body, 0);
      const statement = body.subarray(portalEnd + 1, endOfName(tag, body, portalEnd + 1));
      const names = { ...named('statement_name', statement), ...named('portal_name', body.subarray(0, portalEnd)) };
      const values = wholeValues('parameters', message.parameterFormats, message.parameters);
      return { type: 'Bind', fields: { ...names, parameters: [], ...values } };
    }
    case 'Execute':
      return { type: 'Execute', fields: named('portal_name', body.subarray(0, endOfName(tag, body, 0))) };
    case 'Close': {
      const name = body.subarray(1, endOfName(tag, body, 1));
      const isStatement = message.target === 'S';
      return { type: 'Close', fields: isStatement ? named('statement_name', name) : named('portal_name', name) };
    }
    case 'FunctionCall': {
      const values = wholeValues('function_args', message.argumentFormats, message.arguments);
      return { type: 'FunctionCall', fields: { function_oid: message.functionOid, function_args: [], ...values } };
    }
    default:
      throw new TeleportError('Protocol', `PostgreSQL message ${nameTag(tag, body.length)} is not audited`);
  }
}

/** @throws TeleportError (54000) for a name that is longer than a record has */
function endOfName(tag: number, body: Buffer, from: number): number {
  const end = body.indexOf(0, from);
  if (end - from > MOST_NAME_BYTES) throw nameTooLong(nameTag(tag, body.length), MOST_NAME_BYTES);
  return end;
}

function queryFields(bytes: Buffer): { db_query: string } & TextFields {
  return textFields({ first: keptText(bytes), bytes: bytes.length, parts: 0, sha256: sha256(bytes) });
}

function textFields(text: ReturnType<LongText['end']>): { db_query: string } & TextFields {
  return {
    db_query: text.first.text,
    db_query_bytes: text.bytes,
    db_query_sha256: text.sha256,
    ...(text.parts > 0 ? { db_query_parts: text.parts } : {}),
    ...(text.first.encoding ? { db_query_encoding: text.first.encoding } : {}),
  };
}

function named<K extends 'statement_name' | 'portal_name'>(field: K, bytes: Buffer): Named<K> {
  const { text, encoding } = keptText(bytes);
  return { [field]: text, ...(encoding ? { [`${field}_encoding`]: encoding } : {}) } as Named<K>;
}

/** Their hash as well, where one of them is not UTF-8. */
function wholeValues(field: string, formats: readonly number[], values: readonly (Buffer | null)[]) {
  const fields = valueFields(field, formats, values);
  return fields[`${field}_latin1`] ? { ...fields, [`${field}_sha256`]: sumOfValues(values) } : fields;
}

/** The values, and which of them are not UTF-8. */
function valueFields(
  field: string,
  formats: readonly number[],
  values: readonly (Buffer | null)[],
  total = values.length,
): Record<string, unknown> {
  if (formats.length > 1 && formats.length !== total) return { [field]: [] };
  const latin1: number[] = [];
  const texts = values.map((value, i) => {
    const format = formats.length === 0 ? 0 : formats[formats.length === 1 ? 0 : i];
    if (value === null) return '';
    if (format !== 0) return format === 1 ? value.toString('base64') : '<unknown>';
    const { text, encoding } = keptText(value);
    if (encoding) latin1.push(i);
    return text;
  });
  return { [field]: texts, ...(latin1.length > 0 ? { [`${field}_latin1`]: latin1 } : {}) };
}

type OnPart = StatementSink['onPart'];

function* longText(onPart: OnPart): Generator<Ask, { db_query: string } & TextFields, Buffer> {
  const text = new LongText((part, kept: KeptText) => onPart({ part, ...kept }));
  yield { passText: (piece) => text.add(piece) };
  return textFields(text.end());
}

function* queryScript(onPart: OnPart): BodyScript<AuditedStatement> {
  return { type: 'Query', fields: yield* longText(onPart) };
}

function* parseScript(onPart: OnPart): BodyScript<AuditedStatement> {
  const name = named('statement_name', yield* nameBytes());
  const { db_query: query, ...fields } = yield* longText(onPart);
  yield* passList(4);
  return { type: 'Parse', fields: { ...name, query, ...fields } };
}

function* bindScript(): BodyScript<AuditedStatement> {
  const portal = named('portal_name', yield* nameBytes());
  const statement = named('statement_name', yield* nameBytes());
  const parameters = yield* longValues('parameters');
  yield* passList(2);
  return { type: 'Bind', fields: { ...statement, ...portal, parameters: [], ...parameters } };
}

function* callScript(): BodyScript<AuditedStatement> {
  const function_oid = (yield { exactly: 4 }).readUInt32BE();
  const args = yield* longValues('function_args');
  yield { exactly: 2 };
  return { type: 'FunctionCall', fields: { function_oid, function_args: [], ...args } };
}

function* nameBytes(): Generator<Ask, Buffer, Buffer> {
  return yield { text: MOST_NAME_BYTES };
}

/** A count and that many numbers. */
function* passList(bytes: number): Generator<Ask, void, Buffer> {
  const count = (yield { exactly: 2 }).readUInt16BE();
  yield { pass: count * bytes, each: () => {} };
}

/** Format codes and values. The fields: those kept, and of all of them how many, how long and their hash. */
function* longValues(field: string): Generator<Ask, Record<string, unknown>, Buffer> {
  const codes = (yield { exactly: 2 }).readUInt16BE();
  const packed = yield { exactly: 2 * codes };
  const formats = Array.from({ length: codes }, (_, i) => packed.readInt16BE(2 * i));
  const count = (yield { exactly: 2 }).readUInt16BE();
  const values = new LongValues();
  for (let i = 0; i < count; i++) {
    const word = yield { exactly: 4 };
    const length = word.readInt32BE();
    if (length < -1) throw new TeleportError('Protocol', 'PostgreSQL message with a value of a negative length');
    values.begin(word, Math.max(0, length));
    yield { pass: Math.max(0, length), each: (piece) => values.add(piece) };
    values.end(length === -1);
  }
  return {
    ...valueFields(field, formats, values.kept, count),
    [`${field}_count`]: count,
    [`${field}_bytes`]: values.bytes,
    [`${field}_sha256`]: values.sha256(),
    [`${field}_cut`]: values.cut,
  };
}
