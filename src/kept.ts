/**
 * What was made of texts that come again, as long as there is room: patterns and expressions that other people wrote. The
 * oldest makes room for the newest.
 */
export interface KeptOptions<Made> {
  /** Most texts. */
  most: number;
  /** Most characters of all texts together, and of what was made of them where that is counted. */
  mostChars: number;
  /** Of what was made, where it may be much longer than the text. */
  charsOf?: (made: Made) => number;
}

export class Kept<Made> {
  readonly #made = new Map<string, { made: Made; chars: number }>();
  readonly #options: KeptOptions<Made>;
  #chars = 0;

  constructor(options: KeptOptions<Made>) {
    this.#options = options;
  }

  /** @throws what `make` throws; that is not kept */
  get(text: string, make: () => Made): Made {
    const known = this.#made.get(text);
    if (known !== undefined) return known.made;
    const made = make();
    const chars = text.length + (this.#options.charsOf?.(made) ?? 0);
    this.#made.set(text, { made, chars });
    this.#chars += chars;
    while (this.#made.size > this.#options.most || this.#chars > this.#options.mostChars) {
      const [oldest, { chars }] = this.#made.entries().next().value!;
      this.#made.delete(oldest);
      this.#chars -= chars;
    }
    return made;
  }
}
