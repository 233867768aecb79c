/**
 * Time of a process's one thread that work for one of its users takes: reading a message, recording statements. Who takes much
 * waits as long as that took, in all connections together, so that others have at least half of it.
 */

import { rest } from './wait.js';

/** How long one piece of work may go on before others have their turn. */
export const TURN_MS = 5;
/** Work for which nobody waits. */
const BURST_MS = 10;
/** Users remembered; beyond it those are forgotten who have paid. */
const MOST_USERS = 10_000;

export class UserTurns {
  readonly #now: () => number;
  /** When the work of a user will have been paid for. */
  readonly #paidAt = new Map<string, number>();

  /** @param now  milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  of(user: string): Turns {
    return new Turns(this, user);
  }

  /** Work that has just ended. */
  took(user: string, ms: number): void {
    if (this.#paidAt.size >= MOST_USERS && !this.#paidAt.has(user)) this.#makeRoom();
    this.#paidAt.set(user, Math.max(this.#now() - ms, this.#paidAt.get(user) ?? 0) + 2 * ms);
  }

  /** Of those who do not come back nobody asks any more. Still full, very many owe: who has owed longest is let off. */
  #makeRoom(): void {
    const now = this.#now();
    for (const [user, paidAt] of this.#paidAt) if (paidAt <= now) this.#paidAt.delete(user);
    if (this.#paidAt.size >= MOST_USERS) this.#paidAt.delete(this.#paidAt.keys().next().value!);
  }

  /** Users who are remembered. */
  get size(): number {
    return this.#paidAt.size;
  }

  /** How long the user has to wait before the next work. */
  waitMs(user: string): number {
    const left = (this.#paidAt.get(user) ?? 0) - this.#now();
    if (left <= 0) this.#paidAt.delete(user);
    return Math.max(0, left - BURST_MS);
  }
}

/** Those of one user. */
export class Turns {
  readonly #all: UserTurns;
  readonly #user: string;

  constructor(all: UserTurns, user: string) {
    this.#all = all;
    this.#user = user;
  }

  get waitMs(): number {
    return this.#all.waitMs(this.#user);
  }

  /** Resolves when the user may use the thread again; others were asked before. */
  async next(): Promise<void> {
    await new Promise(setImmediate);
    // Other work of the user may have been quicker.
    for (let ms = this.waitMs; ms > 0; ms = this.waitMs) await rest(ms);
  }

  /** Does work of the user's, now. */
  do<T>(work: () => T): T {
    const start = performance.now();
    try {
      return work();
    } finally {
      this.#all.took(this.#user, performance.now() - start);
    }
  }
}
