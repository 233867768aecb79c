/**
 * What was made of texts that come again, as long as there is room: patterns and expressions that other people wrote. The
 * oldest makes room for the newest.
 */
export interface KeptOptions {
  /** Most texts. */
  most: number;
  /** Most characters of all texts together. */
  mostChars: number;
}

export class Kept<Made> {
  readonly #made = new Map<string, Made>();
  readonly #options: KeptOptions;
  #chars = 0;

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  /** @throws what `make` throws; that is not kept */
  get(text: string, make: () => Made): Made {
    const known = this.#made.get(text);
    if (known !== undefined) return known;
    const made = make();
    this.#made.set(text, made);
    this.#chars += text.length;
    while (this.#made.size > this.#options.most || this.#chars > this.#options.mostChars) {
      const oldest = this.#made.keys().next().value!;
      this.#made.delete(oldest);
      this.#chars -= oldest.length;
    }
    return made;
  }
}
