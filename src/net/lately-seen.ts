/** Names that were seen lately, so many of them: the one that was not seen for longest is forgotten first. */
export class LatelySeen {
  readonly #ms: number;
  readonly #most: number;
  readonly #nowMs: () => number;
  /** When, the longest ago first. */
  readonly #seen = new Map<string, number>();

  constructor({ ms, most, nowMs }: { ms: number; most: number; nowMs: () => number }) {
    this.#ms = ms;
    this.#most = most;
    this.#nowMs = nowMs;
  }

  add(name: string): void {
    this.#seen.delete(name);
    this.#seen.set(name, this.#nowMs());
    if (this.#seen.size > this.#most) this.forgetOldest();
  }

  get size(): number {
    return this.#seen.size;
  }

  forgetOldest(): void {
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest);
      return;
    }
  }

  has(name: string): boolean {
    return this.#nowMs() - (this.#seen.get(name) ?? Number.NEGATIVE_INFINITY) < this.#ms;
  }
}
