/**
 * Databases that the agent finds in AWS by itself (`db_service.aws`): every matcher's types in its regions, asked every
 * five minutes. Only this agent offers them; nothing is stored in the cluster.
 *
 * Source: database-service.md 7.1 to 7.3.
 */

import { atOnce } from '../aws/at-once.js';
import type { FoundDatabase } from '../aws/discover.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { ADMIN_DATABASE_LABEL, ADMIN_LABEL } from '../rbac/auto-users.js';
import { matchesLabels } from '../rbac/labels.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import type { Database, LabelSelector } from '../resources/types.js';
import { checkDatabase } from '../resources/validate-database.js';
import { rest } from '../wait.js';
import { discoveredName } from './discovered-name.js';

export interface AwsMatcher {
  types: string[];
  regions: string[];
  /** On the labels of what was found. */
  tags?: LabelSelector;
  /** Role for looking and, later, for entering the database. */
  assume_role_arn?: string;
  external_id?: string;
  integration?: string;
}

export interface DiscoveryOptions {
  matchers: readonly AwsMatcher[];
  /** Called after each round with everything that is there now. */
  onFound: (databases: Database[]) => void;
  signal: AbortSignal;
  log: Logger;
  /** Default 5 min, Teleport's own. */
  intervalMs?: number;
}

interface Search {
  type: 'redshift' | 'redshift-serverless';
  region: string;
  matcher: AwsMatcher;
  /** Of the last round that was answered. */
  found: Database[];
  isDenied: boolean;
}

const SERVED = ['redshift', 'redshift-serverless'] as const;
const NOT_SERVED = [
  'rds',
  'rdsproxy',
  'elasticache',
  'elasticache-serverless',
  'memorydb',
  'opensearch',
  'docdb',
] as const;
const AT_ONCE = 5;

/** @throws BadParameter for a matcher without tags or of an unknown type, NotImplemented for an integration */
export function checkMatchers(matchers: readonly AwsMatcher[]): void {
  const known: readonly string[] = [...SERVED, ...NOT_SERVED];
  for (const { types, tags, integration } of matchers) {
    const unknown = types.find((type) => !known.includes(type));
    if (unknown !== undefined) {
      throw new TeleportError(
        'BadParameter',
        `unknown matcher type "${unknown}". Supported AWS matcher types are [${known.join(' ')}]`,
      );
    }
    if (!tags) {
      throw new TeleportError('BadParameter', 'db_service.aws: missing parameter Labels', {
        hint: "Add to the matcher which AWS tags it takes; all of them: tags: {'*': '*'}",
      });
    }
    if (integration) {
      throw new TeleportError('NotImplemented', 'db_service.aws: integration is not supported', {
        hint: "Give the agent's host AWS credentials, or name a role with assume_role_arn.",
      });
    }
  }
}

/** Looks now and again until the signal. Never rejects; a search that fails keeps what it found before. */
export async function runDiscovery(options: DiscoveryOptions): Promise<void> {
  const { matchers, onFound, signal, log, intervalMs = 5 * 60_000 } = options;
  const searches = searchesOf(matchers, log);
  while (searches.length > 0 && !signal.aborted) {
    const inTurn = atOnce(AT_ONCE);
    const round = searches.map((search) =>
      inTurn(async () => {
        if (!signal.aborted) await look(search, log);
      }),
    );
    await Promise.all(round);
    if (signal.aborted) return;
    onFound(searches.flatMap(({ found }) => found));
    await rest(intervalMs, signal, { isIdle: true });
  }
}

function searchesOf(matchers: readonly AwsMatcher[], log: Logger): Search[] {
  return matchers.flatMap((matcher) =>
    matcher.types.flatMap((type) => {
      const served = SERVED.find((one) => one === type);
      if (!served) {
        log.warn('This program does not look for databases of this type.', { setting: 'db_service.aws', type });
        return [];
      }
      return matcher.regions.map((region) => ({ type: served, region, matcher, found: [], isDenied: false }));
    }),
  );
}

async function look(search: Search, log: Logger): Promise<void> {
  const { type, region, matcher } = search;
  const where = { type, region };
  try {
    const { discoverRedshift, discoverServerless } = await import('../aws/discover.js');
    const chain = matcher.assume_role_arn
      ? [{ roleArn: matcher.assume_role_arn, externalId: matcher.external_id }]
      : [];
    const found = await (type === 'redshift' ? discoverRedshift : discoverServerless)({ region, chain });
    search.found = found
      .filter(({ labels }) => matchesLabels(matcher.tags, labels))
      .flatMap((one) => usable(databaseOf(one, matcher), log) ?? []);
    search.isDenied = false;
    log.debug('Looked for databases in AWS.', { ...where, found: found.length, taken: search.found.length });
  } catch (error) {
    const isNothing = isTeleportError(error, 'AccessDenied') || isTeleportError(error, 'NotFound');
    if (isNothing) search.found = [];
    // Said once, then quietly, until it is allowed again.
    const say = isNothing && search.isDenied ? log.debug : log.warn;
    search.isDenied = isNothing;
    say('Cannot look for databases in AWS.', { ...where, error: messageOf(error) });
  }
}

function databaseOf(found: FoundDatabase, matcher: AwsMatcher): Database {
  const aws = {
    ...found.aws,
    ...(matcher.assume_role_arn ? { assume_role_arn: matcher.assume_role_arn } : {}),
    ...(matcher.external_id ? { external_id: matcher.external_id } : {}),
  };
  const { name, labels } = discoveredName(found);
  // The resource of a workgroup must not have one: nobody makes users there.
  const admin = found.aws.redshift_serverless ? undefined : found.labels[ADMIN_LABEL];
  const adminDatabase = found.labels[ADMIN_DATABASE_LABEL];
  return databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name, description: found.description, labels },
    spec: {
      protocol: found.protocol,
      uri: found.uri,
      ...(found.serverName ? { tls: { mode: 'verify-full', server_name: found.serverName } } : {}),
      aws,
      ...(admin ? { admin_user: { name: admin, ...(adminDatabase ? { default_database: adminDatabase } : {}) } } : {}),
    },
    // AWS has just said all this: nothing is left to ask.
    status: { aws },
  } as Database);
}

function usable(database: Database, log: Logger): Database | undefined {
  try {
    checkDatabase(database);
    return database;
  } catch (error) {
    log.warn('Ignoring a database of AWS.', { db: database.metadata.name, error: messageOf(error) });
    return undefined;
  }
}
