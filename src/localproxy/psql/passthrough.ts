/**
 * What a person adds to psql's command line behind `--`; pure. Options that would choose another server, database or user
 * are refused before anything is opened: psql takes the last `-d`, and our URI is a user's name then, so that `-- -d dev`
 * would end in whatever listens on this machine.
 */
import { TeleportError } from '../../errors.js';

/** Options of psql that take a value, by their letters. Source: psql 18, `parse_psql_options`. */
const WITH_VALUE = 'cdfFhLopPRTUv';
/** Long options of psql that take a value, and those that take none. Source: as above. */
const LONG_WITH_VALUE = [
  ...['command', 'dbname', 'field-separator', 'file', 'host', 'log-file', 'output', 'port', 'pset', 'record-separator'],
  ...['set', 'table-attr', 'username', 'variable'],
];
const LONG_PLAIN = [
  ...[
    'csv',
    'echo-all',
    'echo-errors',
    'echo-hidden',
    'echo-queries',
    'expanded',
    'field-separator-zero',
    'help',
    'html',
  ],
  ...['list', 'no-align', 'no-password', 'no-psqlrc', 'no-readline', 'password', 'quiet', 'record-separator-zero'],
  ...['single-line', 'single-step', 'single-transaction', 'tuples-only', 'version'],
];

/** Options that choose where psql connects, and what to use instead. */
const CONNECTION: readonly { name: string; letter: string; hint: string }[] = [
  { name: 'dbname', letter: 'd', hint: 'Choose it before "--": tsh db connect --db-name=NAME.' },
  {
    name: 'host',
    letter: 'h',
    hint: 'Name the database before "--": tsh db connect DATABASE. "tsh db ls" shows which there are.',
  },
  {
    name: 'port',
    letter: 'p',
    hint: 'Name the database before "--": tsh db connect DATABASE. "tsh db ls" shows which there are.',
  },
  { name: 'username', letter: 'U', hint: 'Choose it before "--": tsh db connect --db-user=USER.' },
];

/**
 * @throws TeleportError `BadParameter` for an option that chooses where psql connects, and for a word that is neither an
 * option nor the value of one: psql takes it for a database or a user. The words themselves may be secret and are not said.
 */
export function checkPassthrough(words: readonly string[]): void {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') {
      if (i + 1 < words.length) throw strayWord();
    } else if (word.startsWith('--')) {
      const [typed = '', value] = word.slice(2).split(/=(.*)/s);
      const name = longName(typed);
      if (name === undefined) continue; // psql says so
      refuseConnection((option) => option.name === name);
      if (LONG_WITH_VALUE.includes(name) && value === undefined) i += 1;
    } else if (word.startsWith('-') && word !== '-') {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        refuseConnection((option) => option.letter === letter);
        if (!WITH_VALUE.includes(letter)) continue;
        // The value is the rest of the word, or the next one.
        if (at + 1 === word.length) i += 1;
        break;
      }
    } else throw strayWord();
  }
}

/** An option by its name or the beginning of it, as getopt_long reads them; undefined for what psql refuses itself. */
function longName(typed: string): string | undefined {
  const names = [...LONG_WITH_VALUE, ...LONG_PLAIN].filter((name) => name.startsWith(typed));
  if (names.includes(typed)) return typed;
  return names.length === 1 ? names[0] : undefined;
}

function refuseConnection(is: (option: (typeof CONNECTION)[number]) => boolean): void {
  const option = CONNECTION.find(is);
  if (option === undefined) return;
  const { letter, name, hint } = option;
  throw new TeleportError(
    'BadParameter',
    `-${letter} (--${name}) is not possible after "--": tsh chooses where psql connects`,
    {
      hint,
    },
  );
}

function strayWord(): TeleportError {
  return new TeleportError(
    'BadParameter',
    'a word after "--" is neither an option of psql nor the value of one: psql would take it for a database or a user',
    {
      hint: 'Choose the database with --db-name and the user with --db-user, before "--". A statement needs -c: tsh db connect DATABASE -- -c "select 1".',
    },
  );
}
