/**
 * Does something between us and the Proxy swallow our ALPN names, so that a connection upgrade is needed?
 * Source: auth-grpc-and-routing.md 1.7.
 */

import { nodeCodeOf } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { yesOrNo } from '../yes-no.js';
import { dialTls } from './dial.js';
import type { WebTrust } from './trust.js';

/** What any Teleport 18 Proxy negotiates and no load balancer knows. */
const PROBE_PROTOCOL = 'teleport-reversetunnel';
const TIMEOUT_MS = 5_000;

export interface ConnUpgradeTestOptions extends WebTrust {
  rejectUnauthorized?: boolean;
  host: string;
  port: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** True when connections must be upgraded. Never throws for a Proxy that cannot be reached: then nobody knows, and false. */
export async function needsConnUpgrade(options: ConnUpgradeTestOptions): Promise<boolean> {
  const forced = forcedConnUpgrade(joinHostPort(options.host, options.port), options.vars);
  if (forced !== undefined) return forced;
  try {
    const socket = await dialTls({ timeoutMs: TIMEOUT_MS, ...options, alpn: [PROBE_PROTOCOL] });
    const negotiated = socket.alpnProtocol;
    socket.destroy();
    return negotiated !== PROBE_PROTOCOL;
  } catch (error) {
    options.signal?.throwIfAborted();
    // The alert, or an answer that was never offered (OpenSSL's BAD_EXTENSION); any other failure proves nothing.
    const code = nodeCodeOf((error as Error).cause) ?? '';
    return code.includes('NO_APPLICATION_PROTOCOL') || code === 'ERR_SSL_BAD_EXTENSION';
  }
}

/**
 * What TELEPORT_TLS_ROUTING_CONN_UPGRADE says about an address: entries by `,` or `;`, each `<addr>=<bool>` or `<bool>`
 * for all others. Undefined when it does not say; bad entries are skipped.
 */
export function forcedConnUpgrade(address: string, vars: Record<string, string | undefined>): boolean | undefined {
  let others: boolean | undefined;
  for (const entry of (vars.TELEPORT_TLS_ROUTING_CONN_UPGRADE ?? '').split(/[,;]/)) {
    const [first = '', second] = entry.trim().split('=');
    const value = yesOrNo(second ?? first);
    if (second === undefined) others = value ?? others;
    else if (first === address && value !== undefined) return value;
  }
  return others;
}
