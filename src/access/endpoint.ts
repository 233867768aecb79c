/**
 * An endpoint that a person pastes instead of a name: what the AWS console, a JDBC client or a colleague shows. Pure.
 *
 *     my-cluster.abc123.us-east-1.redshift.amazonaws.com:5439[/dev]     provisioned; Serverless and China alike
 *     analytics.example.com:5439                                        custom domain name of either
 *     jdbc:redshift://HOST:5439/dev?DbUser=analyst&AutoCreate=true      and jdbc:redshift:iam://…
 *     jdbc:redshift:iam://CLUSTER:REGION/dev                            no host: AWS is asked for it
 *     postgresql://analyst@HOST:5439/dev
 *
 * Source: Amazon Redshift's "Building the connection URL" and its JDBC driver's options; PostgreSQL manual, "Connection
 * URIs".
 */
import { TeleportError } from '../errors.js';
import { readRedshiftHost } from '../resources/redshift-host.js';
import type { AwsMetadata } from '../resources/types.js';

export interface Endpoint {
  /** As it was typed. */
  typed: string;
  /** What was pasted, without a password: it names the database in messages. */
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
}

/** Redshift's port. */
const DEFAULT_PORT = 5439;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

/** Whether a word is an endpoint and not the name of a database, which has no colon but may well have dots. */
export function isEndpoint(text: string | undefined): text is string {
  return text !== undefined && (text.includes(':') || /\.amazonaws\.com(\.cn)?(\/|$)/i.test(text));
}

/** @throws BadParameter that says which part cannot be read; never with a password in it */
export function parseEndpoint(text: string): Endpoint {
  const url = /^(?:jdbc:)?([a-z:]+):\/\/(.*)$/is.exec(text.trim());
  const scheme = url?.[1]?.toLowerCase();
  const shown = withoutPassword(text.trim());
  const wrong = (part: string, hint = EXPECTED) =>
    new TeleportError('BadParameter', `endpoint ${JSON.stringify(shown)}: ${part}`, { hint });
  if (scheme !== undefined && !SCHEMES.has(scheme)) {
    throw wrong(`scheme ${JSON.stringify(scheme)} is not one of ${[...SCHEMES].join(', ')}`);
  }
  const rest = url ? url[2]! : text.trim();
  const [, authority = '', path = '', query = ''] = /^([^/?;]*)(?:\/([^?;]*))?(?:[?;](.*))?$/s.exec(rest) ?? [];
  const at = authority.lastIndexOf('@');
  const [user = '', ...password] = at < 0 ? [''] : authority.slice(0, at).split(':');
  const [, host = '', portText] = /^(.*?)(?::([^:]*))?$/.exec(authority.slice(at + 1)) ?? [];
  const decoded = (part: string, value: string) => {
    try {
      return decodeURIComponent(value);
    } catch {
      throw wrong(`${part} has a broken %-escape`);
    }
  };
  const options = optionsOf(query, (value) => decoded('the options', value));
  const given = {
    dbUser: options.dbuser || options.user || options.uid || decoded('the user', user) || undefined,
    dbName: decoded('the database', path) || options.databasename || options.dbname || undefined,
    autoCreate: options.autocreate === 'true' ? true : undefined,
    dbGroups: options.dbgroups?.split(',').map((group) => group.trim()) || undefined,
    profile: options.profile || undefined,
  };
  const common = {
    typed: text,
    text: shown,
    hasPassword: password.length > 0 || options.password !== undefined || options.pwd !== undefined,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  if (host === '') throw wrong('the host is missing');
  if (scheme === 'redshift:iam' && !host.includes('.')) {
    if (!portText) throw wrong('the region is missing: jdbc:redshift:iam://CLUSTER:REGION/DATABASE');
    if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(portText))
      throw wrong(`region ${JSON.stringify(portText)} is not an AWS region`);
    return { ...common, port: DEFAULT_PORT, aws: { region: portText, redshift: { cluster_id: host } } };
  }
  if (!HOST_NAME.test(host)) throw wrong(`host ${JSON.stringify(host)} is not a host name`);
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (portText !== undefined && !(/^\d{1,5}$/.test(portText) && port >= 1 && port <= 65_535)) {
    throw wrong(`port ${JSON.stringify(portText)} is not a number from 1 to 65535`);
  }
  return { ...common, host, port, ...awsPart(host, wrong) };
}

const SCHEMES = new Set(['redshift', 'redshift:iam', 'postgresql', 'postgres']);
const EXPECTED =
  'Expected CLUSTER.HASH.REGION.redshift.amazonaws.com:5439, as the AWS console shows it, or a JDBC URL.';

function awsPart(host: string, wrong: (part: string) => TeleportError): { aws?: AwsMetadata } {
  let aws: AwsMetadata | undefined;
  try {
    aws = readRedshiftHost(host);
  } catch {
    throw wrong(`host ${JSON.stringify(host)} is not CLUSTER.HASH.REGION.redshift.amazonaws.com`);
  }
  if (aws === undefined && /\.amazonaws\.com(\.cn)?\.?$/i.test(host)) {
    throw wrong(`host ${JSON.stringify(host)} is AWS's, but not of a Redshift cluster or workgroup`);
  }
  return aws ? { aws } : {};
}

/** `a=b&c=d`, or Redshift's `a=b;c=d`; names in lower case. */
function optionsOf(query: string, decoded: (value: string) => string): Record<string, string> {
  const pairs = query.split(/[&;]/).filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      return [name.toLowerCase(), decoded(value)];
    }),
  );
}

function withoutPassword(text: string): string {
  return text
    .replace(/^((?:jdbc:)?[a-z:]+:\/\/[^/?;:@]*):[^@]*@/i, '$1@')
    .replace(/([?&;](?:password|pwd)=)[^&;]*/gi, '$1...');
}
