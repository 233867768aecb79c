/**
 * The statements that Redshift's documentation has, and the page of each. What is not here is refused as a database
 * refuses what it cannot parse, also where the PostgreSQL server behind the double would take it.
 *
 * Source: Amazon Redshift Database Developer Guide, `https://docs.aws.amazon.com/redshift/latest/dg/PAGE.html`; the list
 * is that of "SQL commands" (`c_SQL_commands`), the forms are the "Syntax" of each page.
 */
import { statementsOf, type Token } from './sql.js';

/**
 * A form is written as the pages do: KEYWORDS, `[ ]` for what may be left out, `{ A | B }` for a choice, `*` behind either
 * for again and again. `name` is a name with or without qualifiers, `names` a list of them, `text` a string, `value` one
 * token, `(…)` whatever stands in parentheses and `(query)` a query there, `…` whatever follows, `statement` a statement
 * of this list that reads or changes rows.
 */
const FORMS: Record<string, string[]> = {
  r_ABORT: ['ABORT [WORK | TRANSACTION]'],
  r_ALTER_DATABASE: [
    'ALTER DATABASE name {RENAME TO name | OWNER TO name | CONNECTION LIMIT value | COLLATE value | ISOLATION LEVEL value | SET … | RESET name | REFRESH … | INTEGRATION …}*',
  ],
  r_ALTER_DATASHARE: ['ALTER DATASHARE name {ADD | REMOVE | SET} …'],
  r_ALTER_DEFAULT_PRIVILEGES: [
    'ALTER DEFAULT PRIVILEGES [FOR USER names] [IN SCHEMA names] {GRANT … TO | REVOKE … FROM} …',
  ],
  r_ALTER_EXTERNAL_SCHEMA: ['ALTER EXTERNAL SCHEMA name …'],
  r_ALTER_EXTERNAL_VIEW: ['ALTER EXTERNAL VIEW name …'],
  r_ALTER_FUNCTION: ['ALTER FUNCTION name (…) {RENAME TO name | OWNER TO name}'],
  r_ALTER_GROUP: ['ALTER GROUP name {ADD USER names | DROP USER names | RENAME TO name}'],
  r_ALTER_IDENTITY_PROVIDER: ['ALTER IDENTITY PROVIDER name …'],
  r_ALTER_MASKING_POLICY: ['ALTER MASKING POLICY name USING (…)'],
  r_ALTER_MATERIALIZED_VIEW: ['ALTER MATERIALIZED VIEW name {AUTO REFRESH | ALTER | ROW LEVEL SECURITY} …'],
  r_ALTER_RLS_POLICY: ['ALTER RLS POLICY name USING (…)'],
  r_ALTER_ROLE: ['ALTER ROLE name [WITH] {RENAME TO name | OWNER TO name | EXTERNALID TO value}*'],
  r_ALTER_PROCEDURE: ['ALTER PROCEDURE name [(…)] {RENAME TO name | OWNER TO name}'],
  r_ALTER_SCHEMA: ['ALTER SCHEMA name {RENAME TO name | OWNER TO name | QUOTA …}'],
  r_ALTER_SYSTEM: ['ALTER SYSTEM SET name {TO | =} value'],
  r_ALTER_TABLE: [
    'ALTER TABLE name {ADD | DROP | OWNER TO | RENAME | ALTER {COLUMN | DISTKEY | DISTSTYLE | SORTKEY | COMPOUND SORTKEY | ENCODE} | ROW LEVEL SECURITY | MASKING | SET {LOCATION | FILE FORMAT | TABLE PROPERTIES} | PARTITION} …',
  ],
  r_ALTER_TABLE_APPEND: ['ALTER TABLE name APPEND FROM name [IGNOREEXTRA | FILLTARGET]'],
  r_ALTER_TEMPLATE: ['ALTER TEMPLATE name …'],
  r_ALTER_USER: [
    'ALTER USER name [WITH] {CREATEDB | NOCREATEDB | CREATEUSER | NOCREATEUSER | SYSLOG ACCESS value | PASSWORD value | VALID UNTIL text | RENAME TO name | CONNECTION LIMIT value | SESSION TIMEOUT value | RESET SESSION TIMEOUT | EXTERNALID value | ,}*',
    'ALTER USER name {SET name {TO | =} … | RESET name}',
  ],
  r_ANALYZE: ['ANALYZE [VERBOSE] [name [(…)]] [PREDICATE COLUMNS | ALL COLUMNS]'],
  r_ANALYZE_COMPRESSION: ['ANALYZE COMPRESSION [name [(…)]] [COMPROWS value]'],
  r_ATTACH_MASKING_POLICY: ['ATTACH MASKING POLICY name ON name (…) [USING (…)] TO …'],
  r_ATTACH_RLS_POLICY: ['ATTACH RLS POLICY name ON [TABLE] names TO …'],
  r_BEGIN: ['{BEGIN [WORK | TRANSACTION] | START TRANSACTION} [ISOLATION LEVEL LEVELS] [READ WRITE | READ ONLY]'],
  r_CALL_procedure: ['CALL name (…)'],
  r_CANCEL: ['CANCEL value [text]'],
  close: ['CLOSE name'],
  r_COMMENT: [
    'COMMENT ON {TABLE name | COLUMN name | CONSTRAINT name ON name | DATABASE name | VIEW name} IS {text | NULL}',
  ],
  r_COMMIT: ['COMMIT [WORK | TRANSACTION]'],
  r_COPY: ['COPY name [(…)] FROM text …'],
  r_CREATE_DATABASE: [
    'CREATE DATABASE name [WITH] {OWNER [=] name | CONNECTION LIMIT value | COLLATE value | ISOLATION LEVEL value}*',
    'CREATE DATABASE name [WITH PERMISSIONS] FROM …',
  ],
  r_CREATE_DATASHARE: ['CREATE DATASHARE name …'],
  r_CREATE_EXTERNAL_FUNCTION: ['CREATE [OR REPLACE] EXTERNAL FUNCTION name (…) RETURNS …'],
  r_create_external_model: ['CREATE EXTERNAL MODEL name …'],
  r_CREATE_EXTERNAL_SCHEMA: ['CREATE EXTERNAL SCHEMA [IF NOT EXISTS] name FROM …'],
  r_CREATE_EXTERNAL_TABLE: ['CREATE EXTERNAL TABLE name …'],
  r_CREATE_EXTERNAL_VIEW: ['CREATE [PROTECTED] EXTERNAL VIEW name …'],
  r_CREATE_FUNCTION: [
    'CREATE [OR REPLACE] FUNCTION name (…) RETURNS … {VOLATILE | STABLE | IMMUTABLE} AS text LANGUAGE {plpythonu | sql}',
  ],
  r_CREATE_GROUP: ['CREATE GROUP name [[WITH] USER names]'],
  r_CREATE_IDENTITY_PROVIDER: ['CREATE IDENTITY PROVIDER name TYPE value …'],
  r_CREATE_LIBRARY: ['CREATE [OR REPLACE] LIBRARY name LANGUAGE plpythonu FROM text …'],
  r_CREATE_MASKING_POLICY: ['CREATE MASKING POLICY [IF NOT EXISTS] name WITH (…) USING (…)'],
  'materialized-view-create-sql-command': [
    'CREATE MATERIALIZED VIEW name [BACKUP value] TABLE_ATTRIBUTES [AUTO REFRESH value] AS statement',
  ],
  r_CREATE_MODEL: ['CREATE MODEL name …'],
  r_CREATE_PROCEDURE: [
    'CREATE [OR REPLACE] PROCEDURE name (…) [NONATOMIC] AS text LANGUAGE plpgsql [SECURITY INVOKER | SECURITY DEFINER] [SET name {TO | =} …]',
  ],
  r_CREATE_RLS_POLICY: ['CREATE RLS POLICY name [WITH (…) [[AS] name]] USING (…)'],
  r_CREATE_ROLE: ['CREATE ROLE name [EXTERNALID value]'],
  r_CREATE_SCHEMA: ['CREATE SCHEMA [IF NOT EXISTS] {name [AUTHORIZATION name] | AUTHORIZATION name} [QUOTA …]'],
  r_CREATE_TABLE_NEW: [
    'CREATE [[LOCAL] {TEMPORARY | TEMP}] TABLE [IF NOT EXISTS] name (…) [BACKUP value] TABLE_ATTRIBUTES',
  ],
  r_CREATE_TABLE_AS: [
    'CREATE [[LOCAL] {TEMPORARY | TEMP}] TABLE name [(…)] [BACKUP value] TABLE_ATTRIBUTES AS statement',
  ],
  r_CREATE_TEMPLATE: ['CREATE [OR REPLACE] TEMPLATE name …'],
  r_CREATE_USER: [
    'CREATE USER name [WITH] PASSWORD value {CREATEDB | NOCREATEDB | CREATEUSER | NOCREATEUSER | SYSLOG ACCESS value | IN GROUP names | VALID UNTIL text | CONNECTION LIMIT value | SESSION TIMEOUT value | EXTERNALID value}*',
  ],
  r_CREATE_VIEW: ['CREATE [OR REPLACE] VIEW name [(…)] AS statement'],
  r_DEALLOCATE: ['DEALLOCATE [PREPARE] name'],
  declare: ['DECLARE name CURSOR FOR statement'],
  r_DELETE: ['[WITH_LIST] DELETE [FROM] name …'],
  r_DESC_DATASHARE: ['DESC DATASHARE name …'],
  r_DESC_IDENTITY_PROVIDER: ['DESC IDENTITY PROVIDER name'],
  r_DETACH_MASKING_POLICY: ['DETACH MASKING POLICY name ON name (…) FROM …'],
  r_DETACH_RLS_POLICY: ['DETACH RLS POLICY name ON [TABLE] names FROM …'],
  r_DROP_DATABASE: ['DROP DATABASE name [FORCE]'],
  r_DROP_DATASHARE: ['DROP DATASHARE name'],
  r_DROP_EXTERNAL_VIEW: ['DROP EXTERNAL VIEW name …'],
  r_DROP_FUNCTION: ['DROP FUNCTION name (…) [CASCADE | RESTRICT]'],
  r_DROP_GROUP: ['DROP GROUP name'],
  r_DROP_IDENTITY_PROVIDER: ['DROP IDENTITY PROVIDER name [CASCADE]'],
  r_DROP_LIBRARY: ['DROP LIBRARY name'],
  r_DROP_MASKING_POLICY: ['DROP MASKING POLICY name'],
  r_DROP_MODEL: ['DROP MODEL [IF EXISTS] name'],
  'materialized-view-drop-sql-command': ['DROP MATERIALIZED VIEW [IF EXISTS] name [CASCADE | RESTRICT]'],
  r_DROP_PROCEDURE: ['DROP PROCEDURE name (…)'],
  r_DROP_RLS_POLICY: ['DROP RLS POLICY [IF EXISTS] name [CASCADE | RESTRICT]'],
  r_DROP_ROLE: ['DROP ROLE name [FORCE | RESTRICT]'],
  r_DROP_SCHEMA: ['DROP SCHEMA [IF EXISTS] names [DROP EXTERNAL DATABASE] [CASCADE | RESTRICT]'],
  r_DROP_TABLE: ['DROP TABLE [IF EXISTS] names [CASCADE | RESTRICT]'],
  r_DROP_TEMPLATE: ['DROP TEMPLATE name'],
  r_DROP_USER: ['DROP USER [IF EXISTS] names'],
  r_DROP_VIEW: ['DROP VIEW [IF EXISTS] names [CASCADE | RESTRICT]'],
  r_END: ['END [WORK | TRANSACTION]'],
  r_EXECUTE: ['EXECUTE name [(…)]'],
  r_EXPLAIN: ['EXPLAIN [VERBOSE] statement'],
  fetch: ['FETCH [NEXT | ALL | FORWARD [value | ALL]] FROM name'],
  r_GRANT: [
    'GRANT … ON … TO …',
    'GRANT ROLE names {, ROLE names}* TO …',
    'GRANT CREATE MODEL TO …',
    'GRANT … TO ROLE names {, ROLE names}*',
  ],
  r_INSERT_30: ['INSERT INTO name [(…)] {DEFAULT VALUES | VALUES (…) {, (…)}* | statement}'],
  r_LOCK: ['LOCK [TABLE] names'],
  r_MERGE: ['MERGE INTO name USING name … ON … {WHEN MATCHED THEN | REMOVE DUPLICATES} …'],
  r_PREPARE: ['PREPARE name [(…)] AS statement'],
  'materialized-view-refresh-sql-command': ['REFRESH MATERIALIZED VIEW name [CASCADE | RESTRICT]'],
  r_RESET: ['RESET name'],
  r_REVOKE: [
    'REVOKE … ON … FROM … [RESTRICT]',
    'REVOKE [ADMIN OPTION FOR] ROLE names {, ROLE names}* FROM …',
    'REVOKE CREATE MODEL FROM …',
    'REVOKE … FROM ROLE names {, ROLE names}*',
  ],
  r_ROLLBACK: ['ROLLBACK [WORK | TRANSACTION]'],
  r_SELECT_synopsis: ['[WITH_LIST] SELECT …', '[WITH_LIST] (query) …'],
  r_SET: ['SET [SESSION | LOCAL] name {TO | =} …'],
  r_timezone_config: ['SET TIME ZONE …'],
  r_SET_SESSION_AUTHORIZATION: ['SET [LOCAL] SESSION AUTHORIZATION value'],
  r_SET_SESSION_CHARACTERISTICS: ['SET SESSION CHARACTERISTICS AS TRANSACTION …'],
  r_SHOW: ['SHOW name'],
  r_SHOW_COLUMN_GRANTS: ['SHOW COLUMN GRANTS ON TABLE name …'],
  r_SHOW_COLUMNS: ['SHOW COLUMNS FROM TABLE name …'],
  r_SHOW_CONSTRAINTS: ['SHOW CONSTRAINTS {PRIMARY KEYS | FOREIGN KEYS} …'],
  r_SHOW_DATABASES: ['SHOW DATABASES …'],
  r_SHOW_DATASHARES: ['SHOW DATASHARES [LIKE text]'],
  r_SHOW_EXTERNAL_TABLE: ['SHOW EXTERNAL TABLE name [PARTITION]'],
  r_SHOW_FUNCTIONS: ['SHOW FUNCTIONS FROM SCHEMA name …'],
  r_SHOW_GRANTS: ['SHOW GRANTS {ON | FOR} …'],
  r_SHOW_MODEL: ['SHOW MODEL name'],
  r_SHOW_PARAMETERS: ['SHOW PARAMETERS OF {FUNCTION | PROCEDURE} name (…) …'],
  r_SHOW_POLICIES: ['SHOW {RLS | MASKING} POLICIES …'],
  r_SHOW_PROCEDURE: ['SHOW PROCEDURE name [(…)]'],
  r_SHOW_PROCEDURES: ['SHOW PROCEDURES FROM SCHEMA name …'],
  r_SHOW_SCHEMAS: ['SHOW SCHEMAS FROM DATABASE name …'],
  r_SHOW_TABLE: ['SHOW TABLE name'],
  r_SHOW_TABLES: ['SHOW TABLES FROM SCHEMA name …'],
  r_SHOW_TEMPLATE: ['SHOW TEMPLATE name'],
  r_SHOW_TEMPLATES: ['SHOW TEMPLATES FROM SCHEMA name …'],
  r_SHOW_VIEW: ['SHOW VIEW name'],
  r_TRUNCATE: ['TRUNCATE [TABLE] name'],
  r_UNLOAD: ['UNLOAD (…) TO text …'],
  r_UPDATE: ['[WITH_LIST] UPDATE name [[AS] name] SET …'],
  r_USE_command: ['USE name'],
  r_VACUUM_command: ['VACUUM [FULL | SORT ONLY | DELETE ONLY | REINDEX | RECLUSTER] [name [TO value PERCENT] [BOOST]]'],
};

