/**
 * What Auth hears of the databases of an agent: each is announced as a db_server, again before the announcement runs out,
 * and withdrawn when it goes.
 */
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import type { HostIdentity } from '../api/host-identity.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Database, DatabaseServer, TargetHealth } from '../resources/types.js';
import type { Registry } from './registry.js';

/** Between a heartbeat that failed and the next. */
const RETRY_MS = 10_000;

export interface HeartbeatOptions {
  auth: Pick<AuthClient, 'auth'>;
  registry: Registry;
  healthOf: (name: string) => TargetHealth;
  identity: Pick<HostIdentity, 'hostId' | 'nodename'>;
  version: string;
  /** An announcement lives twice as long. */
  everyMs: number;
  now: () => Date;
  log: Logger;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Announce all, now and again until `end`. Resolves after the first time; never rejects. */
  async begin(): Promise<void> {
    this.#later(await this.#announceAll());
  }

  async announce(database: Database): Promise<void> {
    const { auth, healthOf, identity, version, everyMs, now } = this.#options;
    const { name } = database.metadata;
    const server: DatabaseServer = {
      kind: 'db_server',
      version: 'v3',
      metadata: { name, expires: new Date(now().getTime() + 2 * everyMs).toISOString() },
      spec: { version, hostname: identity.nodename, host_id: identity.hostId, database },
      status: { target_health: healthOf(name) },
    };
    await auth.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
  }

  /** The same, and a failure is logged. @returns whether Auth has heard it */
  async tryAnnounce(database: Database): Promise<boolean> {
    try {
      await this.announce(database);
      return true;
    } catch (error) {
      const { log } = this.#options;
      log.warn('Heartbeat failed.', { db: database.metadata.name, error: messageOf(error) });
      return false;
    }
  }

  /** Never rejects. */
  async withdraw(name: string): Promise<void> {
    const { auth, identity, log } = this.#options;
    try {
      await auth.auth.deleteDatabaseServer({ namespace: 'default', hostId: identity.hostId, name });
    } catch (error) {
      log.debug('Cannot withdraw a database.', { db: name, error: messageOf(error) });
    }
  }

  /** Withdraw all, and announce no more. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#options.registry.all().map(({ metadata }) => this.withdraw(metadata.name)));
  }

  async #announceAll(): Promise<boolean> {
    const heard = await Promise.all(this.#options.registry.all().map((database) => this.tryAnnounce(database)));
    return heard.every(Boolean);
  }

  /** One that failed is repeated soon: the announcement before it must not run out meanwhile. */
  #later(allHeard: boolean): void {
    if (this.#hasEnded) return;
    const { everyMs } = this.#options;
    const waitMs = allHeard ? everyMs : Math.min(everyMs, RETRY_MS);
    this.#timer = setTimeout(() => void this.begin(), waitMs);
  }
}
