/** Data connections that wait for a client, by the host id of the agent's certificate; the one that came last is used first. */
import type { Duplex } from 'node:stream';

/** Data connections that one agent may keep waiting; more are closed. */
const MAX_SPARES = 256;

export class Spares {
  readonly #byHost = new Map<string, Duplex[]>();
  /** How a connection stops waiting. */
  readonly #leaving = new WeakMap<Duplex, () => void>();

  keep(hostId: string, socket: Duplex): void {
    const kept = this.#byHost.get(hostId) ?? [];
    this.#byHost.set(hostId, kept);
    if (kept.length >= MAX_SPARES) return void socket.destroy();
    kept.push(socket);
    // A connection that waits is silent: bytes or an end mean that it is of no use.
    const useless = (): void => {
      if (socket.read() !== null || socket.readableEnded) socket.destroy();
    };
    const end = (): void => void socket.destroy();
    const leave = (): void => {
      socket.off('readable', useless).off('end', end).off('close', leave);
      const at = kept.indexOf(socket);
      if (at >= 0) kept.splice(at, 1);
      if (kept.length === 0 && this.#byHost.get(hostId) === kept) this.#byHost.delete(hostId);
    };
    socket.on('readable', useless).on('end', end).on('close', leave);
    this.#leaving.set(socket, leave);
  }

  take(hostId: string): Duplex | undefined {
    const ready = this.#byHost.get(hostId)?.at(-1);
    if (ready) this.#leaving.get(ready)?.();
    return ready;
  }

  destroyAll(hostId: string): void {
    for (const spare of this.#byHost.get(hostId) ?? []) spare.destroy();
  }
}
