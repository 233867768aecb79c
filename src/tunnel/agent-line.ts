/**
 * The agent's end of the two kinds of tunnel connection (`tunnel.ts` has the picture): the control connection, and a data
 * connection that waits for its client. Both take a socket whose TLS is done.
 */
import type { Duplex } from 'node:stream';
import { messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { createLineReader } from './lines.js';
import { MAX_TUNNEL_LINE_BYTES, TUNNEL_TAKEN, type TunnelConnection, type TunnelHello } from './protocol.js';

export interface ControlLine {
  /** The Proxy said drain. */
  readonly isLeft: boolean;
  tell(hello: TunnelHello): void;
  destroy(): void;
  /** Resolves when the line is gone or the Proxy wants to be left. */
  readonly over: Promise<void>;
  /** Resolves when the line is gone. */
  readonly gone: Promise<void>;
}

export interface ControlOptions {
  hello: TunnelHello;
  /** The Proxy has answered for the first time: it knows us. */
  onStanding: () => void;
  /** So many clients wait for a data connection. */
  onDial: (count: number) => void;
  /** A line without the Proxy's pings for so long is gone, whatever TCP believes. */
  silenceTimeoutMs: number;
  log: Logger;
}

/** Clients that may be announced in one line; an honest Proxy does not send more. */
const MAX_DIAL = 10_000;

export function serveControl(socket: Duplex, options: ControlOptions): ControlLine {
  let isLeft = false;
  let endOver: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    endOver = resolve;
  });
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const silence = setTimeout(() => socket.destroy(), options.silenceTimeoutMs).unref();
  void gone.then(() => {
    clearTimeout(silence);
    endOver();
  });
  const say = (object: object) => {
    if (socket.writable) socket.write(`${JSON.stringify(object)}\n`);
  };
  const read = createLineReader(MAX_TUNNEL_LINE_BYTES, ({ ping, dial, drain }) => {
    if (typeof ping === 'number') {
      silence.refresh();
      say({ pong: ping });
      options.onStanding();
    }
    if (typeof dial === 'number' && dial > 0) options.onDial(Math.min(dial, MAX_DIAL));
    if (drain === true) {
      isLeft = true;
      endOver();
    }
  });
  socket.on('error', () => {});
  socket.on('end', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      options.log.warn('A Proxy Service says what is not understood.', { error: messageOf(error) });
      socket.destroy();
    }
  });
  say({ hello: options.hello });
  return {
    get isLeft() {
      return isLeft;
    },
    tell: (hello) => say({ hello }),
    destroy: () => void socket.destroy(),
    over,
    gone,
  };
}

/**
 * Offer a data connection and wait until a client is put on it.
 *
 * @returns who it is; the next bytes of the socket are the client's
 * @throws TeleportError `ConnectionProblem` when the connection ended before, `Protocol` for anything but the one line
 */
export function offerConnection(socket: Duplex): Promise<TunnelConnection> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      socket.off('data', onData).off('close', onClose).off('end', onClose);
      act();
    };
    const onClose = () =>
      settle(() => {
        socket.destroy();
        reject(new TeleportError('ConnectionProblem', 'the tunnel connection ended before it was used'));
      });
    const read = createLineReader(MAX_TUNNEL_LINE_BYTES, (line) => {
      const { certificate, clientAddr } = line;
      if (typeof certificate !== 'string' || typeof clientAddr !== 'string') {
        throw new TeleportError('Protocol', 'a tunnel connection without certificate and address');
      }
      settle(() => {
        socket.pause();
        socket.write(Buffer.of(TUNNEL_TAKEN));
        resolve({ certificateDer: Buffer.from(certificate, 'base64'), clientAddr });
      });
    });
    const onData = (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        settle(() => {
          socket.destroy();
          reject(error);
        });
      }
    };
    socket.on('error', () => {});
    socket.on('data', onData).on('close', onClose).on('end', onClose);
    socket.write(`${JSON.stringify({ spare: true })}\n`);
  });
}
