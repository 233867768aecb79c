/**
 * The `-ping` framing of TLS routing as a stream over a stream: each frame is a length and that many bytes; length 0 is a
 * ping. Payload passes through uncopied, so frames have no size limit in memory, only a sane one on paper.
 * Source: auth-grpc-and-routing.md 1.4 (Teleport's pingconn).
 */
import { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';

/** Longest frame believed. The real Proxy was seen to take 20 MB; a length beyond this is other bytes. Our own limit. */
export const MOST_FRAME_BYTES = 256 * 1024 * 1024;
/** How often the Proxy pings: Teleport 18. */
export const PING_INTERVAL_MS = 30_000;

const HEADER_BYTES = 4;
/** What may wait in each direction; a stream's usual 16 KiB is a single TLS record. */
const BUFFER_BYTES = 256 * 1024;
const PING = Buffer.alloc(HEADER_BYTES);

export interface PingStreamOptions {
  /** Send pings this often; without it none are sent. They are always understood. */
  pingIntervalMs?: number;
  mostFrameBytes?: number;
}

/** Bytes above, frames below. Destroyed with what is below it, and destroys it. */
export class PingStream extends Duplex {
  readonly #below: Duplex;
  readonly #mostFrameBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #timer: NodeJS.Timeout | undefined;
  #headerFilled = 0;
  #frameLeft = 0;
  #onDrain: (() => void) | undefined;

  constructor(below: Duplex, options: PingStreamOptions = {}) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#below = below;
    this.#mostFrameBytes = options.mostFrameBytes ?? MOST_FRAME_BYTES;
    below.on('data', (chunk: Buffer) => this.#take(chunk));
    below.on('end', () => this.push(null));
    below.on('error', (error) => this.destroy(error));
    below.on('close', () => this.#belowClosed());
    below.on('drain', () => this.#drained());
    below.pause();
    if (options.pingIntervalMs !== undefined) {
      this.#timer = setInterval(() => {
        // A peer that does not read needs no sign of life from us.
        if (!below.writableEnded && !below.destroyed && !below.writableNeedDrain) below.write(PING);
      }, options.pingIntervalMs);
      this.#timer.unref();
    }
  }

  override _read(): void {
    this.#below.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#frame([chunk], chunk.length, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    let bytes = 0;
    for (const { chunk } of chunks) bytes += chunk.length;
    this.#frame(
      chunks.map(({ chunk }) => chunk),
      bytes,
      done,
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#below.destroyed) done();
    else this.#below.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer);
    this.#below.destroy();
    done(error);
  }

  /** One frame for all that waits: length and payload, corked so that they leave together and are never joined by a copy. */
  #frame(chunks: Buffer[], bytes: number, done: () => void): void {
    // An empty frame would be a ping.
    if (bytes === 0) {
      done();
      return;
    }
    const below = this.#below;
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(bytes);
    below.cork();
    below.write(header);
    for (const chunk of chunks) below.write(chunk);
    process.nextTick(() => below.uncork());
    if (below.writableLength <= BUFFER_BYTES) done();
    else this.#onDrain = done;
  }

  #take(chunk: Buffer): void {
    let at = 0;
    let flows = true;
    while (at < chunk.length) {
      if (this.#frameLeft > 0) {
        const part = chunk.subarray(at, at + this.#frameLeft);
        at += part.length;
        this.#frameLeft -= part.length;
        flows = this.push(part);
        continue;
      }
      this.#header[this.#headerFilled++] = chunk[at++]!;
      if (this.#headerFilled < HEADER_BYTES) continue;
      this.#headerFilled = 0;
      this.#frameLeft = this.#header.readUInt32BE();
      if (this.#frameLeft > this.#mostFrameBytes) {
        this.destroy(new TeleportError('Protocol', `a frame of ${this.#frameLeft} bytes is too long`));
        return;
      }
    }
    if (!flows) this.#below.pause();
  }

  #drained(): void {
    const done = this.#onDrain;
    this.#onDrain = undefined;
    done?.();
  }

  #belowClosed(): void {
    clearInterval(this.#timer);
    if (this.readableEnded && this.writableFinished) this.destroy();
    else if (this.#below.readableEnded) this.#destroyWhenRead();
    else this.destroy(Object.assign(new Error('the connection is gone'), { code: 'ECONNRESET' }));
  }

  /** What has arrived may still be read before the stream goes. */
  #destroyWhenRead(): void {
    if (this.readableEnded) this.destroy();
    else this.once('end', () => this.destroy());
  }
}
