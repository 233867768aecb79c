/**
 * What the audit log says about a client's message: its body as the fields of the event, in their JSON names. Pure.
 *
 * Bodies come from `scan.ts` and may have been cut at its cap; then the fields hold what was whole, text up to the cut.
 * Rules for parameters: text as it is, binary as base64, other formats as `<unknown>`, NULL as an empty text; a number of
 * format codes that fits nothing gives an empty list, as Teleport's own database service records it.
 */

import { TeleportError } from '../errors.js';
import { decodeFrontend } from './decode.js';
import { type FrontendMessage, nameTag, tagByte } from './messages.js';

export type AuditedStatement =
  | { type: 'Query'; fields: { db_query: string } }
  | { type: 'Parse'; fields: { statement_name: string; query: string } }
  | { type: 'Bind'; fields: { statement_name: string; portal_name: string; parameters: string[] } }
  | { type: 'Execute'; fields: { portal_name: string } }
  | { type: 'Close'; fields: { statement_name: string } | { portal_name: string } }
  | { type: 'FunctionCall'; fields: { function_oid: number; function_args: string[] } };

/** Tags of the messages that are audited. */
export const AUDITED_TAGS: ReadonlySet<number> = new Set(['Q', 'P', 'B', 'E', 'C', 'F'].map(tagByte));

/**
 * @param tag  one of `AUDITED_TAGS`; others give undefined
 * @param body  the body or its beginning
 * @param bodyBytes  length of the whole body; when `body` is shorter, it was cut
 * @throws TeleportError 'Protocol' when a whole body does not decode
 */
export function auditedStatement(tag: number, body: Buffer, bodyBytes: number): AuditedStatement | undefined {
  if (!AUDITED_TAGS.has(tag)) return undefined;
  return body.length < bodyBytes ? ofCut(tag, body, bodyBytes) : ofWhole(decodeFrontend(tag, body));
}

function ofWhole(message: FrontendMessage): AuditedStatement | undefined {
  switch (message.type) {
    case 'Query':
      return { type: 'Query', fields: { db_query: message.query } };
    case 'Parse':
      return { type: 'Parse', fields: { statement_name: message.statement, query: message.query } };
    case 'Bind':
      return {
        type: 'Bind',
        fields: {
          statement_name: message.statement,
          portal_name: message.portal,
          parameters: parameterTexts(message.parameterFormats, message.parameters),
        },
      };
    case 'Execute':
      return { type: 'Execute', fields: { portal_name: message.portal } };
    case 'Close':
      return {
        type: 'Close',
        fields: message.target === 'S' ? { statement_name: message.name } : { portal_name: message.name },
      };
    case 'FunctionCall':
      return {
        type: 'FunctionCall',
        fields: {
          function_oid: message.functionOid,
          function_args: parameterTexts(message.argumentFormats, message.arguments),
        },
      };
    default:
      return undefined;
  }
}

function parameterTexts(
  formats: readonly number[],
  values: readonly (Buffer | null)[],
  total = values.length,
): string[] {
  if (formats.length > 1 && formats.length !== total) return [];
  return values.map((value, i) => {
    const format = formats.length === 0 ? 0 : formats[formats.length === 1 ? 0 : i];
    if (value === null) return '';
    if (format === 0) return value.toString('utf8');
    return format === 1 ? value.toString('base64') : '<unknown>';
  });
}

/** Of a body without its end: what is there. Strings reach to the cut; values that are not whole are left out. */
function ofCut(tag: number, body: Buffer, bodyBytes: number): AuditedStatement {
  const left = new CutReader(body);
  switch (String.fromCharCode(tag)) {
    case 'Q':
      return { type: 'Query', fields: { db_query: left.text() } };
    case 'P':
      return { type: 'Parse', fields: { statement_name: left.text(), query: left.text() } };
    case 'B': {
      const portal = left.text();
      return {
        type: 'Bind',
        fields: { statement_name: left.text(), portal_name: portal, parameters: left.parameters() },
      };
    }
    case 'E':
      return { type: 'Execute', fields: { portal_name: left.text() } };
    case 'C': {
      const isStatement = left.number(1) === tagByte('S');
      return { type: 'Close', fields: isStatement ? { statement_name: left.text() } : { portal_name: left.text() } };
    }
    case 'F':
      return { type: 'FunctionCall', fields: { function_oid: left.number(4) ?? 0, function_args: left.parameters() } };
    default:
      throw new TeleportError('Protocol', `PostgreSQL message ${nameTag(tag, bodyBytes)} is not audited`);
  }
}

class CutReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  text(): string {
    const zero = this.#bytes.indexOf(0, this.#at);
    const end = zero < 0 ? this.#bytes.length : zero;
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = Math.min(end + 1, this.#bytes.length);
    return text;
  }

  number(bytes: 1 | 2 | 4): number | undefined {
    if (this.#at + bytes > this.#bytes.length) return undefined;
    this.#at += bytes;
    return this.#bytes.readUIntBE(this.#at - bytes, bytes);
  }

  parameters(): string[] {
    const formats: number[] = [];
    for (let left = this.number(2) ?? 0; left > 0; left--) {
      const format = this.number(2);
      if (format === undefined) return [];
      formats.push(format);
    }
    const total = this.number(2) ?? 0;
    const values: (Buffer | null)[] = [];
    while (values.length < total) {
      const length = this.number(4);
      if (length === undefined) break;
      const bytes = length === 0xffff_ffff ? 0 : length;
      if (this.#at + bytes > this.#bytes.length) break;
      values.push(length === 0xffff_ffff ? null : this.#bytes.subarray(this.#at, this.#at + bytes));
      this.#at += bytes;
    }
    return parameterTexts(formats, values, total);
  }
}
