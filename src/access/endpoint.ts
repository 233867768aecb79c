/**
 * An endpoint that a person pastes instead of a name: what the AWS console, a JDBC client or a colleague shows. Pure.
 *
 *     my-cluster.abc123.us-east-1.redshift.amazonaws.com:5439[/dev]     provisioned; Serverless and every partition alike
 *     analytics.example.com:5439                                        custom domain name of either
 *     jdbc:redshift://HOST:5439/dev?DbUser=analyst&AutoCreate=true      and jdbc:redshift:iam://…
 *     jdbc:redshift:iam://CLUSTER:REGION/dev                            no host: AWS is asked for it
 *     postgresql://analyst@HOST:5439/dev                                also redshift+psycopg2://…, as SQLAlchemy writes it
 *     host=HOST port=5439 dbname=dev user=analyst                       libpq
 *     Driver={Amazon Redshift (x64)};Server=HOST;Database=dev;UID=u     ODBC
 *
 * Source: Amazon Redshift's "Building the connection URL" and the options of its JDBC and ODBC drivers; PostgreSQL manual,
 * "Connection Strings"; SQLAlchemy, "Database URLs".
 */

import { isRegion, splitAwsHost } from '../aws/partitions.js';
import { TeleportError } from '../errors.js';
import { isPort, splitHostPort } from '../host-port.js';
import { redactValue } from '../redact.js';
import { readRedshiftHost } from '../resources/redshift-host.js';
import type { AwsMetadata } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';

export interface Endpoint {
  /** As it was typed. */
  typed: string;
  /** The same with nothing but what is read, no password or key: it names the database in messages and files. */
  text: string;
  /** Absent in the JDBC form CLUSTER:REGION. */
  host?: string;
  port: number;
  /** What the host name says; absent for a custom domain name. */
  aws?: AwsMetadata;
  dbUser?: string;
  dbName?: string;
  autoCreate?: boolean;
  dbGroups?: string[];
  /** Profile of the shared files. */
  profile?: string;
  /** A password stood in the URL; it is not used. */
  hasPassword: boolean;
  /** AWS keys stood in the URL; they are not used. */
  hasKeys: boolean;
}

/** Redshift's port. */
const DEFAULT_PORT = 5439;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

/** Whether a word is an endpoint and not the name of a database, which has no colon but may well have dots. */
export function isEndpoint(text: string | undefined): text is string {
  if (text === undefined) return false;
  return text.includes(':') || isKeywords(text) || splitAwsHost(text.replace(/[/?;].*$/s, '')) !== undefined;
}

/** By which name a database goes that is meant by this word: an endpoint without what is secret or of no use here. */
export function databaseNameOf(typed: string): string {
  return isEndpoint(typed) ? parseEndpoint(typed).text : typed;
}

