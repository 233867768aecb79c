/**
 * The agent's end of the tunnel (`tunnel.ts` has the picture): a control connection to every Proxy, dialled again when it
 * is gone, and beside it a few data connections dialled ahead. Each one that a client is put on goes to the Database
 * Service as a Duplex and is replaced at once.
 *
 * States of the control line to one Proxy: dialling → standing (the Proxy has answered) → gone → waiting → dialling.
 * A Proxy that says drain is left: a new line is dialled; what is open on it runs to its end.
 */

import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { abortForMany } from '../abort.js';
import { hexName } from '../api/alpn.js';
import type { HostIdentity } from '../api/host-identity.js';
import { messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { hostIdIn } from '../identity/host.js';
import type { Logger } from '../log.js';
import { dialTls } from '../net/dial.js';
import { cutAfter } from '../net/hang-up.js';
import { organizationsOf } from '../net/tls-server.js';
import { rest, settledWithin } from '../wait.js';
import { type ControlLine, offerConnection, serveControl } from './agent-line.js';
import { TUNNEL_ALPN, type TunnelConnection, type TunnelHello } from './protocol.js';

export type { TunnelConnection } from './protocol.js';

export interface TunnelAgentOptions {
  /** Web addresses of the Proxies; one control connection is kept to each. */
  proxies: readonly { host: string; port: number }[];
  /** Host identity of role Db. The Proxy is verified against its `hostCaPems`, by the cluster's hex name. */
  identity: HostIdentity;
  /** What the Proxies get to know, asked anew at each connection and each change. */
  hello: () => TunnelHello;
  /** Registers a listener for changes of `hello()`; returns its removal. */
  onChange?: (listener: () => void) => () => void;
  /** One database connection. The callee owns the stream and ends it; an 'error' listener is on it already. */
  onConnection: (stream: Duplex, connection: TunnelConnection) => void;
  log: Logger;
  /**
   * Calls back, perhaps at once, when nothing may come from this host any more.
   *
   * @param hostId  of the Proxy, as its certificate says
   */
  watch?: ((hostId: string, onEnded: (reason: string) => void) => Disposable) | undefined;
  /** Ends everything at once. */
  signal?: AbortSignal;
  /** Data connections kept ready at each Proxy. Default 4. */
  spares?: number;
  /** For TCP and TLS together, default 10 s. */
  connectTimeoutMs?: number;
  /** First wait after a failure, default 500; doubled up to `maxBackoffMs` (30 s); half of each wait is random. */
  minBackoffMs?: number;
  maxBackoffMs?: number;
  /** A Proxy that sends nothing, not even its pings (every 15 s), is gone. Default 60 s. */
  silenceTimeoutMs?: number;
  /** How long a data connection beyond the spares waits for its client. Default 60 s. */
  idleMs?: number;
}

export interface TunnelAgent {
  /** Resolves when every Proxy has answered once. Never rejects. */
  readonly connected: Promise<void>;
  /** Proxies that have heard the hello and are connected now. */
  standing(): number;
  /** Open a new line to every Proxy, with the certificate of now; the Proxy drops the old one for it. */
  redial(): void;
  /** Say `draining`, wait for the open streams up to `drainMs` (default 0), hang up. */
  close(options?: { drainMs?: number }): Promise<void>;
}

/** A line that stood this long ends the row of failures. */
const STABLE_MS = 10_000;

/** For a session to say why it ends, before its connection to a Proxy that is out is cut. */
const LAST_WORDS_MS = 700;

/** How many data connections are dialled at the same time at most; clients beyond that wait for their turn. */
const MAX_DIALLING = 32;
/** Clients of a Proxy that wait for a connection; more than can be there together. */
const MAX_WANTED = 10_000;
/** As many wait here for a client at most; a Proxy that has one for each would have taken them. */
const MAX_WAITING = 64;
/** How long one beyond the spares waits for its client. */
const IDLE_MS = 60_000;

/** Keep the connections to every Proxy until closed. */
export function runTunnel(options: TunnelAgentOptions): TunnelAgent {
  const stop = abortForMany();
  const lines = new Set<ControlLine>();
  const inUse = new Set<Duplex>();
  const idleWaiters = new Set<() => void>();
  let isDraining = false;
  const hello = (): TunnelHello => (isDraining ? { ...options.hello(), draining: true } : options.hello());
  const tellAll = (): void => {
    for (const line of lines) line.tell(hello());
  };
  const unsubscribe = options.onChange?.(tellAll);
  const halt = (): void => {
    unsubscribe?.();
    options.signal?.removeEventListener('abort', halt);
    stop.abort();
    for (const line of lines) line.destroy();
    for (const stream of inUse) stream.destroy();
  };
  if (options.signal?.aborted) halt();
  else options.signal?.addEventListener('abort', halt, { once: true });

  const onConnection = (stream: Duplex, connection: TunnelConnection): void => {
    inUse.add(stream);
    stream.once('close', () => {
      inUse.delete(stream);
      if (inUse.size > 0) return;
      for (const resolve of idleWaiters) resolve();
      idleWaiters.clear();
    });
    try {
      options.onConnection(stream, connection);
    } catch (error) {
      options.log.error('A database connection failed.', { error: messageOf(error) });
      stream.destroy();
    }
  };
  const kept = options.proxies.map((proxy) => keep(proxy, { ...options, hello, onConnection }, lines, stop.signal));
  return {
    connected: Promise.all(kept.map(({ heard }) => heard)).then(() => {}),
    redial: () => {
      for (const { redial } of kept) redial();
    },
    standing: () => kept.filter(({ isStanding }) => isStanding()).length,
    async close({ drainMs = 0 } = {}) {
      isDraining = true;
      if (drainMs > 0 && !stop.signal.aborted) {
        tellAll();
        const idle = inUse.size === 0 ? undefined : new Promise<void>((resolve) => idleWaiters.add(resolve));
        if (idle) await settledWithin(idle, drainMs, stop.signal);
      }
      halt();
      await Promise.all(kept.map(({ ended }) => ended()));
    },
  };
}

/** One Proxy: dial, serve, wait, again. */
function keep(
  proxy: { host: string; port: number },
  options: TunnelAgentOptions,
  lines: Set<ControlLine>,
  signal: AbortSignal,
): { heard: Promise<void>; ended: () => Promise<unknown>; isStanding: () => boolean; redial: () => void } {
  const { minBackoffMs = 500, maxBackoffMs = 30_000, silenceTimeoutMs = 60_000, log } = options;
  let heardNow: () => void = () => {};
  const heard = new Promise<void>((resolve) => {
    heardNow = resolve;
  });
  let isStanding = false;
  const address = joinHostPort(proxy.host, proxy.port);

  /** Which run it is that keeps the line; an earlier one goes when its line does. */
  let current = 0;
  const run = async (mine: number): Promise<void> => {
    for (let failures = 0; !signal.aborted && mine === current; failures++) {
      const startedAt = performance.now();
      try {
        const socket = await dialProxy(proxy, options, signal);
        const data = keepSpares(() => dialProxy(proxy, options, signal), options, signal);
        const line = serveControl(socket, {
          hello: options.hello(),
          onStanding: () => {
            isStanding = true;
            heardNow();
            data.start();
          },
          onDial: data.dial,
          silenceTimeoutMs,
          log,
        });
        lines.add(line);
        void line.gone.then(() => lines.delete(line));
        if (signal.aborted) line.destroy();
        await line.over;
        data.stop();
        if (mine !== current) return;
        isStanding = false;
        if (!signal.aborted) log.info('Tunnel to the Proxy Service ended, dialling again.', { proxy: address });
      } catch (error) {
        if (signal.aborted) return;
        log.warn('Cannot open a tunnel to the Proxy Service.', { proxy: address, error: messageOf(error) });
      }
      if (performance.now() - startedAt > STABLE_MS) failures = 0;
      const waitMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(failures, 16));
      await rest(waitMs / 2 + (Math.random() * waitMs) / 2, signal);
    }
  };
  let runs: Promise<unknown> = run(current);
  return {
    heard,
    ended: () => runs,
    isStanding: () => isStanding,
    redial: () => {
      if (!signal.aborted) runs = Promise.all([runs, run(++current)]);
    },
  };
}

