/**
 * The Discovery Service: looks for databases in AWS and keeps the `db` resources of the cluster as they are there, for agents
 * to serve by `db_service.resources`.
 *
 * Source: database-service.md 7.1 to 7.3.
 */
import { abortForMany } from '../abort.js';
import { followAuthorities, type HostAuthorities } from '../api/authority-watch.js';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { dialAuth } from '../api/dial.js';
import { type AuthRoute, type HostIdentity, takeOver } from '../api/host-identity.js';
import { renewHostIdentity } from '../api/host-renewal.js';
import { listDatabases } from '../api/list-databases.js';
import type { Trouble } from '../cloud/distinct-names.js';
import type { AwsMatcher } from '../cloud/matchers.js';
import { searchReporter } from '../cloud/report.js';
import { runSearches, type Search } from '../cloud/search.js';
import { type ErrorCode, isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Database } from '../resources/types.js';
import { settledWithin } from '../wait.js';
import { planOf } from './plan.js';

export interface DiscoveryServiceOptions {
  /** Role Discovery. */
  identity: HostIdentity;
  authRoute: AuthRoute;
  matchers: readonly AwsMatcher[];
  /** Databases of this group are ours; services that share one must have the same matchers. */
  group: string;
  /** Between two rounds. Default 5 min. */
  intervalMs?: number | undefined;
  version: string;
  log: Logger;
  now?: () => Date;
  /** Called for what Auth says of the authority of hosts. */
  onHostAuthorities?: (authorities: HostAuthorities) => void;
}

/** @throws TeleportError when Auth cannot be reached */
export async function startDiscoveryService(options: DiscoveryServiceOptions): Promise<DiscoveryService> {
  const { authRoute, identity, version } = options;
  return new DiscoveryService(options, await dialAuth(authRoute, identity, { version }));
}

export class DiscoveryService {
  readonly #options: DiscoveryServiceOptions;
  readonly #auth: AuthClient;
  readonly #stop = abortForMany();
  readonly #running: Promise<unknown>;
  readonly #report: ReturnType<typeof searchReporter>;
  #searches: readonly Search[] = [];
  #isCutOff = false;

  constructor(options: DiscoveryServiceOptions, auth: AuthClient) {
    const {
      matchers,
      group,
      intervalMs,
      identity,
      log,
      now = () => new Date(),
      onHostAuthorities = () => {},
    } = options;
    const { signal } = this.#stop;
    this.#options = options;
    this.#auth = auth;
    this.#report = searchReporter(auth, { nodename: identity.nodename, group, intervalMs, log });
    this.#running = Promise.all([
      followAuthorities({ auth, onChange: onHostAuthorities, log, signal }),
      runSearches({
        matchers,
        setting: 'discovery_service.aws',
        onRound: (searches) => this.#register(searches),
        signal,
        log,
        now,
        intervalMs,
      }),
    ]);
  }

  /** Databases that are there, as far as AWS has said. */
  found(): number {
    return this.#searches.reduce((sum, { found }) => sum + found.length, 0);
  }

  /** Searches that AWS did not answer in full when they last ran. */
  failing(): number {
    return this.#searches.filter(({ failures }) => failures.length > 0).length;
  }

  /** Auth was not reached in the last round, or does not let this host in. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Get the next host certificate, and show it from now on. @throws what Auth says */
  async renewIdentity(): Promise<void> {
    const { identity } = this.#options;
    takeOver(identity, await renewHostIdentity(this.#auth, identity));
    this.#auth.reconnect();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await settledWithin(this.#running, 5_000);
    await this.#auth.close();
  }

  async #register(searches: readonly Search[]): Promise<void> {
    const { log } = this.#options;
    this.#searches = searches;
    let isCutOff = false;
    const troubles = await this.#change(searches).catch((error: unknown): Trouble[] => {
      isCutOff = true;
      log.warn('Cannot bring the databases of the cluster up to date.', { error: messageOf(error) });
      return [];
    });
    this.#isCutOff = isCutOff;
    await this.#report({ searches, troubles });
  }

  /** What is gone first, so that its name is free. @throws TeleportError when Auth cannot be asked what there is */
  async #change(searches: readonly Search[]): Promise<Trouble[]> {
    const { group, log } = this.#options;
    const { auth } = this.#auth;
    const registered = await listDatabases(this.#auth);
    const { remove, create, update, troubles } = planOf({ searches, registered, group });
    const attempt = async (what: string, databases: Database[], act: (database: Database) => Promise<unknown>) => {
      for (const database of databases) {
        try {
          await act(database);
          log.info(`A database of AWS is ${what}.`, { db: database.metadata.name });
        } catch (error) {
          troubles.push({ database, text: messageOf(error) });
        }
      }
    };
    await attempt('removed', remove, ({ metadata: { name } }) => unless('NotFound', auth.deleteDatabase({ name })));
    await attempt('registered', create, async (database) => {
      try {
        await auth.createDatabase(toMessage('db', database));
      } catch (error) {
        if (!isTeleportError(error, 'AlreadyExists')) throw error;
        // Another service of the group may have been quicker. What it is not to see was made by a person.
        const { name } = database.metadata;
        await auth.getDatabase({ name }).catch((unseen: unknown) => {
          throw isTeleportError(unseen, 'NotFound') ? takenError(name) : unseen;
        });
      }
    });
    await attempt('updated', update, (database) => auth.updateDatabase(toMessage('db', database)));
    return troubles;
  }
}

/** @throws what `work` throws, but for this code: another service of the group has done the same */
async function unless(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isTeleportError(error, code)) throw error;
  });
}

function takenError(name: string): TeleportError {
  return new TeleportError(
    'AlreadyExists',
    `the cluster has a database "${name}" already that is not of the cloud: give the one in AWS another name, with the tag teleport.dev/database_name`,
  );
}