/** @throws BadParameter that says which part cannot be read; never with a password or a key in it */
export function parseEndpoint(text: string): Endpoint {
  const typed = isKeywords(text) ? urlOfKeywords(text) : text.trim();
  const [, prefix = '', schemeText] = /^((?:jdbc:)?([a-z][\w+.:-]*):\/\/)/i.exec(typed) ?? [];
  // SQLAlchemy names its driver behind a plus.
  const scheme = schemeText?.toLowerCase().replace(/\+.*$/, '');
  const rest = typed.slice(prefix.length);
  const [, authority = '', path = '', query = ''] = /^([^/?;]*)(?:\/([^?;]*))?(?:[?;](.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf('@');
  const [user = '', ...password] = at < 0 ? [''] : authority.slice(0, at).split(':');
  const place = authority.slice(at + 1);
  const { host: hostText, port: portText } = splitHostPort(place);
  // A dot at the end is of the name service; certificates and AWS do not have it.
  const host = hostText.replace(/\.$/, '');
  const pairs = pairsOf(query);
  const shownPairs = pairs.filter(([name]) => SHOWN_OPTIONS.has(name)).map(([, , pair]) => pair);
  const shown = [
    `${prefix}${user && `${user}@`}${place}${path && `/${path}`}`,
    ...(shownPairs.length > 0 ? [shownPairs.join('&')] : []),
  ].join('?');
  const wrong = (part: string, hint = EXPECTED, name = shown) =>
    new TeleportError('BadParameter', `endpoint ${JSON.stringify(redactValue(name))}: ${part}`, { hint });
  // Before anything is quoted: what looks like host, port and path may be a piece of a password.
  const hasRegion = scheme === 'redshift:iam' && isRegion(portText ?? '');
  const mayBePort = portText === undefined || /^\d*$/.test(portText) || hasRegion;
  if (at < 0 && (path.includes('@') || (!mayBePort && query.includes('@')))) {
    throw wrong('a character of user, password or database must be escaped', ESCAPES, `${prefix}...`);
  }
  if (redactValue(shown) !== shown) throw wrong('a password stands where none can be read');
  if (CONTROL.test(typed)) throw wrong('there is a line break or another control character in it');
  if (scheme !== undefined && !SCHEMES.has(scheme)) {
    throw wrong(`scheme ${JSON.stringify(scheme)} is not one of ${[...SCHEMES].join(', ')}`);
  }
  const decoded = (part: string, value: string) => {
    let plain: string;
    try {
      plain = decodeURIComponent(value);
    } catch {
      throw wrong(`${part} has a broken %-escape`);
    }
    if (CONTROL.test(plain)) throw wrong(`${part} has a control character`);
    return plain;
  };
  const options = Object.fromEntries(
    pairs.flatMap(([name, value]) => (SHOWN_OPTIONS.has(name) ? [[name, decoded('the options', value)]] : [])),
  );
  const has = (...names: string[]) => pairs.some(([name]) => names.includes(name));
  const given = {
    dbUser: options.dbuser || options.user || options.uid || decoded('the user', user) || undefined,
    dbName: decoded('the database', path) || options.databasename || options.dbname || undefined,
    autoCreate: yesOrNo(options.autocreate ?? '') || undefined,
    dbGroups: options.dbgroups?.split(',').map((group) => group.trim()) || undefined,
    profile: options.profile || undefined,
  };
  const common = {
    typed: text,
    text: shown,
    hasPassword: password.length > 0 || has('password', 'pwd', 'passwd'),
    hasKeys: has('accesskeyid', 'secretaccesskey', 'sessiontoken'),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  if (host === '') throw wrong('the host is missing');
  if (scheme === 'redshift:iam' && !host.includes('.')) {
    if (!portText) throw wrong('the region is missing: jdbc:redshift:iam://CLUSTER:REGION/DATABASE');
    if (!hasRegion) throw wrong('the region is not one of AWS: it looks like us-east-1');
    return { ...common, port: DEFAULT_PORT, aws: { region: portText, redshift: { cluster_id: host } } };
  }
  if (!HOST_NAME.test(host)) throw wrong(`host ${JSON.stringify(host)} is not a host name`);
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (portText !== undefined && !(/^\d{1,5}$/.test(portText) && isPort(port))) {
    throw wrong(`port ${prefix ? '' : `${JSON.stringify(portText)} `}is not a number from 1 to 65535`);
  }
  return { ...common, host, port, ...awsPart(host, wrong) };
}

const SCHEMES = new Set(['redshift', 'redshift:iam', 'postgresql', 'postgres']);
/** Options that are read. All others are left out of what is shown and stored: keys and passwords are among them. */
const SHOWN_OPTIONS = new Set(['dbuser', 'user', 'uid', 'databasename', 'dbname', 'autocreate', 'dbgroups', 'profile']);
const CONTROL = /\p{Cc}/u;
const ESCAPES = 'In a URL, / is written as %2F, ? as %3F, ; as %3B and @ as %40.';
const EXPECTED =
  'Expected CLUSTER.HASH.REGION.redshift.amazonaws.com:5439, as the AWS console shows it, or a JDBC URL.';

function awsPart(host: string, wrong: (part: string) => TeleportError): { aws?: AwsMetadata } {
  let aws: AwsMetadata | undefined;
  try {
    aws = readRedshiftHost(host);
  } catch {
    throw wrong(`host ${JSON.stringify(host)} is not CLUSTER.HASH.REGION.redshift.amazonaws.com`);
  }
  if (aws === undefined && splitAwsHost(host)) {
    throw wrong(`host ${JSON.stringify(host)} is AWS's, but not of a Redshift cluster or workgroup`);
  }
  return aws ? { aws } : {};
}

/** `host=… dbname=…` of libpq or `Server=…;Database=…` of ODBC, and not a URL with options. */
function isKeywords(text: string): boolean {
  return /^\s*(driver|server|servername|host|hostaddr|port|dbname|database|user|uid|username|password|pwd|dsn|sslmode|clusterid|region|iam)\s*=/i.test(
    text,
  );
}

/** The same as a URL, without what is not read; the password stays noticed. */
function urlOfKeywords(text: string): string {
  const isOdbc = /;/.test(text.replace(/'(?:\\.|[^'\\])*'/g, ''));
  const form = isOdbc
    ? /([^=;]+?)\s*=\s*(\{(?:\}\}|[^}])*\}|[^;]*)/g
    : /([\w-]+)\s*=\s*('(?:\\[\s\S]|[^'\\])*'|(?:\\[\s\S]|[^\s\\])*)/g;
  const given = new Map(
    [...text.matchAll(form)].map(([, name = '', value = '']) => [
      name.trim().toLowerCase(),
      isOdbc
        ? value
            .trim()
            .replace(/^\{([\s\S]*)\}$/, '$1')
            .replaceAll('}}', '}')
        : value.replace(/^'([\s\S]*)'$/, '$1').replace(/\\([\s\S])/g, '$1'),
    ]),
  );
  const first = (...names: string[]) => names.map((name) => given.get(name)).find(Boolean);
  const place = first('host', 'server', 'servername', 'hostaddr');
  // The drivers find a cluster by its name and region too.
  const [cluster, region] = [first('clusterid'), first('region')];
  const isNamed = place === undefined && cluster && region;
  const user = first('dbuser', 'user', 'uid', 'username');
  const port = first('port');
  const database = first('dbname', 'database');
  const options = ['autocreate', 'dbgroups', 'profile'].flatMap((name) => {
    const value = given.get(name);
    return value ? [`${name}=${encodeURIComponent(value)}`] : [];
  });
  // Only that there is one is of interest, not which.
  if (first('password', 'pwd', 'passwd')) options.push('password=');
  if (first('accesskeyid', 'secretaccesskey', 'sessiontoken')) options.push('accesskeyid=');
  return [
    isNamed ? 'redshift:iam://' : 'redshift://',
    user ? `${encodeURIComponent(user)}@` : '',
    isNamed ? `${cluster}:${region}` : `${place ?? ''}${port ? `:${port}` : ''}`,
    database ? `/${encodeURIComponent(database)}` : '',
    options.length > 0 ? `?${options.join('&')}` : '',
  ].join('');
}

/** `a=b&c=d`, or Redshift's `a=b;c=d`: name in lower case, value, and the two as they stood. */
function pairsOf(query: string): (readonly [name: string, value: string, pair: string])[] {
  const pairs = query.split(/[&;]/).filter((pair) => pair !== '');
  return pairs.map((pair) => {
    const at = pair.indexOf('=');
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    return [name.toLowerCase(), value, pair];
  });
}
