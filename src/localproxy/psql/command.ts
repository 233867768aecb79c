/**
 * The command line of psql for one route; pure. Like the real tsh: one connection URI and nothing else. No password, key or
 * certificate is ever in it. What psql gets of the environment is in `environment.ts`, what a person may add in
 * `passthrough.ts`.
 *
 * psql has opinions: a folder as host means a Unix socket, for which it neither asks for TLS nor heeds an inherited
 * PGSSLMODE; `localhost` and not an address where it checks names.
 */
import { joinHostPort } from '../../host-port.js';

export interface PsqlTarget {
  /** A folder (Unix socket), `localhost` or a host name. */
  host: string;
  port: number;
  dbUser: string;
  dbName: string;
  /** Direct TLS with files, for the commands that are printed for people. */
  tls?: {
    rootCert: string;
    cert?: string | undefined;
    key?: string | undefined;
    passFile?: string | undefined;
    mode: 'verify-full' | 'verify-ca';
  };
}

/**
 * `postgres://USER@HOST:PORT/DB?…`; user query-escaped, paths and name as they are but for what psql or, inside double quotes,
 * a shell would take for something else; empty parts left out.
 */
export function connectionUri({ host, port, dbUser, dbName, tls }: PsqlTarget): string {
  if (host.startsWith('/')) {
    // Nobody but psql reads this form, and psql takes a `+` for itself.
    const user = dbUser === '' ? '' : `${encodeURIComponent(dbUser)}@`;
    return `postgres://${user}/${encodeURIComponent(dbName)}?host=${encodeURIComponent(host)}&port=${port}`;
  }
  const user = dbUser === '' ? '' : `${queryEscape(dbUser)}@`;
  const name = dbName.replace(/["$`\\!\s]/g, escaped);
  return `postgres://${user}${joinHostPort(host, port)}/${name}${tls ? tlsQuery(tls) : ''}`;
}

function tlsQuery({ rootCert, cert, key, passFile, mode }: NonNullable<PsqlTarget['tls']>): string {
  const parameters = [
    ['sslrootcert', rootCert],
    ['sslcert', cert],
    ['sslkey', key],
    ['passfile', passFile],
    ['sslmode', mode],
  ];
  return `?${parameters.flatMap(([name, value]) => (value ? [`${name}=${value.replace(/["$`\\!\s%&]/g, escaped)}`] : [])).join('&')}`;
}

function escaped(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** @param passthrough  what stood behind `--` on our own command line */
export function psqlArguments(target: PsqlTarget, passthrough: readonly string[] = []): string[] {
  return [connectionUri(target), ...passthrough];
}

/** As Go's `url.QueryEscape`: blank to `+`, everything that is not a letter, digit or one of `-_.~` to `%XX`. */
export function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/%20/g, '+')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