/** Data connections of one control line: so many kept ready, more when the Proxy asks. */
function keepSpares(dial: () => Promise<Duplex>, options: TunnelAgentOptions, signal: AbortSignal) {
  const { spares = 4, minBackoffMs = 500, maxBackoffMs = 30_000, idleMs = IDLE_MS, log } = options;
  const waiting = new Set<Duplex>();
  /** Dialling now, and how many are wanted beyond that. */
  let dialling = 0;
  let wanted = 0;
  let failures = 0;
  let isStarted = false;
  let isStopped = false;

  const offer = async (): Promise<void> => {
    let socket: Duplex;
    try {
      socket = await dial();
      failures = 0;
    } catch (error) {
      if (isStopped || signal.aborted) return;
      log.debug('Cannot dial a tunnel connection.', { error: messageOf(error) });
      await rest(Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(failures++, 16)), signal);
      return;
    } finally {
      dialling -= 1;
    }
    if (isStopped) return void socket.destroy();
    waiting.add(socket);
    const taken = offerConnection(socket);
    const idle = setInterval(() => {
      if (waiting.size <= spares) return;
      wanted = 0;
      socket.destroy();
    }, idleMs).unref();
    const settled = () => {
      clearInterval(idle);
      waiting.delete(socket);
      fill();
    };
    taken.then(
      (connection) => {
        settled();
        options.onConnection(socket, connection);
      },
      (error: unknown) => {
        log.debug('A waiting tunnel connection ended.', { error: messageOf(error) });
        settled();
      },
    );
  };
  const fill = (): void => {
    if (!isStarted || isStopped || signal.aborted) return;
    while (dialling < MAX_DIALLING && waiting.size + dialling < Math.min(spares + wanted, MAX_WAITING)) {
      if (waiting.size + dialling >= spares) wanted -= 1;
      dialling += 1;
      void offer().then(fill);
    }
  };
  const stop = (): void => {
    isStopped = true;
    signal.removeEventListener('abort', stop);
    // Those that a client is on are no longer in here.
    for (const socket of waiting) socket.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    start(): void {
      isStarted = true;
      fill();
    },
    dial(count: number): void {
      wanted = Math.min(wanted + count, MAX_WANTED);
      fill();
    },
    stop,
  };
}

