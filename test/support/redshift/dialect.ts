/**
 * Redshift's SQL where PostgreSQL says it otherwise, changed inside Query and Parse messages on their way to PostgreSQL.
 * A statement that Redshift does not have becomes one that PostgreSQL cannot parse either. Every other message passes as
 * it came, also in the middle of one.
 */
import { Transform } from 'node:stream';
import { CATALOGUE_VIEWS } from './catalogue.js';
import { findUndocumented, type Undocumented, unknownFunction } from './documented.js';
import { foldName, keepsCaseAfter } from './names.js';
import { type Token, tokensOf } from './sql.js';

/** Words of Redshift, and what PostgreSQL calls them. */
const WORDS = Object.entries({
  'PASSWORD DISABLE': 'PASSWORD NULL',
  'LIMIT UNLIMITED': 'LIMIT -1',
  'GRANT ROLE': 'GRANT',
  'REVOKE ROLE': 'REVOKE',
  'REVOKE ADMIN OPTION FOR ROLE': 'REVOKE ADMIN OPTION FOR',
  'TO ROLE': 'TO',
  'FROM ROLE': 'FROM',
  // A setting that PostgreSQL does not know must have two parts.
  ENABLE_CASE_SENSITIVE_IDENTIFIER: 'redshift.enable_case_sensitive_identifier',
}).map(([from, to]) => ({ words: from.split(' '), to }));

/** The schema of the double's own functions, which has none that Redshift does not have. */
const CATALOGUE = 'redshift_catalog';
const FUNCTIONS_PAGE = 'c_unsupported-postgresql-functions';

const QUERY = 0x51;
const PARSE = 0x50;

export interface Refusal extends Undocumented {
  sql: string;
}

/**
 * @param keepsCase  of names in double quotes
 * @param refused  told what the documentation does not have
 */
export function translateSql(sql: string, keepsCase = false, refused: (refusal: Refusal) => void = () => {}): string {
  const wrong = findUndocumented(sql);
  if (!wrong) return rewrite(sql, keepsCase, (near) => refused({ near, page: FUNCTIONS_PAGE, sql }));
  refused({ ...wrong, sql });
  return unparsable(wrong.near);
}

/** PostgreSQL answers `syntax error at or near` this word, and takes nothing behind CHECKPOINT. */
function unparsable(near: Token | undefined): string {
  const before = 'CHECKPOINT ';
  return near ? before.padStart(near.start) + near.text : 'CLOSE';
}

function rewrite(sql: string, keepsCase: boolean, unknown: (name: Token) => void): string {
  const tokens = tokensOf(sql);
  let text = '';
  let end = 0;
  for (let at = 0; at < tokens.length; at++) {
    const { start } = tokens[at]!;
    const { words, to } = replacementOf(tokens, at, keepsCase, unknown);
    at += words - 1;
    text += sql.slice(end, start) + to;
    end = tokens[at]!.start + tokens[at]!.text.length;
  }
  return text + sql.slice(end);
}

/** How many tokens from here are written otherwise, and how. */
function replacementOf(tokens: Token[], at: number, keepsCase: boolean, unknown: (name: Token) => void) {
  const { kind, text } = tokens[at]!;
  if (kind === 'quoted') return { words: 1, to: keepsCase ? text : foldName(tokens, at) };
  if (isBody(tokens, at)) {
    const [, quote = '', body = ''] = /^(\$\w*\$)([\s\S]*)\1$/.exec(text) ?? [];
    return { words: 1, to: quote + rewrite(body, keepsCase, unknown) + quote };
  }
  if (kind !== 'word') return { words: 1, to: text };
  if (
    tokens[at]!.key === 'PG_CATALOG' &&
    tokens[at + 1]?.key === '.' &&
    CATALOGUE_VIEWS.has(tokens[at + 2]?.key ?? '')
  ) {
    return { words: 1, to: CATALOGUE };
  }
  const called = unknownFunction(tokens, at);
  if (called > 0) {
    const name = tokens[at + called - 1]!;
    unknown(name);
    return { words: called, to: `${CATALOGUE}.${name.text}` };
  }
  const found = WORDS.find(({ words }) => words.every((word, step) => tokens[at + step]?.key === word));
  return found ? { words: found.words.length, to: found.to } : { words: 1, to: text };
}

/** Is it the body of a procedure or a function? */
function isBody(tokens: Token[], at: number): boolean {
  return tokens[at]!.text.startsWith('$') && tokens[at]!.kind === 'text' && tokens[at - 1]?.key === 'AS';
}

/** A stream over the client's messages after the login. */
export function dialectStream(refused: (refusal: Refusal) => void): Transform {
  let chunks: Buffer[] = [];
  /** Bytes that must be there before anything can be done: a message is not put together again with every chunk. */
  let wanted = 1;
  let passing = 0;
  let keepsCase = false;

  function translated(tag: number, message: Buffer): Buffer {
    const start = tag === QUERY ? 5 : message.indexOf(0, 5) + 1;
    const end = message.indexOf(0, start);
    const before = message.toString('utf8', start, end);
    const after = translateSql(before, keepsCase, refused);
    keepsCase = keepsCaseAfter(before, keepsCase);
    if (after === before) return message;
    const changed = Buffer.concat([message.subarray(0, start), Buffer.from(after), message.subarray(end)]);
    changed.writeUInt32BE(changed.length - 1, 1);
    return changed;
  }

  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      wanted -= chunk.length;
      if (wanted > 0) return done();
      let pending = Buffer.concat(chunks);
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
        this.push(translated(tag, pending.subarray(0, length)));
        pending = pending.subarray(length);
      }
      chunks = [pending];
      const known = passing === 0 && pending.length >= 5;
      wanted = known ? pending.readUInt32BE(1) + 1 - pending.length : 1;
      done();
    },
  });
}
