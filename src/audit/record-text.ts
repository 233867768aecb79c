/**
 * The one written form of an audit record: JSON on one line, in which nothing stands that a terminal would obey or that
 * some reader takes for the end of a line. Agents and Auth write the same form, so that a text can be held against it, and
 * keep to the same bound: what an agent writes, Auth takes.
 */
import { TeleportError } from '../errors.js';
import { escaped } from '../escaped.js';

/**
 * Of one record in its written form, in UTF-8. A statement's 64 KiB have at most 384 KiB there; the rest is for labels, traits
 * and names. One fits into a message to Auth, three into an answer to a search.
 */
export const MOST_RECORD_BYTES = 2 ** 20;

/** Without a line feed at the end. */
export function recordText(record: object): string {
  return escaped(JSON.stringify(record));
}

export const isTooLong = (text: string): boolean =>
  text.length > MOST_RECORD_BYTES / 3 && Buffer.byteLength(text) > MOST_RECORD_BYTES;

/** Why such a record is refused. */
export const TOO_LONG = `it is longer than ${MOST_RECORD_BYTES} bytes`;

/** A record that nobody takes, so what it is about must not happen. */
export class RecordTooLong extends TeleportError {
  constructor(event: string) {
    super('LimitExceeded', `the record ${event} would be longer than ${MOST_RECORD_BYTES} bytes`, {
      hint: 'Shorten the labels of the database, or the traits and roles of the user: each record has them.',
    });
  }
}
