/**
 * The agent tunnel: what a Proxy and a Database Service say to each other. No foreign program looks here.
 *
 * The agent dials the Proxy's web port: TLS, ALPN `teleshift-tunnel`, its host certificate (role Db). The first line says
 * what the connection is for; a line is one JSON object and a newline.
 *
 *     agent                                                     Proxy
 *       | {"hello": {hostId, hostname, version, databases}}  ──▶  | the control connection, one per agent and Proxy;
 *       |                                                         | a further hello when something has changed
 *       | ◀──────────────────────────────────────── {"ping": n}   | every 15 s; answered {"pong": n}
 *       | ◀──────────────────────────────────────── {"dial": n}   | n clients wait: dial n data connections now
 *       | ◀────────────────────────────────────── {"drain": true} | the Proxy is going away: dial again elsewhere
 *       |                                                         |
 *       | {"spare": true}  ──────────────────────────────────▶    | a data connection, dialled ahead and kept waiting
 *       | ◀────────────────── {"certificate": …, "clientAddr": …} | a client has come: its certificate and address
 *       | one byte, `+`  ────────────────────────────────────▶    | taken; from here on raw PostgreSQL bytes both ways
 *
 * The Proxy of a leaf cluster dials the Proxy of its root in the same way, with no databases in its hello: behind it are an
 * Auth Service and agents.
 *
 * One database connection is one TLS connection: bytes are framed by nobody, a slow reader stops nobody else, and what is
 * open goes on when the control connection breaks. Because some are dialled ahead, a client waits for no handshake.
 *
 * The Proxy has seen the proof of the user's key; the agent verifies the certificate against the User CA again and takes
 * the identity, the route and every decision from it.
 */

export const TUNNEL_ALPN = 'teleshift-tunnel';

/** Says that the agent has taken a connection. */
export const TUNNEL_TAKEN = 0x2b;

/** Longest line: some ten thousand databases with long names in a hello, or a certificate with long traits. */
export const MAX_TUNNEL_LINE_BYTES = 4 * 1024 * 1024;

export interface TunnelHello {
  hostId: string;
  hostname: string;
  version: string;
  databases: { name: string; health: 'healthy' | 'unhealthy' | 'unknown' }[];
  /** True when the agent is stopping: no new connections, please. */
  draining?: boolean;
}

/** What came with a connection. The certificate is to be verified again: the Proxy is not believed. */
export interface TunnelConnection {
  /** Empty, to the Proxy of a leaf cluster only: bytes for the Auth Service of that cluster. */
  certificateDer: Buffer;
  /** `ip:port` of the user, for audit. */
  clientAddr: string;
}
