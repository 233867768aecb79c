/**
 * The agent tunnel: what a Proxy and a Database Service say to each other. No foreign program looks here.
 *
 * The agent dials the Proxy's web port: TLS, ALPN `teleshift-tunnel`, its host certificate (role Db). Over that one
 * connection runs HTTP/2 with the roles turned round: the *agent* is the HTTP/2 server, the *Proxy* opens streams.
 *
 *     Proxy                                   agent
 *       | GET  /v1/hello                        |   answers JSON TunnelHello and keeps the stream open: each further
 *       |                                       |   line is a new TunnelHello (its databases changed)
 *       | POST /v1/connect  headers below       |   :status 200, then raw PostgreSQL bytes both ways
 *       | POST /v1/drain                        |   the Proxy is going away: dial again elsewhere
 *
 * The POST carries the user's certificate. The Proxy has seen the proof of its key; the agent verifies the certificate
 * against the User CA again and takes the identity, the route and every decision from it.
 */

export const TUNNEL_ALPN = 'teleshift-tunnel';

/** Flow-control windows that carried 0.8 of one TLS connection on loopback (16 MiB a stream, 32 MiB a connection). */
export const TUNNEL_STREAM_WINDOW_BYTES = 16 * 1024 * 1024;
export const TUNNEL_CONNECTION_WINDOW_BYTES = 32 * 1024 * 1024;

export interface TunnelHello {
  hostId: string;
  hostname: string;
  version: string;
  databases: { name: string; health: 'healthy' | 'unhealthy' | 'unknown' }[];
  /** True when the agent is stopping: no new streams, please. */
  draining?: boolean;
}

/** Request headers of `POST /v1/connect`. */
export const TUNNEL_HEADERS = {
  /** base64 of the user's certificate, DER. */
  certificate: 'x-teleshift-certificate',
  /** `ip:port` of the user, for audit. */
  clientAddr: 'x-teleshift-client-addr',
} as const;
