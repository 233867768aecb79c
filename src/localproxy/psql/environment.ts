/**
 * The environment of the child psql; pure. `tsh` alone decides where and how psql connects, so variables of libpq that
 * have a say in that stay behind: a PGHOSTADDR or PGSERVICE of another server would lead psql there without a word.
 */

/**
 * Variables whose name begins with PG and that pass: how a session looks, not where it is. Everything else of that name
 * is about the connection, also what a later libpq will bring. Source: PostgreSQL 18 manual, "Environment Variables" of
 * libpq and of psql; `pg_logging_init`.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  'PGAPPNAME',
  'PGCLIENTENCODING',
  // How long a person waits; the socket itself answers at once.
  'PGCONNECT_TIMEOUT',
  'PGDATESTYLE',
  'PGGEQO',
  'PGLOCALEDIR',
  'PGOPTIONS',
  'PGTZ',
  'PG_COLOR',
  'PG_COLORS',
]);

/** Of the others, those that a URI with host, port, user and database outranks, and those that only a service needs. */
const OUTRANKED: ReadonlySet<string> = new Set([
  ...['PGDATABASE', 'PGHOST', 'PGPORT', 'PGSERVICEFILE', 'PGSYSCONFDIR', 'PGUSER'],
]);

/**
 * Credentials for AWS and secrets for Teleport, which psql has no use for: a pager, an editor or `\\!` would have them too. A name
 * of a profile passes, and so does what other programs need. Source: "Environment variables" of the AWS SDKs' reference guide.
 */
const SECRET =
  /^(?:AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|CONTAINER_AUTHORIZATION_TOKEN|BEARER_TOKEN_.*)|TELEPORT_.*(?:TOKEN|PASSWORD|SECRET|KEY).*)$/i;

type Vars = Record<string, string | undefined>;

/** What psql may see of the environment: all of it but for what leads it elsewhere, and secrets that are not its own. */
export function psqlEnvironment(vars: Vars, platform: NodeJS.Platform): Vars {
  const away = new Set(connectionVariables(vars, platform));
  return Object.fromEntries(Object.entries(vars).filter(([name]) => !away.has(name) && !SECRET.test(name)));
}

/** Names of the variables that are set and would change where or how a libpq program connects. */
export function connectionVariables(vars: Vars, platform: NodeJS.Platform): string[] {
  return Object.keys(vars).filter((name) => {
    if (vars[name] === undefined) return false;
    // Windows takes `pghost` for PGHOST.
    const known = platform === 'win32' ? name.toUpperCase() : name;
    return known.startsWith('PG') && !HARMLESS.has(known);
  });
}

/**
 * What stands before a command of psql that is printed to be copied: nothing, or, where the person's variables would lead
 * psql elsewhere, `env -u NAME …` and a blank.
 */
export function withoutVariables(vars: Vars, platform: NodeJS.Platform): string {
  if (platform === 'win32') return '';
  const names = connectionVariables(vars, platform).filter((name) => /^\w+$/.test(name) && !OUTRANKED.has(name));
  return names.length === 0 ? '' : `env ${names.map((name) => `-u ${name} `).join('')}`;
}
