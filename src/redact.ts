/**
 * Secrets out of texts before they leave: errors, usage errors, warnings, logs. The one place that knows what a password
 * looks like in a URL, a connection string of libpq, JDBC or ODBC, and on a command line. Pure.
 *
 * A value is one thing that a person typed; in doubt more of it is hidden. A text is prose that may have such values in
 * it; only what is plainly a secret is hidden.
 *
 * Source: RFC 3986, 3.2.1; PostgreSQL manual, "Connection Strings"; options of Amazon Redshift's JDBC and ODBC drivers.
 */

const HIDDEN = '***';

/** Names whose value is a secret, also as the end of a longer name (`sslpassword`, `PGPASSWORD`). */
const NAMES =
  'password|passwd|passphrase|pwd|secret[_-]?access[_-]?key|access[_-]?key[_-]?id|session[_-]?token|client[_-]?secret|' +
  'access[_-]?token|id[_-]?token|refresh[_-]?token|identity[_-]?token|security[_-]?token|api[_-]?key';
/** In a value alone: in prose these are words like others. `--join-token` asks for a token by its name. */
const MORE_NAMES = `${NAMES}|secret|(?<!join[_-])token|credentials?|private[_-]?key|access[_-]?key|(?<![a-z0-9])(?:pass|pw)`;
/** In quotes of libpq, of a shell, of JSON inside JSON, and in braces of ODBC; bounded, for a text may be hostile. */
const QUOTED = `'(?:\\\\.|''|[^'\\\\]){0,999}'|"(?:\\\\.|""|[^"\\\\]){0,999}"|\\\\"(?:[^"\\\\]|\\\\\\\\.){0,999}\\\\"|\\{(?:\\}\\}|[^}]){0,999}\\}`;
/** Up to the next option, so that a separator inside a password hides the rest of it too. */
const VALUE_ASSIGNMENT = new RegExp(
  `((?:${MORE_NAMES})\\\\?["']?\\s*(?:[=:]|%3[ad])\\s*)(${QUOTED}|[\\s\\S]*?(?=[\\s&;?]\\s*[a-z][\\w.-]*\\s*=|$))`,
  'gi',
);
const TEXT_ASSIGNMENT = new RegExp(`((?:${NAMES})\\s*(?:=|%3d)\\s*)(${QUOTED}|[^\\s&;"]+)`, 'gi');
const JSON_MEMBER = new RegExp(`((?:${NAMES})\\\\?["']\\s*:\\s*)(${QUOTED})`, 'gi');
const AUTHORIZATION = /(authorization\\?["']?\s*[:=]\s*\\?["']?(?:basic|bearer)\s+)([^\s"\\]+)/gi;
/** A quick look that spares most texts the others. */
const SUSPICIOUS = new RegExp(`:\\/\\/|authorization|${NAMES}`, 'i');
/** Colons and @ of AWS's and Redshift's own names: `IAM:alice@example.com`, ARNs of sessions. */
const NAME_OF_AWS = /^(IAM[RA]?:[^:]*|arn:.*)$/i;
/** What our own advice says. */
const PLACEHOLDER = /^(PASSWORD|\.\.\.|\*\*\*)$/;

/** No address is longer. */
const MOST_CHARS = 8192;

/** A whole value that a person typed, with nothing secret in it. */
export function redactValue(value: string): string {
  return hideIn(value, () => {});
}

/** Prose, such as an error's message, with nothing in it that is plainly a secret. */
export function redactText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  const assigned = (all: string, name: string, secret: string) => (PLACEHOLDER.test(secret) ? all : name + HIDDEN);
  return (
    text
      // Also one without an end, so that none is begun in the middle of another: the time is linear.
      .replace(/"((?:[^"\\\n]|\\.)*)("?)/g, (all, inner: string, end: string) =>
        end && /^(?:[a-z][\w+.-]*:)+\/\//i.test(inner) ? `"${withoutUserInfo(inner, false, () => {})}"` : all,
      )
      .replace(/:\/\/[^\s"'`<>]*/g, (url, at: number, whole: string) => {
        const isWeb = /https?$/i.test(whole.slice(Math.max(0, at - 5), at));
        return withoutUserInfo(url, isWeb, () => {});
      })
      .replace(AUTHORIZATION, assigned)
      .replace(JSON_MEMBER, assigned)
      .replace(TEXT_ASSIGNMENT, assigned)
  );
}

/**
 * What is wrong with a YAML file: the message of the `yaml` package, without what it quotes of the file. A password that
 * begins with `*`, `!`, `>` or `@` is a mistake in YAML, so what is quoted is often one.
 */
