/** Locks by name, held while a call lives: who asks waits in line, and who goes away, in whatever way, makes room. */
import { unlessAborted } from '../wait.js';

interface Place {
  /** Resolves when it is this one's turn. */
  turn: Promise<void>;
  enter(): void;
}

export class HeldNames {
  /** By name: who holds it, and behind them who waits, in order. */
  readonly #lines = new Map<string, Place[]>();

  /**
   * @returns gives it back
   * @throws the signal's reason when it is aborted before one has it
   */
  async take(name: string, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    const line = this.#lines.get(name) ?? [];
    this.#lines.set(name, line);
    const place = newPlace();
    line.push(place);
    const leave = () => {
      const at = line.indexOf(place);
      if (at < 0) return;
      line.splice(at, 1);
      if (line.length === 0) this.#lines.delete(name);
      else line[0]!.enter();
    };
    line[0]!.enter();
    try {
      await unlessAborted(signal, place.turn);
    } catch (error) {
      leave();
      throw error;
    }
    return { [Symbol.dispose]: leave };
  }
}

function newPlace(): Place {
  let enter = () => {};
  const turn = new Promise<void>((resolve) => {
    enter = resolve;
  });
  return { turn, enter };
}
