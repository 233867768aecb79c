/**
 * The agent's end of the tunnel (`tunnel.ts` has the picture): dial every Proxy, show the host certificate, serve HTTP/2
 * on the connection that was dialled, hand each `POST /v1/connect` to the Database Service as a Duplex, dial again when
 * the connection is gone.
 *
 * States of a line to one Proxy: dialling → standing (the Proxy asked for the hello) → gone → waiting → dialling.
 * A Proxy that says drain is left: a new line is dialled beside the old one, which ends with its last stream.
 */
import type { TLSSocket } from 'node:tls';
import { messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { dialTls } from '../net/dial.js';
import { hexName } from './alpn.js';
import type { HostIdentity } from './host-identity.js';
import { TUNNEL_ALPN, type TunnelHello } from './tunnel.js';
import { type OnTunnelConnection, serveLine, type TunnelLine } from './tunnel-line.js';

export type { TunnelConnection } from './tunnel-line.js';

export interface TunnelAgentOptions {
  /** Web addresses of the Proxies; one connection is kept to each. */
  proxies: readonly { host: string; port: number }[];
  /** Host identity of role Db. The Proxy is verified against its `hostCaPems`, by the cluster's hex name. */
  identity: HostIdentity;
  /** What the Proxies are told, asked anew at each connection and each change. */
  hello: () => TunnelHello;
  /** Registers a listener for changes of `hello()`; returns its removal. */
  onChange?: (listener: () => void) => () => void;
  /** One database connection. The callee owns the stream and ends it; an 'error' listener is on it already. */
  onConnection: OnTunnelConnection;
  log: Logger;
  /** Ends everything at once. */
  signal?: AbortSignal;
  /** For TCP and TLS together, default 10 s. */
  connectTimeoutMs?: number;
  /** First wait after a failure, default 500; doubled up to `maxBackoffMs` (30 s); half of each wait is random. */
  minBackoffMs?: number;
  maxBackoffMs?: number;
  /** A Proxy that sends nothing, not even its pings (every 15 s), is gone. Default 60 s. */
  silenceTimeoutMs?: number;
}

export interface TunnelAgent {
  /** Resolves when every Proxy has asked for the hello once. Never rejects. */
  readonly connected: Promise<void>;
  /** Proxies that have heard the hello and are connected now. */
  standing(): number;
  /** Say `draining`, wait for the open streams up to `drainMs` (default 0), hang up. */
  close(options?: { drainMs?: number }): Promise<void>;
}

/** A line that stood this long ends the row of failures. */
const STABLE_MS = 10_000;

/** Keep one connection to every Proxy until closed. */
export function runTunnel(options: TunnelAgentOptions): TunnelAgent {
  const stop = new AbortController();
  const lines = new Set<TunnelLine>();
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
  };
  if (options.signal?.aborted) halt();
  else options.signal?.addEventListener('abort', halt, { once: true });

  const kept = options.proxies.map((proxy) => keep(proxy, { ...options, hello }, lines, stop.signal));
  return {
    connected: Promise.all(kept.map(({ heard }) => heard)).then(() => {}),
    standing: () => [...lines].filter((line) => line.isStanding && !line.isLeft).length,
    async close({ drainMs = 0 } = {}) {
      isDraining = true;
      if (drainMs > 0 && !stop.signal.aborted) {
        tellAll();
        const idle = Promise.all([...lines].map((line) => line.idle()));
        await Promise.race([idle, pause(drainMs, stop.signal)]);
      }
      halt();
      await Promise.all(kept.map(({ ended }) => ended));
    },
  };
}

/** One Proxy: dial, serve, wait, again. */
function keep(
  proxy: { host: string; port: number },
  options: TunnelAgentOptions,
  lines: Set<TunnelLine>,
  signal: AbortSignal,
): { heard: Promise<void>; ended: Promise<void> } {
  const { minBackoffMs = 500, maxBackoffMs = 30_000, silenceTimeoutMs = 60_000, log } = options;
  let heardNow: () => void = () => {};
  const heard = new Promise<void>((resolve) => {
    heardNow = resolve;
  });
  const address = `${proxy.host}:${proxy.port}`;

  const run = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; failures++) {
      const startedAt = performance.now();
      try {
        const socket = await dialProxy(proxy, options, signal);
        const line = serveLine(socket, { ...options, silenceTimeoutMs, onStanding: heardNow });
        lines.add(line);
        void line.gone.then(() => lines.delete(line));
        if (signal.aborted) line.destroy();
        await line.over;
        if (!signal.aborted) log.info('Tunnel to the Proxy Service ended, dialling again.', { proxy: address });
      } catch (error) {
        if (signal.aborted) return;
        log.warn('Cannot open a tunnel to the Proxy Service.', { proxy: address, error: messageOf(error) });
      }
      if (performance.now() - startedAt > STABLE_MS) failures = 0;
      const waitMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(failures, 16));
      await pause(waitMs / 2 + (Math.random() * waitMs) / 2, signal);
    }
  };
  return { heard, ended: run() };
}

async function dialProxy(
  proxy: { host: string; port: number },
  { identity, connectTimeoutMs = 10_000 }: TunnelAgentOptions,
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
  });
  const roles = [socket.getPeerCertificate().subject?.O ?? []].flat();
  if (socket.alpnProtocol === TUNNEL_ALPN && roles.includes('Proxy')) return socket;
  socket.destroy();
  throw new TeleportError('ConnectionProblem', `${proxy.host}:${proxy.port} is no Proxy Service that takes tunnels`);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
