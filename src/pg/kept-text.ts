/**
 * Texts and values of any length as the audit keeps them: the first 64 KiB, the length, and the SHA-256 of all of it.
 */
import { isUtf8 } from 'node:buffer';
import { createHash, type Hash } from 'node:crypto';

/** What one event holds of a text, or of all values of a message, and what a part of a longer text holds. */
export const KEPT_BYTES = 64 * 1024;

/** Text as it is recorded. Bytes that are not UTF-8 stand for themselves, one character each, and `encoding` says so. */
export interface KeptText {
  text: string;
  encoding?: 'latin1';
}

export function keptText(bytes: Buffer): KeptText {
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { text: bytes.toString('latin1'), encoding: 'latin1' };
}

/** A text that comes in pieces: its beginning is kept, what is behind it is handed on in parts. */
export class LongText {
  #bytes = 0;
  #parts = 0;
  readonly #hash = createHash('sha256');
  readonly #onPart: (number: number, part: KeptText) => void;
  #first: KeptText | undefined;
  readonly #buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #filled = 0;

  /** @param onPart  number from 1 */
  constructor(onPart: (number: number, part: KeptText) => void) {
    this.#onPart = onPart;
  }

  add(piece: Buffer): void {
    this.#bytes += piece.length;
    this.#hash.update(piece);
    for (let at = 0; at < piece.length; ) {
      const end = Math.min(piece.length, at + KEPT_BYTES - this.#filled);
      piece.copy(this.#buffer, this.#filled, at, end);
      this.#filled += end - at;
      at = end;
      if (this.#filled === KEPT_BYTES) this.#handOn(wholeCharacters(this.#buffer));
    }
  }

  /** No more comes. */
  end(): { first: KeptText; bytes: number; parts: number; sha256: string } {
    if (this.#filled > 0 || !this.#first) this.#handOn(this.#filled);
    return { first: this.#first!, bytes: this.#bytes, parts: this.#parts, sha256: this.#hash.digest('hex') };
  }

  #handOn(length: number): void {
    const text = keptText(this.#buffer.subarray(0, length));
    this.#buffer.copyWithin(0, length, this.#filled);
    this.#filled -= length;
    if (this.#first) this.#onPart(++this.#parts, text);
    else this.#first = text;
  }
}

/** Values that come in pieces: the first of them are kept, together 64 KiB with their length words. */
export class LongValues {
  bytes = 0;
  count = 0;
  readonly kept: (Buffer | null)[] = [];
  /** Values that are not kept whole, the first hundred of them. */
  readonly cut: { index: number; bytes: number; sha256: string }[] = [];
  readonly #hash = createHash('sha256');
  #left = KEPT_BYTES;
  #value: Buffer[] = [];
  #valueHash: Hash | undefined;
  /** Of the value at hand: what is still kept, and its length. */
  #wanted = 0;
  #length = 0;

  /** @param word  its length as it came, 4 bytes */
  begin(word: Buffer, length: number): void {
    this.#hash.update(word);
    this.#length = length;
    const room = this.#left - word.length;
    this.#wanted = Math.max(0, Math.min(room, length));
    this.#left = Math.max(0, room - this.#wanted);
    const isCut = this.#wanted < length || room < 0;
    this.#valueHash = isCut && this.cut.length < MOST_CUT ? createHash('sha256') : undefined;
  }

  add(piece: Buffer): void {
    this.bytes += piece.length;
    this.#hash.update(piece);
    this.#valueHash?.update(piece);
    if (this.#wanted === 0) return;
    const kept = Buffer.from(piece.subarray(0, this.#wanted));
    this.#value.push(kept);
    this.#wanted -= kept.length;
  }

  /** @param isNull  it was NULL */
  end(isNull: boolean): void {
    const bytes = Buffer.concat(this.#value);
    this.#value = [];
    const isWhole = bytes.length === this.#length;
    if (isWhole && this.kept.length === this.count && !this.#valueHash) this.kept.push(isNull ? null : bytes);
    else if (bytes.length > 0) this.kept.push(bytes.subarray(0, wholeCharacters(bytes)));
    if (this.#valueHash) {
      this.cut.push({ index: this.count, bytes: this.#length, sha256: this.#valueHash.digest('hex') });
    }
    this.count += 1;
  }

  /** Of all values, each with its length word, as they came. */
  sha256(): string {
    return this.#hash.digest('hex');
  }
}

/** As `LongValues.sha256`, of values that are there whole. */
export function sumOfValues(values: readonly (Buffer | null)[]): string {
  const all = new LongValues();
  for (const value of values) {
    const word = Buffer.alloc(4);
    word.writeInt32BE(value?.length ?? -1);
    all.begin(word, value?.length ?? 0);
    if (value) all.add(value);
    all.end(value === null);
  }
  return all.sha256();
}

const MOST_CUT = 100;

/** Where the last whole character of UTF-8 ends; the end where it is something else. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