async function dialProxy(
  proxy: { host: string; port: number },
  { identity, watch, connectTimeoutMs = 10_000 }: TunnelAgentOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = await dialTls({
    ...proxy,
    servername: hexName(identity.clusterName),
    alpn: [TUNNEL_ALPN],
    ca: identity.hostCaPems,
    cert: identity.certPem,
    key: identity.keyPem,
    timeoutMs: connectTimeoutMs,
    signal,
    // A client may end its half and still wait for an answer.
    allowHalfOpen: true,
  });
  const { CN: common = '' } = socket.getPeerCertificate().subject ?? {};
  const name = [common].flat()[0] ?? '';
  if (socket.alpnProtocol === TUNNEL_ALPN && organizationsOf(socket).includes('Proxy')) {
    const hostId = hostIdIn(name, identity.clusterName) ?? name;
    let ended: string | undefined;
    const watched = watch?.(hostId, (reason) => {
      if (ended === undefined) cutAfter(socket, LAST_WORDS_MS);
      ended = reason;
    });
    socket.once('close', () => watched?.[Symbol.dispose]());
    if (ended === undefined) return socket;
    socket.destroy();
    throw new TeleportError('AccessDenied', ended);
  }
  socket.destroy();
  throw new TeleportError(
    'ConnectionProblem',
    `${joinHostPort(proxy.host, proxy.port)} is not a Proxy Service that takes tunnels`,
  );
}