/** Pieces that several forms share. */
const PARTS: Record<string, string> = {
  LEVELS: '{SERIALIZABLE | READ UNCOMMITTED | READ COMMITTED | REPEATABLE READ | SNAPSHOT}',
  // Page r_CREATE_TABLE_NEW.
  TABLE_ATTRIBUTES: '{DISTSTYLE value | DISTKEY (…) | [COMPOUND | INTERLEAVED] SORTKEY {(…) | AUTO} | ENCODE AUTO}*',
  // Page r_WITH_clause.
  WITH_LIST: 'WITH [RECURSIVE] name [(…)] AS (…) {, name [(…)] AS (…)}*',
};

/** Clauses that PostgreSQL takes in a statement which begins so, and that its page does not have. */
const UNKNOWN_CLAUSES: { begins: RegExp; clause: string; page: string }[] = [
  ...[
    'FOR UPDATE',
    'FOR NO KEY UPDATE',
    'FOR SHARE',
    'FOR KEY SHARE',
    'FETCH FIRST',
    'FETCH NEXT',
    'TABLESAMPLE',
    'WITH ORDINALITY',
  ].map((clause) => {
    return { begins: /^(WITH|SELECT|\()$/, clause, page: 'r_SELECT_synopsis' };
  }),
  { begins: /^(WITH|SELECT|\()$/, clause: 'DISTINCT ON', page: 'r_SELECT_list' },
  { begins: /^INSERT$/, clause: 'ON CONFLICT', page: 'r_INSERT_30' },
  { begins: /^INSERT$/, clause: 'OVERRIDING', page: 'r_INSERT_30' },
  { begins: /^INSERT$/, clause: 'RETURNING', page: 'r_INSERT_30' },
  { begins: /^(WITH|UPDATE)$/, clause: 'RETURNING', page: 'r_UPDATE' },
  { begins: /^DELETE$/, clause: 'RETURNING', page: 'r_DELETE' },
  // A list of values is no table: c_unsupported-postgresql-features.
  { begins: /^(WITH|SELECT|\()$/, clause: '( VALUES', page: 'c_unsupported-postgresql-features' },
  // The schema of temporary tables is not searched for functions: r_search_path.
  { begins: /^(CREATE|CALL|DROP|ALTER)$/, clause: 'PROCEDURE PG_TEMP', page: 'r_search_path' },
  { begins: /^(CREATE|CALL|DROP|ALTER)$/, clause: 'FUNCTION PG_TEMP', page: 'r_search_path' },
  { begins: /^CALL$/, clause: 'CALL PG_TEMP', page: 'r_search_path' },
];

/**
 * Functions that page `c_unsupported-postgresql-functions` lists and that came after PostgreSQL 8.0, from which Redshift
 * descends. Of older ones the page says that they may run on the leader node.
 */
const UNKNOWN_FUNCTIONS =
  /^(PG_(TRY_)?ADVISORY_\w+|PG_SLEEP(_FOR|_UNTIL)?|(STRING|ARRAY|XML)_?AGG|CORR|COVAR_(POP|SAMP)|REGR_\w+|(CLOCK|TRANSACTION)_TIMESTAMP|JUSTIFY_INTERVAL|DIV|GENERATE_SUBSCRIPTS|FORMAT|QUOTE_NULLABLE|REGEXP_(MATCHES|SPLIT_TO_(ARRAY|TABLE))|CURRENT_QUERY|PG_(CONF_LOAD_TIME|IS_OTHER_TEMP_SCHEMA|LISTENING_CHANNELS|MY_TEMP_SCHEMA|TRIGGER_DEPTH))$/;

/** How many tokens from here name such a function in a call: 0, 1, or 3 with the schema of PostgreSQL's functions. */
export function unknownFunction(tokens: Token[], at: number): number {
  const isCalled = (place: number) =>
    UNKNOWN_FUNCTIONS.test(tokens[place]?.key ?? '') && tokens[place + 1]?.key === '(';
  if (tokens[at - 1]?.key === '.') return 0;
  if (isCalled(at)) return 1;
  return tokens[at]!.key === 'PG_CATALOG' && tokens[at + 1]?.key === '.' && isCalled(at + 2) ? 3 : 0;
}

export const DOCUMENTED = Object.entries(FORMS).flatMap(([page, forms]) => forms.map((form) => ({ form, page })));

export interface Undocumented {
  /** The word at which the statement leaves the documentation; undefined for its end. */
  near: Token | undefined;
  /** The page whose syntax does not have it, where one comes close. */
  page: string | undefined;
}

/** The first statement of a text that the documentation does not have. */
export function findUndocumented(sql: string): Undocumented | undefined {
  for (const statement of statementsOf(sql)) {
    const found = check(statement);
    if (found) return found;
  }
  return undefined;
}

function check(tokens: Token[]): Undocumented | undefined {
  const reach = { furthest: 0, page: undefined as string | undefined };
  const matched = RULES.some(({ page, rule, first }) => {
    if (first && first !== tokens[0]!.key) return false;
    const state: State = { tokens, furthest: 0 };
    const ends = rule(state, [0]);
    state.furthest = Math.max(state.furthest, ...ends.slice(-1));
    if (state.furthest > reach.furthest) Object.assign(reach, { furthest: state.furthest, page });
    return ends.includes(tokens.length);
  });
  if (!matched) return { near: tokens[reach.furthest], page: reach.page };
  return unknownClause(tokens);
}

function unknownClause(tokens: Token[]): Undocumented | undefined {
  const keys = tokens.map(({ key }) => (/^"pg_temp"$/i.test(key) ? 'PG_TEMP' : key));
  for (const { begins, clause, page } of UNKNOWN_CLAUSES) {
    if (!begins.test(keys[0]!)) continue;
    const words = clause.split(' ');
    const at = keys.findIndex((_, index) => words.every((word, step) => keys[index + step] === word));
    if (at >= 0) return { near: tokens[at + (words[1]?.startsWith('PG_') ? 1 : 0)], page };
  }
  return undefined;
}

// Matching

interface State {
  tokens: Token[];
  /** How far the best attempt came. */
  furthest: number;
}

/** From the places where it may begin, in order, to those where it can end. */
type Rule = (state: State, places: number[]) => number[];

const REST = '…';
const RULES = DOCUMENTED.map(({ form, page }) => {
  return { page, rule: compile(form), first: /^[A-Z]+(?= )/.exec(form)?.[0] };
});

function compile(form: string): Rule {
  const pieces = form.match(/\((?:…|query)\)|[[\]{}|*]|[^\s[\]{}|*]+/g) ?? [];
  let at = 0;
  const sequence = (): Rule => {
    const rules: { rule: Rule; isRest: boolean }[] = [];
    while (at < pieces.length && !/^[\]}|]$/.test(pieces[at]!)) {
      const isRest = pieces[at] === REST;
      rules.push({ rule: item(), isRest });
    }
    return (given, from) => {
      let state = given;
      let places = from;
      for (const { rule, isRest } of rules) {
        places = rule(state, places);
        if (places.length === 0) return [];
        // Behind words that may be any, how far an attempt comes says nothing about where the statement went wrong.
        if (isRest) state = { ...state };
      }
      return places;
    };
  };
  const item = (): Rule => {
    const piece = pieces[at++]!;
    if (piece !== '[' && piece !== '{') return PARTS[piece] ? compile(PARTS[piece]) : terminal(piece);
    const choices = [sequence()];
    while (pieces[at] === '|') {
      at++;
      choices.push(sequence());
    }
    at++;
    const choice: Rule = (state, places) => inOrder(choices.flatMap((one) => one(state, places)));
    const isRepeated = pieces[at] === '*';
    if (isRepeated) at++;
    else if (piece === '{') return choice;
    else return (state, places) => inOrder([...places, ...choice(state, places)]);
    return (state, places) => {
      const seen = new Set(places);
      for (let found = places; found.length > 0; ) {
        found = choice(state, found).filter((place) => !seen.has(place));
        for (const place of found) seen.add(place);
      }
      return inOrder([...seen]);
    };
  };
  return sequence();
}

function inOrder(places: number[]): number[] {
  return [...new Set(places)].sort((one, other) => one - other);
}

function terminal(piece: string): Rule {
  if (piece === REST)
    return ({ tokens }, [from = 0]) => Array.from({ length: tokens.length - from + 1 }, (_, n) => from + n);
  if (piece === 'names') return compile('name {, name}*');
  const endOf = endsOf(piece);
  return (state, places) =>
    places.flatMap((place) => {
      state.furthest = Math.max(state.furthest, place);
      const end = place < state.tokens.length ? endOf(state, place) : place;
      return end > place ? [end] : [];
    });
}

/** Where a piece of a form that begins at a place ends; not behind that place when it does not begin there. */
function endsOf(piece: string): (state: State, place: number) => number {
  const one =
    (accepts: (token: Token) => boolean) =>
    ({ tokens }: State, place: number) =>
      accepts(tokens[place]!) ? place + 1 : place;
  switch (piece) {
    case '(…)':
      return ({ tokens }, place) => endOfGroup(tokens, place);
    case '(query)':
      return ({ tokens }, place) =>
        /^(\(|SELECT|WITH)$/.test(tokens[place + 1]?.key ?? '') ? endOfGroup(tokens, place) : place;
    case 'statement':
      return (state, place) => {
        if (!/^(\(|SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|CREATE)$/.test(state.tokens[place]!.key)) return place;
        const wrong = check(state.tokens.slice(place));
        if (!wrong) return state.tokens.length;
        state.furthest = Math.max(state.furthest, wrong.near ? state.tokens.indexOf(wrong.near) : state.tokens.length);
        return place;
      };
    case 'name':
      return ({ tokens }, place) => endOfName(tokens, place);
    case 'text':
      return one(({ kind }) => kind === 'text');
    case 'value':
      return one(({ kind }) => kind !== 'mark');
    default:
      return one(({ key, kind }) => kind !== 'quoted' && key === piece.toUpperCase());
  }
}

function endOfName(tokens: Token[], place: number): number {
  const isName = (token: Token | undefined) => token?.kind === 'word' || token?.kind === 'quoted';
  if (!isName(tokens[place])) return place;
  let end = place + 1;
  while (tokens[end]?.text === '.' && isName(tokens[end + 1])) end += 2;
  return end;
}

function endOfGroup(tokens: Token[], place: number): number {
  let depth = 0;
  for (let end = place; end < tokens.length; end++) {
    if (tokens[end]!.text === '(') depth++;
    if (tokens[end]!.text === ')') depth--;
    if (depth === 0) return end === place ? place : end + 1;
  }
  return place;
}
