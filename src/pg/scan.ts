/**
 * Looks at messages as their bytes pass by, for the audit and for counting, without touching the relay: chunks are never
 * copied or re-framed, only the five bytes at each message's head are read. A body is collected for the tags that the
 * caller wants, up to a cap. This is the hottest path of the product: a chunk inside one body costs a subtraction, a
 * message that nobody wants costs a few reads from the chunk and no allocation.
 *
 * Starts where the login ends (both sides have tags from then on). Specification: PostgreSQL manual, "Message Formats".
 */

import { TeleportError } from '../errors.js';
import { BACKEND_TAGS, FRONTEND_TAGS, MAX_BODY_BYTES, nameTag } from './messages.js';
import { tooLong } from './sqlstate.js';

export interface ScannerOptions {
  /** Whose messages pass by. */
  side: 'frontend' | 'backend';
  /**
   * Asked once for each tag of that side when the scanner is made: undefined = only counted; 0 = reported without its
   * body; n = reported with its body, of which at most n bytes are kept.
   */
  wanted: (tag: number) => number | undefined;
  /** Asked likewise: the largest body of a tag that may pass. Default and most: `MAX_BODY_BYTES`. */
  most?: (tag: number) => number | undefined;
  /**
   * Called for each wanted message when its last byte has passed.
   *
   * @param bodyBytes  length of the whole body
   * @param body  its first bytes, all unless it is longer than the cap (`body.length < bodyBytes`); valid during the
   * call, copy what must stay. Undefined for a cap of 0.
   */
  onMessage: (tag: number, bodyBytes: number, body: Buffer | undefined) => void;
  /**
   * With it, a body that is longer than its cap is not kept: each piece of it is handed over as it passes.
   *
   * @param piece  valid during the call
   * @param isLast  the message is whole with it
   */
  onPiece?: (tag: number, bodyBytes: number, piece: Buffer, isLast: boolean) => void;
  /** Refuse tags that the protocol does not know. Default true; false lets a server's extensions pass, counted. */
  refuseUnknown?: boolean;
}

export interface Scanner {
  /**
   * See the next chunk. Call it before the chunk is sent on: what throws has not left yet.
   *
   * @throws TeleportError 'Protocol' for an unknown tag and an impossible length, 'LimitExceeded' (54000) for one above `most`;
   * the scanner is of no use afterwards
   */
  push(chunk: Uint8Array): void;
  /** Messages whose head has passed, wanted or not. */
  readonly messageCount: number;
  /** Those of them that are not wanted, and the bytes of their bodies. */
  readonly passedCount: number;
  readonly passedBytes: number;
  /** Bytes that the message at hand still has for certain: of its body, or of its head. 0 between two messages. */
  readonly bytesLeft: number;
}

export function createScanner(options: ScannerOptions): Scanner {
  return new HeaderScanner(options);
}

/** What to do with a tag: these, or a cap of 0 and more. */
const REFUSE = -2;
const SKIP = -1;
const HEADER_BYTES = 5;

class HeaderScanner implements Scanner {
  messageCount = 0;
  passedCount = 0;
  passedBytes = 0;
  readonly #onMessage: ScannerOptions['onMessage'];
  readonly #onPiece: ScannerOptions['onPiece'];
  /** Indexed by tag. */
  readonly #most = new Int32Array(256).fill(MAX_BODY_BYTES);
  /** Indexed by tag: REFUSE, SKIP or the cap. */
  readonly #actions: Int32Array;
  /** The beginning of a header that was cut between two chunks. */
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes of the current body that have not passed yet. */
  #bodyLeft = 0;
  /** The message that is being collected; tag -1 = the current body is nobody's concern. */
  #tag = -1;
  #bodyBytes = 0;
  #kept: Buffer | undefined;
  #keptBytes = 0;
  #isInPieces = false;

  constructor(options: ScannerOptions) {
    this.#onMessage = options.onMessage;
    this.#onPiece = options.onPiece;
    this.#actions = new Int32Array(256).fill((options.refuseUnknown ?? true) ? REFUSE : SKIP);
    for (const letter of new Set(Object.values(options.side === 'frontend' ? FRONTEND_TAGS : BACKEND_TAGS))) {
      const tag = letter.charCodeAt(0);
      this.#actions[tag] = options.wanted(tag) ?? SKIP;
      this.#most[tag] = options.most?.(tag) ?? MAX_BODY_BYTES;
    }
  }

  get bytesLeft(): number {
    return this.#headerBytes > 0 ? HEADER_BYTES - this.#headerBytes : this.#bodyLeft;
  }

