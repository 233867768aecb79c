/** Closes what was opened, once and in reverse order. A failure keeps none of the others open; the first is thrown. */

export interface Closable {
  close(options: { drainMs: number }): unknown;
}

export class Closers {
  readonly #open: Closable[] = [];
  #closing: Promise<void> | undefined;

  keep<T extends Closable>(opened: T): T {
    this.#open.push(opened);
    return opened;
  }

  /** @param drainMs  how long what is in use may go on */
  close(drainMs = 0): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    const failures: unknown[] = [];
    for (const one of this.#open.reverse()) {
      try {
        await one.close({ drainMs });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
