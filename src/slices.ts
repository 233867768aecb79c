/**
 * Long work in slices, so that whoever else waits for this process has a turn between two of them: `await slices.next()` in
 * each round of a loop over what somebody else made long.
 */

/** How long one slice takes. */
const SLICE_MS = 10;

export class Slices {
  #began = performance.now();

  /** Gives way when the slice is over. */
  async next(): Promise<void> {
    if (performance.now() - this.#began < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }
}
