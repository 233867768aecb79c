/**
 * The one written form of an audit record: JSON on one line, in which nothing stands that a terminal would obey or that
 * some reader takes for the end of a line. Agents and Auth write the same form, so that a text can be held against it.
 */
import { escaped } from '../escaped.js';

/** Without a line feed at the end. */
export function recordText(record: object): string {
  return escaped(JSON.stringify(record));
}
