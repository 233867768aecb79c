/**
 * Agents whose join token binds them to certain databases. What they say of themselves in the tunnel does not count: Auth has
 * held what they offer against the token, so Auth is asked which of them offers a database.
 */
import type { AuthClient } from '../api/client.js';
import { everyPage } from '../api/pages.js';

/** How long an answer of Auth's is good. */
export const TTL_MS = 5_000;
const MAX_KEPT = 1_000;

export class BoundAgents {
  readonly #auth: Pick<AuthClient, 'auth'>;
  readonly #kept = new Map<string, { hosts: Promise<Set<string>>; atMs: number }>();

  constructor(auth: Pick<AuthClient, 'auth'>) {
    this.#auth = auth;
  }

  /** Has Auth taken this host's offer of the database? */
  async offers(hostId: string, database: string): Promise<boolean> {
    return (await this.#hostsOf(database)).has(hostId);
  }

  #hostsOf(database: string): Promise<Set<string>> {
    const now = performance.now();
    const known = this.#kept.get(database);
    if (known && now - known.atMs < TTL_MS) return known.hosts;
    this.#kept.delete(database);
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    const hosts = this.#ask(database);
    this.#kept.set(database, { hosts, atMs: now });
    hosts.catch(() => this.#kept.delete(database));
    return hosts;
  }

  async #ask(database: string): Promise<Set<string>> {
    const predicateExpression = `name == ${JSON.stringify(database)}`;
    const hosts = await everyPage('database servers', async (startKey) => {
      const page = await this.#auth.auth.listResources({ resourceType: 'db_server', predicateExpression, startKey });
      const found = page.resources.map(({ resource }) => resource).filter((one) => one.case === 'databaseServer');
      return { items: found.map(({ value }) => value.spec?.hostId ?? ''), next: page.nextKey };
    });
    return new Set(hosts);
  }
}
