/**
 * A loopback relay in front of a server: it can be far away, break every connection at a given piece of what clients send, and be
 * down.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** Pieces that clients have sent so far, over all connections. */
  pieces(): number;
  /** Where all connections break, and new ones are reset; undefined: nowhere. */
  breakAt: number | undefined;
  /** Break what is open. */
  cut(): void;
  /** Whether new connections are reset. */
  isDown: boolean;
  stop(): Promise<void>;
}

/** @param delayMs  each way */
export async function startRelay(port: number, { delayMs = 0 } = {}): Promise<Relay> {
  const sockets = new Set<Socket>();
  let pieces = 0;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const late = (send: () => void) => void (delayMs > 0 ? setTimeout(send, delayMs) : send());
  const pass = (from: Socket, to: Socket, onPiece: () => boolean) => {
    from.on('data', (piece) => {
      if (onPiece()) late(() => void (to.writable && to.write(piece)));
    });
    from.once('end', () => late(() => void to.end()));
    from.once('close', () => late(() => void to.destroy()));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    keep(client);
    if (relay.isDown) return void client.resetAndDestroy();
    const back = keep(connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
    pass(client, back, () => {
      pieces += 1;
      if (relay.breakAt === undefined || pieces < relay.breakAt) return true;
      relay.isDown = true;
      relay.cut();
      return false;
    });
    pass(back, client, () => true);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const relay: Relay = {
    port: (server.address() as { port: number }).port,
    pieces: () => pieces,
    breakAt: undefined,
    isDown: false,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async stop() {
      relay.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return relay;
}
