/**
 * Which Redshift databases a person's own IAM identity can see: every cluster and workgroup of the regions, or the one
 * that a pasted endpoint leads to.
 */

import { isTeleportError, messageOf, TeleportError } from '../../errors.js';
import { joinHostPort } from '../../host-port.js';
import { compileFilter } from '../../rbac/predicate.js';
import type { AwsMetadata } from '../../resources/types.js';
import type { AccessibleDatabase, DatabaseFilter } from '../access.js';
import { type Endpoint, isEndpoint, parseEndpoint } from '../endpoint.js';
import type { AwsContext } from './context.js';
import { given, ofFound, pasted } from './database.js';

export class AwsSearch {
  readonly #context: AwsContext;

  constructor(context: AwsContext) {
    this.#context = context;
  }

  async databases(filter: DatabaseFilter, options: { names?: string[] } = {}): Promise<AccessibleDatabase[]> {
    const names = options.names ?? (filter.name ? [filter.name] : undefined);
    const endpoints = (names ?? []).filter(isEndpoint);
    const others = names?.filter((name) => !isEndpoint(name));
    const direct = await Promise.all(endpoints.map((text) => this.#ofEndpoint(parseEndpoint(text))));
    if (others?.length === 0) return direct;
    return [...direct, ...(await this.#search(filter, others))];
  }

  async #search(filter: DatabaseFilter, names: string[] | undefined): Promise<AccessibleDatabase[]> {
    const { found, failures } = await this.#listed(await this.#context.regions());
    const matches = compileFilter(filter);
    const databases = found
      .map((one) => ofFound(one, this.#context.caPem))
      .filter(({ database }) => names === undefined || names.includes(database.metadata.name))
      .filter(({ database }) => matches({ database }))
      .sort((a, b) => (a.database.metadata.name < b.database.metadata.name ? -1 : 1));
    // Who asked for a name and has it need not know what else could not be looked at.
    if (names === undefined || databases.length < names.length)
      for (const one of failures) this.#context.warn(failureText(one));
    return databases;
  }

  async #listed(regions: readonly string[]) {
    const { discoverRedshift, discoverServerless } = await import('../../aws/discover.js');
    const searches = regions.flatMap((region) => [
      { region, what: 'Redshift', found: discoverRedshift({ ...this.#client(region), unavailable: true }) },
      {
        region,
        what: 'Redshift Serverless',
        found: discoverServerless({ ...this.#client(region), unavailable: true }),
      },
    ]);
    const outcomes = await this.#context.waitingFor('AWS', Promise.allSettled(searches.map(({ found }) => found)));
    const failures = outcomes.flatMap((outcome, i): Failure[] => {
      const { region, what } = searches[i]!;
      if (outcome.status === 'rejected') return [{ region, what, error: outcome.reason }];
      return outcome.value.unsaid.map((error) => ({ region, what, error, isPartial: true }));
    });
    // Nothing at all could be asked: that is not an empty list.
    if (searches.length > 0 && outcomes.every(({ status }) => status === 'rejected')) throw nothingSeen(failures);
    return { found: outcomes.flatMap((one) => (one.status === 'fulfilled' ? one.value.databases : [])), failures };
  }

  async #ofEndpoint(endpoint: Endpoint): Promise<AccessibleDatabase> {
    if (endpoint.hasPassword) this.#context.warn('the password in the URL is not used: AWS makes a temporary one');
    if (endpoint.hasKeys)
      this.#context.warn('the AWS keys in the URL are not used: put them into a profile, see "aws configure"');
    const found = await this.#placeOf(endpoint);
    const { dbUser, dbName, autoCreate, dbGroups } = endpoint;
    const suggested = { ...found.suggested, ...given({ dbUser, dbName, autoCreate, dbGroups }) };
    // It goes by what was typed, as every database does.
    const metadata = { ...found.database.metadata, name: endpoint.text };
    return { ...found, suggested, askedAs: endpoint.typed, database: { ...found.database, metadata } };
  }

  /** The database that an endpoint leads to. AWS is asked only for what the host name does not say. */
  async #placeOf(endpoint: Endpoint): Promise<AccessibleDatabase> {
    const { text, host, port, aws } = endpoint;
    const isWhole = aws?.redshift?.cluster_id !== undefined || aws?.redshift_serverless?.workgroup_name !== undefined;
    if (aws && host && isWhole) {
      const { clusterOfVpcEndpoint } = await import('../../aws/vpc-endpoint.js');
      const cluster = aws.redshift && (await clusterOfVpcEndpoint(this.#client(aws.region!), host));
      const place = cluster === undefined ? aws : { ...aws, redshift: { cluster_id: cluster } };
      return pasted(text, joinHostPort(host, port), place, this.#context.caPem);
    }
    if (aws?.region) return await this.#listedPlace(endpoint, aws, aws.region);
    return await this.#customDomain(text, host!, port);
  }

  /** Among all clusters and workgroups of its region. */
  async #listedPlace({ text }: Endpoint, aws: AwsMetadata, region: string): Promise<AccessibleDatabase> {
    const { found, failures } = await this.#listed([region]);
    const match = found.find(({ aws: place }) =>
      aws.redshift
        ? (place.redshift?.cluster_id ?? place.redshift_serverless?.workgroup_name) === aws.redshift.cluster_id
        : place.redshift_serverless?.endpoint_name === aws.redshift_serverless?.endpoint_name,
    );
    if (match) return ofFound(match, this.#context.caPem);
    // It may be among those that could not be looked at.
    const [first] = failures;
    if (first?.isPartial) throw unlisted(text, first);
    if (first) throw first.error;
    throw new TeleportError('NotFound', `endpoint "${text}": AWS has no such cluster or workgroup in ${region}`, {
      hint: 'Look for it with: tsh db ls --aws --region=REGION',
    });
  }

  async #customDomain(text: string, host: string, port: number): Promise<AccessibleDatabase> {
    const { findCustomDomain } = await import('../../aws/custom-domain.js');
    const regions = await this.#context.regions();
    const asked = await Promise.allSettled(regions.map((region) => findCustomDomain(this.#client(region), host)));
    for (const [i, outcome] of asked.entries()) {
      if (outcome.status === 'rejected' || outcome.value === undefined) continue;
      const place =
        'clusterId' in outcome.value
          ? { redshift: { cluster_id: outcome.value.clusterId } }
          : { redshift_serverless: { workgroup_name: outcome.value.workgroup } };
      return pasted(text, joinHostPort(host, port), { region: regions[i]!, ...place }, this.#context.caPem);
    }
    const failed = asked.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    throw new TeleportError(
      'NotFound',
      `endpoint "${text}": no cluster or workgroup in ${regions.join(', ')} has this custom domain name`,
      { hint: 'Give the region of the cluster with --region, or its own endpoint.' },
    );
  }

  #client(region: string) {
    const { chain, profile } = this.#context.principal;
    return { region, chain, profile };
  }
}

/** A question that AWS did not answer, or not in full. */
interface Failure {
  region: string;
  what: string;
  error: unknown;
  /** It answered the rest. */
  isPartial?: boolean;
}

function failureText({ region, what, error, isPartial }: Failure): string {
  const hint = isTeleportError(error) && error.hint ? ` ${error.hint}` : '';
  const how = isPartial ? 'is not listed in full' : 'was not looked at';
  return `${what} in ${region} ${how}: ${messageOf(error)}${hint}`;
}

function unlisted(endpoint: string, { error, what, region }: Failure): unknown {
  if (!isTeleportError(error)) return error;
  const { code, message, hint } = error;
  const why = `AWS did not name it, and did not list all of ${what} in ${region}: ${message}`;
  return new TeleportError(code, `endpoint "${endpoint}": ${why}`, { cause: error, hint });
}

/** One failure for all: as it is when every question met the same one, else a line for each. */
function nothingSeen(failures: readonly Failure[]): unknown {
  const first = failures[0]!.error;
  if (new Set(failures.map(({ error }) => messageOf(error))).size === 1 || !isTeleportError(first)) return first;
  const lines = failures.map(({ region, what, error }) => `${what} in ${region}: ${messageOf(error)}`);
  return new TeleportError(first.code, lines.join('\n'), { cause: first, hint: first.hint });
}
