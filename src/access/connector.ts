/**
 * A local client's connection to a database behind a cluster.
 *
 * Tunnel: SSLRequest and GSSENCRequest are answered here with `N` (the way up is encrypted already, and a round trip is
 * saved), the first real packet goes up unchanged on a connection that carries the database certificate, and from then on
 * bytes are copied.
 *
 *     client                      here                                   Proxy
 *       SSLRequest ─────────────▶
 *       ◀───────────────────── N
 *       StartupMessage ─────────▶ dial: TLS, ALPN teleport-postgres ────▶
 *                                 ──────────── StartupMessage ──────────▶
 *       ◀──────────────────────────── bytes both ways ─────────────────▶
 *
 * Client TLS: the client's own TLS goes through to the Proxy, on a connection without our certificate.
 *
 * A CancelRequest always goes up with the certificate, so Ctrl-C works whatever psql's version.
 */
import type { Duplex } from 'node:stream';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { relay } from '../net/relay.js';
import { readStartup } from '../pg/backend.js';
import { encodeError } from '../pg/sqlstate.js';
import { readFirst } from '../pg/stream.js';
import type { Connector } from './access.js';

export interface ClusterConnectorOptions {
  /** One connection to the Proxy on which PostgreSQL may begin, with or without our database certificate. */
  dial: (options: { withCertificate: boolean }) => Promise<Duplex>;
  log: Logger;
  clientTls?: boolean | undefined;
  /** Dial once at once: the client is about to come. */
  warm?: boolean | undefined;
  /** Told of each refusal at login: the first message of the server was an ErrorResponse. */
  onRefused?: (() => void) | undefined;
}

/** Tag of an ErrorResponse. */
const ERROR_RESPONSE = 0x45;
/** How long a client may take for its first packet: psql asks a person nothing here, a GUI may keep a connection ready. */
const FIRST_PACKET_TIMEOUT_MS = 60_000;
/** The other half may still send for this long after one has ended. */
const HALF_CLOSE_TIMEOUT_MS = 30_000;

export function clusterConnector(options: ClusterConnectorOptions): Connector {
  const { log, clientTls = false, warm = false, onRefused = () => {} } = options;
  const open = new Set<Duplex>();
  const track = (stream: Duplex) => {
    open.add(stream);
    stream.on('error', () => {}).once('close', () => open.delete(stream));
    return stream;
  };
  let ahead = warm ? options.dial({ withCertificate: true }).then(track) : undefined;
  ahead?.catch(() => {}); // told when it is used
  const dial = async (withCertificate: boolean) => {
    const waiting = withCertificate ? ahead : undefined;
    if (waiting) ahead = undefined;
    const ready = await waiting;
    // What was dialled ahead may have been closed meanwhile.
    return ready && !ready.destroyed && !ready.readableEnded ? ready : track(await options.dial({ withCertificate }));
  };
  const first = async (client: Duplex) => {
    if (!clientTls) return await readStartup(client, { timeoutMs: FIRST_PACKET_TIMEOUT_MS });
    return { ...(await readFirst(client, { timeoutMs: FIRST_PACKET_TIMEOUT_MS })), duplex: client };
  };
  return {
    async serve(client) {
      track(client);
      try {
        const { message, packet, duplex } = await first(client);
        const upstream = await dial(!clientTls || message.type === 'CancelRequest');
        let isFirst = true;
        let failure: unknown;
        upstream.once('error', (error) => {
          failure = error;
        });
        upstream.write(packet);
        await relay(duplex, upstream, {
          onBtoA: (chunk) => {
            if (isFirst && chunk[0] === ERROR_RESPONSE) onRefused();
            isFirst = false;
          },
          halfCloseTimeoutMs: HALF_CLOSE_TIMEOUT_MS,
        });
        if (isFirst && failure !== undefined) onRefused();
      } catch (error) {
        log.debug('Local connection failed.', { error: messageOf(error) });
        onRefused();
        if (!client.destroyed) client.end(encodeError(asProblem(error)));
      }
    },
    open: () => dial(true),
    async [Symbol.asyncDispose]() {
      for (const stream of open) stream.destroy();
      await ahead?.then((stream) => stream.destroy()).catch(() => {});
    },
  };
}

function asProblem(error: unknown): unknown {
  if (isTeleportError(error)) return error;
  return new TeleportError('ConnectionProblem', `connection to the proxy failed: ${messageOf(error)}`, {
    cause: error,
  });
}
