/** What a root has said of certificates of its users: of how many users it is kept, and of how many certificates of one, has a bound. */
const MOST_USERS = 10_000;
/** Generations of the certificates of one name. All but one of them have ended. */
const MOST_GENERATIONS = 4;

export class KeptWords<Word> {
  readonly #mostUsers: number;
  readonly #users = new Map<string, Map<string, Word>>();

  constructor(mostUsers = MOST_USERS) {
    this.#mostUsers = mostUsers;
  }

  /** What is kept; else what `ask` returns, which is then kept. */
  of(user: string, generation: string, ask: () => Word): Word {
    let known = this.#users.get(user);
    if (known === undefined) {
      if (this.#users.size >= this.#mostUsers) this.#users.clear();
      known = new Map();
      this.#users.set(user, known);
    }
    const kept = known.get(generation);
    if (kept !== undefined) return kept;
    if (known.size >= MOST_GENERATIONS) known.clear();
    const word = ask();
    known.set(generation, word);
    return word;
  }

  forget(user: string): void {
    this.#users.delete(user);
  }

  clear(): void {
    this.#users.clear();
  }
}
