/**
 * A byte stream to a cluster's Auth Service inside the Proxy's transport service: what is used when the Proxy has
 * separate ports. Spec: auth-grpc-and-routing.md 2.3.
 */
import { Duplex } from 'node:stream';
import type { AuthClient } from '../../api/client.js';

/** Largest payload of one message in real programs. */
const FRAME_BYTES = 16 * 1024;

type Chunk = { cluster?: string; frame?: { payload: Uint8Array } };

/** Open the stream; a failed dial on the other side ends it with that error. */
export function proxyClusterStream(transport: AuthClient['transport'], cluster: string): Duplex {
  const stop = new AbortController();
  const outgoing = new Outgoing();
  outgoing.push({ cluster }, () => {});
  const answers = transport.proxyCluster(outgoing, { signal: stop.signal })[Symbol.asyncIterator]();
  let reading = false;
  const stream = new Duplex({
    read() {
      if (reading) return;
      reading = true;
      void (async () => {
        try {
          for (;;) {
            const { value, done } = await answers.next();
            if (done) return void stream.push(null);
            const payload = value.frame?.payload;
            if (payload?.length && !stream.push(Buffer.from(payload))) return;
          }
        } catch (error) {
          stream.destroy(error as Error);
        } finally {
          reading = false;
        }
      })();
    },
    write(chunk: Buffer, _encoding, written) {
      for (let at = 0; at < chunk.length; at += FRAME_BYTES) {
        const isLast = at + FRAME_BYTES >= chunk.length;
        outgoing.push({ frame: { payload: chunk.subarray(at, at + FRAME_BYTES) } }, isLast ? written : () => {});
      }
      if (chunk.length === 0) written();
    },
    final(ended) {
      outgoing.end();
      ended();
    },
    destroy(error, destroyed) {
      outgoing.end();
      stop.abort();
      destroyed(error);
    },
  });
  return stream;
}

/** Messages that the caller pushes and the gRPC library takes one by one. */
class Outgoing implements AsyncIterable<Chunk> {
  readonly #queue: { chunk: Chunk; taken: () => void }[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  push(chunk: Chunk, taken: () => void): void {
    this.#queue.push({ chunk, taken });
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) {
        yield next.chunk;
        next.taken();
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
      }
    }
  }
}
