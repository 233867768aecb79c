/**
 * Redshift's SQL where PostgreSQL says it otherwise, changed inside Query and Parse messages on their way to PostgreSQL.
 * Every other message passes as it came, also in the middle of one.
 */
import { Transform } from 'node:stream';

const WORDS: [RegExp, string][] = [
  [/\bPASSWORD\s+DISABLE\b/gi, 'PASSWORD NULL'],
  [/\bCONNECTION\s+LIMIT\s+UNLIMITED\b/gi, 'CONNECTION LIMIT -1'],
  [/\b(GRANT|REVOKE)\s+ROLE\s+/gi, '$1 '],
];

const QUERY = 0x51;
const PARSE = 0x50;

export function translateSql(sql: string): string {
  return WORDS.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), sql);
}

/** A stream over the client's messages after the login. */
export function dialectStream(): Transform {
  let pending: Buffer = Buffer.alloc(0);
  let passing = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (pending.length > 0) {
        if (passing > 0) {
          const piece = pending.subarray(0, passing);
          this.push(piece);
          passing -= piece.length;
          pending = pending.subarray(piece.length);
          continue;
        }
        if (pending.length < 5) break;
        const length = pending.readUInt32BE(1) + 1;
        const tag = pending.readUInt8(0);
        if (tag !== QUERY && tag !== PARSE) {
          passing = length;
          continue;
        }
        if (pending.length < length) break;
        this.push(translateMessage(tag, pending.subarray(0, length)));
        pending = pending.subarray(length);
      }
      done();
    },
  });
}

function translateMessage(tag: number, message: Buffer): Buffer {
  const start = tag === QUERY ? 5 : message.indexOf(0, 5) + 1;
  const end = message.indexOf(0, start);
  const before = message.toString('utf8', start, end);
  const after = translateSql(before);
  if (after === before) return message;
  const changed = Buffer.concat([message.subarray(0, start), Buffer.from(after), message.subarray(end)]);
  changed.writeUInt32BE(changed.length - 1, 1);
  return changed;
}
