/**
 * The records of one session as the lines that travel. Each has its number (`ei`, from 0 without gaps) and `prev`, the
 * SHA-256 of the record before it, as hexadecimal digits: of its JSON text as it is shipped, without the line feed; 64 zeros in
 * the first. A record that is changed, left out or put elsewhere breaks the chain at the next one.
 *
 * What all records of a session have in common is encoded once.
 */
import { randomUUID } from 'node:crypto';
import { sha256 } from '../sha256.js';
import { type AuditContext, type AuditEventName, type AuditOutcome, codeOf, withoutEmpty } from './events.js';
import { isTooLong, RecordTooLong, recordText } from './record-text.js';

export interface SessionRecord {
  name: AuditEventName;
  outcome: AuditOutcome;
  /** In their JSON names, without those that all records of the session have. */
  fields: Record<string, unknown>;
  uid: string;
  /** RFC 3339. */
  time: string;
}

/** `prev` of the first record of a session. */
export const NO_RECORD_BEFORE = '0'.repeat(64);

/** `prev` of the record that follows this one. @param record  its JSON text, without a line feed */
export const sumOfRecord = (record: string): string => sha256(record);

export class RecordChain {
  readonly #now: () => Date;
  /** The fields that every record has, from a comma on. */
  #common: string;
  #next = 0;
  #prev = NO_RECORD_BEFORE;

  /** @param common  fields that are the same in all records, in their JSON names */
  constructor(common: Record<string, unknown>, { clusterName, now }: AuditContext) {
    this.#now = now;
    this.#common = members({ cluster_name: clusterName, ...common });
  }

  /** Fields that all records have from now on, as well. */
  extend(fields: Record<string, unknown>): void {
    this.#common += members(fields);
  }

  /** A record as of now, to be appended. */
  record(
    name: AuditEventName,
    outcome: AuditOutcome,
    fields: Record<string, unknown>,
    { uid = randomUUID(), time = this.#now() }: { uid?: string; time?: Date } = {},
  ): SessionRecord {
    return { name, outcome, fields, uid, time: time.toISOString() };
  }

  /**
   * Encode the records and have them written. What `write` throws leaves the chain where it was.
   *
   * @param write  takes whole lines, synchronously
   * @returns what it returns
   * @throws RecordTooLong for a record that Auth would refuse
   */
  append<T>(records: readonly SessionRecord[], write: (lines: string) => T): T {
    let next = this.#next;
    let prev = this.#prev;
    let lines = '';
    for (const { name, outcome, fields, uid, time } of records) {
      const head = `{"ei":${next++},"prev":"${prev}","event":"${name}","uid":"${uid}","code":"${codeOf(name, outcome)}","time":"${time}"`;
      const text = `${head}${this.#common}${members(fields)}}`;
      if (isTooLong(text)) throw new RecordTooLong(name);
      prev = sumOfRecord(text);
      lines += `${text}\n`;
    }
    const written = write(lines);
    this.#next = next;
    this.#prev = prev;
    return written;
  }
}

/** Members of a JSON object, each after a comma. */
function members(fields: Record<string, unknown>): string {
  const text = recordText(withoutEmpty(fields));
  return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}
