/** The database clients of a Proxy, and how they end with it. */
import { abortForMany } from '../abort.js';
import { shutdownEnd } from '../pg/sqlstate.js';
import { withDeadline } from '../wait.js';
import { type PostgresConnection, type PostgresOptions, servePostgres } from './postgres.js';

/** How long they may take over their last words. */
export const FAREWELL_TIMEOUT_MS = 6_000;

export class DatabaseClients {
  readonly #options: PostgresOptions;
  readonly #ending = abortForMany();
  readonly #served = new Set<Promise<void>>();

  constructor(options: Omit<PostgresOptions, 'ending'>) {
    this.#options = { ...options, ending: this.#ending.signal };
  }

  serve(connection: PostgresConnection): Promise<void> {
    const served = servePostgres(connection, this.#options).finally(() => this.#served.delete(served));
    this.#served.add(served);
    return served;
  }

  /** End those that are left; they hear why. */
  async end(): Promise<void> {
    this.#ending.abort(shutdownEnd('The Proxy Service is stopping. Connect again when it is back.'));
    await withDeadline(Promise.all(this.#served), FAREWELL_TIMEOUT_MS, 'clients').catch(() => {});
  }
}
