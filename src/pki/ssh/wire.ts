/**
 * The data types of SSH (RFC 4251, section 5): uint32, uint64, string, mpint. Written into one buffer, read strictly
 * and within bounds; a reader knows how much is left and must end at the last byte.
 */
import { TeleportError } from '../../errors.js';

/** Longest blob we read: a certificate with a thousand principals stays under it. */
export const MAX_SSH_BYTES = 256 * 1024;

/** A string with its length in front. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** mpint of a non-negative number given as big-endian bytes. */
export function mpint(value: Uint8Array): Buffer {
  let start = 0;
  while (start < value.length && value[start] === 0) start++;
  const digits = value.subarray(start);
  return sshString(digits.length > 0 && digits[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

/** Reads a blob from its beginning; every method throws TeleportError `Protocol` when the bytes do not suffice. */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    if (bytes.length > MAX_SSH_BYTES) throw broken(`${bytes.length} bytes are more than ${MAX_SSH_BYTES}`);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** How many bytes have been read. */
  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  bytes(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw broken('it is cut off');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  text(): string {
    const bytes = this.string();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw new TeleportError('Protocol', 'SSH data cannot be read: text that is not UTF-8', { cause });
    }
  }

  /** A non-negative mpint without its leading zero byte. */
  mpint(): Buffer {
    const bytes = this.string();
    if (bytes.length === 0) return bytes;
    if (bytes[0]! >= 0x80) throw broken('a negative number');
    if (bytes[0] !== 0) return bytes;
    if (bytes.length === 1 || bytes[1]! < 0x80) throw broken('a number with zeros in front');
    return bytes.subarray(1);
  }

  end(): void {
    if (!this.isAtEnd) throw broken(`${this.#bytes.length - this.#at} bytes left over`);
  }
}

function broken(detail: string): TeleportError {
  return new TeleportError('Protocol', `SSH data cannot be read: ${detail}`);
}
