/**
 * A cursor over one whole message and a growing buffer for the next one: the numbers and strings of the protocol.
 *
 * Specification: PostgreSQL manual, "Message Data Types". Strings are taken as UTF-8; bytes that are not UTF-8 (a session
 * in another client_encoding) read as U+FFFD, so text that must travel on unchanged is kept as bytes by its owner.
 */

import { TeleportError } from '../errors.js';

/** Reads exactly one body; every read checks the end, `end()` checks that nothing is left. */
export class BufferReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** @param what  how errors name the message, with its length and never its content */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** The next `length` bytes, not copied. */
  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Everything that is left, not copied. */
  rest(): Buffer {
    return this.bytes(this.left);
  }

  /** A string that ends in a zero byte. */
  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw this.broken('a string without its end');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** A 32-bit length and that many bytes; -1 is NULL. */
  value(): Buffer | null {
    const length = this.int32();
    if (length === -1) return null;
    if (length < 0) throw this.broken('a negative length');
    return this.bytes(length);
  }

  /** A 16-bit count and that many items. Nothing is reserved for the count: a lie ends at the end of the body. */
  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.uint16(); left > 0; left--) items.push(read());
    return items;
  }

  end(): void {
    if (this.left > 0) throw this.broken(`${this.left} bytes too many`);
  }

  broken(how: string): TeleportError {
    return new TeleportError('Protocol', `PostgreSQL message ${this.#what}: ${how}`);
  }

  #take(length: number): number {
    if (length > this.left) throw this.broken(`${length - this.left} bytes too few`);
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

/** Collects one packet. A tag (or nothing, for a startup packet) is given first; the length word is put in at the end. */
export class BufferWriter {
  #bytes = Buffer.allocUnsafe(256);
  #at: number;
  readonly #lengthAt: number;

  constructor(tag?: string) {
    this.#lengthAt = tag === undefined ? 0 : 1;
    if (tag !== undefined) this.#bytes.write(tag, 0, 1, 'latin1');
    this.#at = this.#lengthAt + 4;
  }

  uint8(value: number): this {
    const at = this.#reserve(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  uint16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#reserve(4);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  letter(value: string): this {
    return this.uint8(value.charCodeAt(0));
  }

  bytes(value: Buffer): this {
    const at = this.#reserve(value.length);
    value.copy(this.#bytes, at);
    return this;
  }

  /**
   * A string and its zero byte. A zero byte inside would let whoever chose the text add fields of their own (startup
   * parameters, for example), so it is refused; the error says `name`, never the value.
   */
  cstring(value: string, name: string): this {
    if (value.includes('\0')) throw new TeleportError('BadParameter', `${name} contains a zero byte`);
    const length = Buffer.byteLength(value);
    const at = this.#reserve(length + 1);
    this.#bytes.write(value, at, length, 'utf8');
    this.#bytes[at + length] = 0;
    return this;
  }

  value(value: Buffer | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).bytes(value);
  }

  list<T>(items: readonly T[], write: (item: T) => unknown): this {
    if (items.length > 0xffff) throw new TeleportError('LimitExceeded', `${items.length} items, more than 65535`);
    this.uint16(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** The packet, with its length word; the writer is used up. */
  finish(): Buffer {
    this.#bytes.writeUInt32BE(this.#at - this.#lengthAt, this.#lengthAt);
    return this.#bytes.subarray(0, this.#at);
  }

  #reserve(length: number): number {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#at, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    return start;
  }
}
