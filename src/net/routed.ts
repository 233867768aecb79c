/**
 * TLS by ALPN to a port of a Proxy, inside a WebSocket where something in front of the Proxy ends TLS (connection upgrade).
 * Spec: auth-grpc-and-routing.md 1.6.
 */
import type { TLSSocket } from 'node:tls';
import { joinHostPort } from '../host-port.js';
import { type DialTlsOptions, dialTls } from './dial.js';
import type { TrustOptions } from './trust.js';

export interface ConnUpgrade {
  /** In whom the TLS around the WebSocket trusts. */
  trust: TrustOptions;
  protocol: 'alpn' | 'alpn-ping';
}

/**
 * @param tls  of the connection that the Proxy routes
 * @param upgrade  absent: straight
 * @throws TeleportError `ConnectionProblem`
 */
export async function dialRouted(tls: DialTlsOptions, upgrade?: ConnUpgrade): Promise<TLSSocket> {
  if (!upgrade) return await dialTls(tls);
  const { upgradeConnection } = await import('./websocket.js');
  const { host, port, vars, timeoutMs = 30_000, signal } = tls;
  const target = { host, port, timeoutMs, ...(vars ? { vars } : {}), ...(signal ? { signal } : {}) };
  const outer = await dialTls({ ...target, ...upgrade.trust });
  const socket = await upgradeConnection(outer, {
    host: joinHostPort(host, port),
    protocol: upgrade.protocol,
    timeoutMs,
  });
  return await dialTls({ ...tls, socket });
}