  push(chunk: Uint8Array): void {
    const end = chunk.length;
    let at = 0;
    if (this.#bodyLeft > 0) {
      if (this.#tag >= 0) at = this.#collect(chunk, 0);
      else if (this.#bodyLeft >= end) {
        this.#bodyLeft -= end;
        return;
      } else {
        at = this.#bodyLeft;
        this.#bodyLeft = 0;
      }
    }
    if (this.#headerBytes > 0 && at < end) at = this.#finishHeader(chunk, at);
    const actions = this.#actions;
    const most = this.#most;
    let count = 0;
    let passed = 0;
    let passedBytes = 0;
    while (at + HEADER_BYTES <= end) {
      const tag = chunk[at]!;
      const action = actions[tag]!;
      const bodyBytes = ((chunk[at + 1]! << 24) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 8) | chunk[at + 4]!) - 4;
      // As a signed number a length of 2 GiB and more is negative, so one comparison a side is enough.
      if (bodyBytes < 0 || bodyBytes > most[tag]! || action === REFUSE) this.#refuse(tag, bodyBytes, action);
      count++;
      at += HEADER_BYTES;
      if (action === SKIP) {
        at += bodyBytes;
        passed++;
        passedBytes += bodyBytes;
      } else {
        this.passedCount += passed;
        this.passedBytes += passedBytes;
        passed = passedBytes = 0;
        at = this.#begin(chunk, at, tag, bodyBytes, action);
      }
    }
    this.messageCount += count;
    this.passedCount += passed;
    this.passedBytes += passedBytes;
    if (at > end) this.#bodyLeft = at - end;
    else if (at < end) {
      this.#header.set(chunk.subarray(at));
      this.#headerBytes = end - at;
    }
  }

  /** A wanted message begins. Gives where the next one does, which is behind the chunk when the body is cut. */
  #begin(chunk: Uint8Array, at: number, tag: number, bodyBytes: number, cap: number): number {
    const next = at + bodyBytes;
    const keep = Math.min(cap, bodyBytes);
    const isInPieces = cap > 0 && bodyBytes > cap && this.#onPiece !== undefined;
    if (next <= chunk.length) {
      if (isInPieces) this.#onPiece!(tag, bodyBytes, view(chunk, at, next), true);
      else this.#onMessage(tag, bodyBytes, cap === 0 ? undefined : view(chunk, at, at + keep));
      return next;
    }
    this.#tag = tag;
    this.#bodyBytes = bodyBytes;
    this.#bodyLeft = bodyBytes;
    this.#isInPieces = isInPieces;
    this.#kept = cap === 0 || isInPieces ? undefined : Buffer.allocUnsafeSlow(keep);
    this.#keptBytes = 0;
    this.#collect(chunk, at);
    return next;
  }

  /** More of the wanted body, from `at`. Gives where the next header begins, or the end of the chunk. */
  #collect(chunk: Uint8Array, at: number): number {
    const stop = Math.min(chunk.length, at + this.#bodyLeft);
    if (this.#isInPieces) return this.#passOn(chunk, at, stop);
    if (this.#kept && this.#keptBytes < this.#kept.length) {
      const part = chunk.subarray(at, Math.min(stop, at + this.#kept.length - this.#keptBytes));
      this.#kept.set(part, this.#keptBytes);
      this.#keptBytes += part.length;
    }
    this.#bodyLeft -= stop - at;
    if (this.#bodyLeft === 0) {
      const tag = this.#tag;
      const kept = this.#kept;
      this.#tag = -1;
      this.#kept = undefined;
      this.#onMessage(tag, this.#bodyBytes, kept);
    }
    return stop;
  }

  #passOn(chunk: Uint8Array, at: number, stop: number): number {
    const tag = this.#tag;
    this.#bodyLeft -= stop - at;
    const isLast = this.#bodyLeft === 0;
    if (isLast) {
      this.#tag = -1;
      this.#isInPieces = false;
    }
    if (stop > at || isLast) this.#onPiece!(tag, this.#bodyBytes, view(chunk, at, stop), isLast);
    return stop;
  }

  /** The rest of a header that was cut. Gives where the next header begins, which may be behind the chunk. */
  #finishHeader(chunk: Uint8Array, at: number): number {
    const header = this.#header;
    const part = chunk.subarray(at, at + HEADER_BYTES - this.#headerBytes);
    header.set(part, this.#headerBytes);
    this.#headerBytes += part.length;
    at += part.length;
    if (this.#headerBytes < HEADER_BYTES) return at;
    this.#headerBytes = 0;
    const tag = header[0]!;
    const action = this.#actions[tag]!;
    const bodyBytes = ((header[1]! << 24) | (header[2]! << 16) | (header[3]! << 8) | header[4]!) - 4;
    if (bodyBytes < 0 || bodyBytes > this.#most[tag]! || action === REFUSE) this.#refuse(tag, bodyBytes, action);
    this.messageCount++;
    if (action !== SKIP) return this.#begin(chunk, at, tag, bodyBytes, action);
    this.passedCount += 1;
    this.passedBytes += bodyBytes;
    return at + bodyBytes;
  }

  #refuse(tag: number, bodyBytes: number, action: number): never {
    const name = nameTag(tag, bodyBytes < -4 ? bodyBytes + 0x1_0000_0000 : bodyBytes);
    if (action === REFUSE) throw new TeleportError('Protocol', `unknown PostgreSQL message ${name}`);
    const most = this.#most[tag]!;
    if (bodyBytes < 0 || bodyBytes > MAX_BODY_BYTES) {
      throw new TeleportError('Protocol', `PostgreSQL message ${name}: allowed are 0 to ${most}`);
    }
    throw tooLong(`PostgreSQL message ${name}: allowed are ${most} bytes`);
  }
}

function view(chunk: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset + start, end - start);
}
