/**
 * A body that is read while it passes, in whatever pieces it comes: a script asks for one field after the other, and nothing
 * is kept that the script does not keep. For bodies that are too long to be collected first.
 */
import { TeleportError } from '../errors.js';
import { tooLong } from './sqlstate.js';

/** What a script asks for: the bytes are the answer, or go to `each` as they come. */
export type Ask =
  | { exactly: number }
  /** A string that ends in a zero byte, without it. */
  | { text: number }
  | { pass: number; each: (piece: Buffer) => void }
  /** All up to a zero byte. */
  | { passText: (piece: Buffer) => void };

export type BodyScript<T> = Generator<Ask, T, Buffer>;

const NOTHING = Buffer.alloc(0);

export const nameTooLong = (what: string, most: number) =>
  tooLong(`PostgreSQL message ${what}: a name of more than ${most} bytes`);

export class BodyReader<T> {
  readonly #script: BodyScript<T>;
  readonly #what: string;
  #ask: Ask | undefined;
  #result: { value: T } | undefined;
  /** The beginning of what is asked for. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Of `pass`. */
  #left = 0;

  /** @param what  how errors name the message */
  constructor(script: BodyScript<T>, what: string) {
    this.#script = script;
    this.#what = what;
    this.#answer(NOTHING);
  }

  /** @throws TeleportError 'Protocol' for what does not fit */
  push(piece: Buffer): void {
    let at = 0;
    do {
      if (!this.#ask) {
        if (at < piece.length) throw this.#broken(`${piece.length - at} bytes too many`);
        return;
      }
      at = this.#serve(this.#ask, piece, at);
    } while (at < piece.length);
  }

  /** @throws TeleportError 'Protocol' when something is missing */
  end(): T {
    if (!this.#result) throw this.#broken('it ends within a field');
    return this.#result.value;
  }

  /** @returns where what comes next begins */
  #serve(ask: Ask, piece: Buffer, at: number): number {
    if ('exactly' in ask) {
      const end = Math.min(piece.length, at + ask.exactly - this.#heldBytes);
      this.#hold(piece.subarray(at, end));
      if (this.#heldBytes === ask.exactly) this.#answer(this.#take());
      return end;
    }
    if ('pass' in ask) {
      const end = Math.min(piece.length, at + this.#left);
      this.#left -= end - at;
      if (end > at) ask.each(piece.subarray(at, end));
      if (this.#left === 0) this.#answer(NOTHING);
      return end;
    }
    const zero = piece.indexOf(0, at);
    const end = zero < 0 ? piece.length : zero;
    if ('passText' in ask) {
      if (end > at) ask.passText(piece.subarray(at, end));
    } else {
      this.#hold(piece.subarray(at, end));
      if (this.#heldBytes > ask.text) throw nameTooLong(this.#what, ask.text);
    }
    if (zero < 0) return end;
    this.#answer(this.#take());
    return zero + 1;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#held.push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
  }

  #take(): Buffer {
    const all = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }

  /** Until it asks for something that is not there yet. */
  #answer(bytes: Buffer): void {
    let answer = bytes;
    for (;;) {
      const step = this.#script.next(answer);
      if (step.done) {
        this.#ask = undefined;
        this.#result = { value: step.value };
        return;
      }
      const ask = step.value;
      this.#ask = ask;
      answer = NOTHING;
      if ('pass' in ask) this.#left = ask.pass;
      const isThere = ('exactly' in ask && ask.exactly === 0) || ('pass' in ask && ask.pass === 0);
      if (!isThere) return;
    }
  }

  #broken(how: string): TeleportError {
    return new TeleportError('Protocol', `PostgreSQL message ${this.#what}: ${how}`);
  }
}
