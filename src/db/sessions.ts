/** The connections that an agent serves, and how they end with it. */

import type { Duplex } from 'node:stream';
import { abortForMany } from '../abort.js';
import { shutdownEnd } from '../pg/sqlstate.js';
import { UserTurns } from '../turns.js';
import { settledWithin } from '../wait.js';
import { type EngineContext, serveSession } from './engine.js';
import type { SessionCaller } from './session.js';

/** How long sessions that are ended may take over their last words. */
const FAREWELL_TIMEOUT_MS = 5_000;

export class Sessions {
  readonly #context: EngineContext;
  readonly #ending = abortForMany();
  readonly #running = new Set<Promise<void>>();

  constructor(context: Omit<EngineContext, 'ending' | 'turns'>) {
    this.#context = { ...context, turns: new UserTurns(), ending: this.#ending.signal };
  }

  get count(): number {
    return this.#running.size;
  }

  serve(stream: Duplex, caller: SessionCaller): void {
    const session = serveSession(this.#context, stream, caller).finally(() => this.#running.delete(session));
    this.#running.add(session);
  }

  /** Wait up to `drainMs` for those that run, then end them; their clients hear why. */
  async end(drainMs: number): Promise<void> {
    if (drainMs > 0 && this.#running.size > 0) await settledWithin(this.settled(), drainMs);
    this.#ending.abort(shutdownEnd('The Database Service is stopping. Connect again when it is back.'));
    await settledWithin(this.settled(), FAREWELL_TIMEOUT_MS);
  }

  /** Resolves when those that run now have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}