export function yamlReason(message: string): string {
  return message
    .split('\n')[0]!
    .replace(/ at line \d+, column \d+:?$/, '')
    .replace(/(?<=\S): .*$/, '')
    .replace(
      /^(Invalid escape sequence|Unresolved tag|Unresolved plain scalar|Unknown directive|Unsupported .*?version) .*$/,
      '$1',
    )
    .replace(/^(Verbatim tags aren't resolved), so .*$/, '$1')
    .replace(/^The .* (tag has no suffix)$/, 'The $1');
}

/** A secret name, such as a join token's: the first three quarters hidden; a short one hidden whole. */
export function masked(name: string): string {
  const hidden = name.length < 16 ? name.length : Math.floor(name.length * 0.75);
  return '*'.repeat(hidden) + name.slice(hidden);
}

/**
 * A redactor that knows what was typed: it hides those values, and the secrets in them, wherever they stand.
 *
 * @param words  of the command line
 * @param vars  the environment
 */
export function redactorOf(
  words: readonly string[],
  vars: Readonly<Record<string, string | undefined>>,
): (text: string) => string {
  let known: [secret: string, shown: string][] | undefined;
  return (text) => {
    // Most commands print nothing that has to be looked at.
    known ??= learn(words, vars);
    return redactText(known.reduce((left, [secret, shown]) => left.replaceAll(secret, shown), text));
  };
}

/** Shorter ones would hide half of what is said. */
const LEAST_CHARS = 4;
const PIECES = /[@:/?#&;\s]+/;
const SECRET_NAME = new RegExp(`(?:${MORE_NAMES})$`, 'i');

function learn(words: readonly string[], vars: Readonly<Record<string, string | undefined>>): [string, string][] {
  const known = new Map<string, string>();
  const add = (secret: string, shown: string) => {
    const plain = secret.trim();
    // A file that holds the secret is not the secret.
    if (plain.length < LEAST_CHARS || plain.startsWith('/') || PLACEHOLDER.test(plain)) return;
    for (const form of [plain, JSON.stringify(plain).slice(1, -1), decoded(plain)]) {
      if (form.length >= LEAST_CHARS && !known.has(form)) known.set(form, shown);
    }
  };
  const look = (value: string) => {
    const secrets: string[] = [];
    const shown = hideIn(value, (secret) => void secrets.push(secret));
    if (shown === value) return;
    add(value, shown);
    for (const secret of secrets) {
      const bare = secret.replace(/^(['"{])([\s\S]*)['"}]$/, '$2');
      // A reader that took the value for something else may quote a piece of it.
      for (const piece of [secret, bare, ...bare.split(PIECES), ...decoded(bare).split(PIECES)]) add(piece, HIDDEN);
    }
  };
  for (const [i, word] of words.entries()) {
    const [, flag = '', value = word] = /^--?([\w-]+)=([\s\S]*)$/.exec(word) ?? [];
    const before = /^--?([\w-]+)$/.exec(words[i - 1] ?? '')?.[1] ?? '';
    if (SECRET_NAME.test(flag) || (SECRET_NAME.test(before) && !word.startsWith('-'))) add(value, HIDDEN);
    look(value);
  }
  for (const [name, value = ''] of Object.entries(vars)) {
    if (SECRET_NAME.test(name) && value.length >= 2 * LEAST_CHARS) add(value, HIDDEN);
    else if (/proxy$|^(AWS|PG|SSL|TELEPORT|TSH)/i.test(name) || value.includes('://')) look(value);
  }
  return [...known].sort(([a], [b]) => b.length - a.length);
}

function hideIn(value: string, found: (secret: string) => void): string {
  if (value.length > MOST_CHARS) return HIDDEN;
  const isName = NAME_OF_AWS.test(value);
  return (isName ? value : withoutUserInfo(value, false, found)).replace(
    VALUE_ASSIGNMENT,
    (all, name: string, secret: string) => {
      if (secret === '' || PLACEHOLDER.test(secret)) return all;
      found(secret);
      return name + HIDDEN;
    },
  );
}

/** A whole URL whose later `@` is one of an option, such as the path of a certificate: `alice@h:5432/dev?sslcert=/a@b`. */
const NO_PASSWORD = /^([^/?#@:]+@)?[^/?#@:]+(:\d+)?(\/[^/?#@]*)?\?[\w.-]+=/;

/** `…://USER:SECRET@…` or `USER:SECRET@…` without SECRET, which may have any character in it. */
function withoutUserInfo(url: string, isWeb: boolean, found: (secret: string) => void): string {
  const start = /^[^/?#@]*:\/\//.exec(url)?.[0].length ?? 0;
  const rest = url.slice(start);
  const at = rest.lastIndexOf('@');
  const colon = rest.indexOf(':');
  if (at < 0)
    return start === 0 || isWeb
      ? url
      : url.slice(0, start) + withoutOddPort(rest, /(iam|^):\/\/$/i.test(url.slice(0, start)), found);
  if (colon < 0 || colon > at || NO_PASSWORD.test(rest)) return url;
  // The address of a page may have an @ in its path.
  if (isWeb && /^[^/?#@:]*(:\d*)?([/?#]|$)/.test(rest)) return url;
  const secret = rest.slice(colon + 1, at);
  if (secret === '' || PLACEHOLDER.test(secret)) return url;
  found(secret);
  return `${url.slice(0, start)}${rest.slice(0, colon)}:${HIDDEN}${rest.slice(at)}`;
}

/** `USER:SECRET` where the rest was forgotten: what stands in a port's place is not a port, nor a region where one could. */
function withoutOddPort(rest: string, mayBeRegion: boolean, found: (secret: string) => void): string {
  return rest.replace(/^([^/?#:[]*:)([^/?#]+)/, (all, user: string, port: string) => {
    if (/^(\d+|[A-Z]+)$/.test(port) || (mayBeRegion && /^[a-z]+(-[a-z]+)*(-\d+)?$/.test(port))) return all;
    found(port);
    return user + HIDDEN;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
