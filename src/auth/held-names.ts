/**
 * Locks by name, held while a call lives: who asks waits in line, and who goes away, in whatever way, makes room. Each holder has
 * one place in the line of a name: its further ones come behind those of others.
 */
import { TeleportError } from '../errors.js';
import { unlessAborted } from '../wait.js';

interface Place {
  /** Resolves when it is its holder's turn. */
  turn: Promise<void>;
  enter(): void;
  /** Runs while its holder has the name and others wait. */
  patience: NodeJS.Timeout | undefined;
  readonly wanted: AbortController;
}

export interface HeldName extends Disposable {
  /** Aborted when another holder has waited for so long that it should be given back. */
  wanted: AbortSignal;
}

/** Far more than a change takes, and less than anybody waits for one. */
const PATIENCE_MS = 10_000;

/** Of one holder, held and waited for, all names together. */
export const MOST_PLACES = 1_000;

export class HeldNames {
  /** By name: the places of each holder. The first place of the first one has it. */
  readonly #lines = new Map<string, Map<string, Place[]>>();
  readonly #counts = new Map<string, number>();

  /**
   * @param holder  who shares a place with whom. Default: all are one
   * @returns gives it back
   * @throws the signal's reason when it is aborted before one has it; TeleportError `LimitExceeded` when the holder has too many
   */
  async take(name: string, signal: AbortSignal, holder = ''): Promise<HeldName> {
    signal.throwIfAborted();
    this.#count(holder, 1);
    const line = this.#lines.get(name) ?? new Map<string, Place[]>();
    this.#lines.set(name, line);
    const place = newPlace();
    const mine = line.get(holder);
    if (mine) mine.push(place);
    else line.set(holder, [place]);
    const leave = () => {
      if (!leaveLine(line, holder, place)) return;
      this.#count(holder, -1);
      if (line.size === 0) this.#lines.delete(name);
      else settle(line);
    };
    settle(line);
    try {
      await unlessAborted(signal, place.turn);
    } catch (error) {
      leave();
      throw error;
    }
    return { wanted: place.wanted.signal, [Symbol.dispose]: leave };
  }

  #count(holder: string, more: 1 | -1): void {
    const count = (this.#counts.get(holder) ?? 0) + more;
    if (count > MOST_PLACES) {
      throw new TeleportError(
        'LimitExceeded',
        `host ${JSON.stringify(holder)} holds or waits for ${MOST_PLACES} names, as many as it may: try again in a minute`,
      );
    }
    if (count > 0) this.#counts.set(holder, count);
    else this.#counts.delete(holder);
  }
}

function firstOf(line: ReadonlyMap<string, Place[]>): Place | undefined {
  const [first] = line.values();
  return first?.[0];
}

/** The first one has it, for so long as nobody else waits, and then for a while. */
function settle(line: ReadonlyMap<string, Place[]>): void {
  const first = firstOf(line);
  if (first === undefined) return;
  first.enter();
  const isWanted = line.size > 1;
  if (isWanted) first.patience ??= setTimeout(() => first.wanted.abort(), PATIENCE_MS).unref();
  else forgive(first);
}

function forgive(place: Place): void {
  clearTimeout(place.patience);
  place.patience = undefined;
}

/** @returns whether it was there */
function leaveLine(line: Map<string, Place[]>, holder: string, place: Place): boolean {
  const mine = line.get(holder);
  const at = mine?.indexOf(place) ?? -1;
  if (!mine || at < 0) return false;
  forgive(place);
  const hadIt = firstOf(line) === place;
  mine.splice(at, 1);
  if (mine.length === 0) line.delete(holder);
  else if (hadIt) {
    // Others come first now.
    line.delete(holder);
    line.set(holder, mine);
  }
  return true;
}

function newPlace(): Place {
  let enter = () => {};
  const turn = new Promise<void>((resolve) => {
    enter = resolve;
  });
  return { turn, enter, patience: undefined, wanted: new AbortController() };
}
