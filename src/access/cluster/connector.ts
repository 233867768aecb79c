/**
 * A local client's connection to a database behind a cluster.
 *
 * Tunnel: SSLRequest and GSSENCRequest are answered here with `N` (the way up is encrypted already, and a round trip is
 * saved), the first real packet goes up on a connection that carries the database certificate, and from then on
 * bytes are copied. The packet is changed only where it asks for more than protocol 3.0: a Teleport agent knows no more.
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
import { isTeleportError, messageOf, TeleportError, TimedOut } from '../../errors.js';
import { cancelKeys } from '../../localproxy/cancel-keys.js';
import { createClients } from '../../localproxy/clients.js';
import { unknownPeer } from '../../localproxy/peer.js';
import type { Logger } from '../../log.js';
import { certificateAlert } from '../../net/dial.js';
import { hangUp } from '../../net/hang-up.js';
import { negotiation, plainStartup, readStartup } from '../../pg/backend.js';
import { encodeBackend } from '../../pg/encode.js';
import { encodeError } from '../../pg/sqlstate.js';
import { encodeFirst, type FirstMessage } from '../../pg/startup.js';
import { readFirst } from '../../pg/stream.js';
import { LoginNeeded } from '../../profile/session.js';
import type { Connector } from '../access.js';

export interface ClusterConnectorOptions {
  /** One connection to the Proxy on which PostgreSQL may begin, with or without our database certificate. */
  dial: (options: { withCertificate: boolean }) => Promise<Duplex>;
  /** `host:port` of that Proxy, for errors. */
  address: string;
  log: Logger;
  clientTls?: boolean | undefined;
  /** Dial once at once: the client is about to come. */
  warm?: boolean | undefined;
  /** What may be the reason when the Proxy closes without a word. */
  hintOfSilence?: string | undefined;
  /** Told when the cluster refuses the database user or name. */
  onRefused?: (() => void) | undefined;
}

/** Tag of an ErrorResponse. */
const ERROR_RESPONSE = 0x45;
/** The words of a cluster that refuses user or name; real ones send no SQLSTATE. Source: cli.md 4.10. */
const ACCESS_DENIED = 'access to db denied';
/** How long a client may take for its first packet: psql asks a person nothing here, a GUI may keep a connection ready. */
const FIRST_PACKET_TIMEOUT_MS = 60_000;
/** For the first answer: the agent may have to dial, ask AWS and log in, each with a deadline of its own. */
const FIRST_ANSWER_TIMEOUT_MS = 120_000;

export class ClusterConnector implements Connector {
  readonly #options: ClusterConnectorOptions;
  readonly #clients: ReturnType<typeof createClients>;
  readonly #keys: ReturnType<typeof cancelKeys>;
  /** Dialled before anybody came. */
  #ahead: Promise<Duplex> | undefined;

  constructor(options: ClusterConnectorOptions) {
    this.#options = options;
    this.#clients = createClients({ isPlain: !options.clientTls });
    this.#keys = cancelKeys(() => this.#dial(true), options.log);
    this.#ahead = options.warm ? this.#dial(true) : undefined;
    this.#ahead?.catch(() => {}); // told when it is used
  }

  async serve(client: Duplex, { onlyCancel = false } = {}): Promise<void> {
    const { log, clientTls = false, onRefused = () => {} } = this.#options;
    this.#clients.take(client);
    try {
      const { message, packet, duplex } = await this.#first(client);
      const isCancel = message.type === 'CancelRequest';
      if (onlyCancel && !(isCancel && this.#keys.has(message))) throw unknownPeer();
      const [answer, asked] = settleVersion(message, packet);
      const upstream = await this.#ask(asked, client, { withCertificate: !clientTls || isCancel, isCancel });
      if (upstream === undefined) {
        // Nobody ever answers a CancelRequest.
        if (isCancel) return hangUp(client);
        throw new TeleportError('ConnectionProblem', NO_ANSWER, { hint: this.#options.hintOfSilence });
      }
      if (answer) duplex.write(answer);
      let isFirst = true;
      using watch = isCancel || clientTls ? undefined : this.#keys.watch();
      await this.#clients.join(duplex, upstream, {
        onBtoA: (chunk) => {
          watch?.push(chunk);
          if (isFirst && chunk[0] === ERROR_RESPONSE && chunk.includes(ACCESS_DENIED)) onRefused();
          isFirst = false;
        },
      });
    } catch (error) {
      log.debug('Local connection failed.', { error: messageOf(error) });
      hangUp(client, encodeError(asProblem(error)));
    }
  }

  async open(): Promise<Duplex> {
    return (await this.#takeAhead()) ?? (await this.#dial(true));
  }

  cancelAll(): Promise<void> {
    return this.#keys.cancelAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clients.close();
    await this.#ahead?.then((stream) => stream.destroy()).catch(() => {});
  }

  async #first(client: Duplex) {
    if (!this.#options.clientTls) return await readStartup(client, { timeoutMs: FIRST_PACKET_TIMEOUT_MS });
    return { ...(await readFirst(client, { timeoutMs: FIRST_PACKET_TIMEOUT_MS })), duplex: client };
  }

  /** Send the first packet up and wait for the answer to begin. Undefined: the server closed without a word. */
  async #ask(
    packet: Buffer,
    client: Duplex,
    kind: { withCertificate: boolean; isCancel: boolean },
  ): Promise<Duplex | undefined> {
    const { address } = this.#options;
    const ready = kind.withCertificate && !kind.isCancel ? await this.#takeAhead() : undefined;
    if (ready) {
      ready.write(packet);
      const answer = await firstAnswer(ready, client, address).catch(() => 'none');
      if (answer === 'some') return ready;
      // What was dialled ahead may have been closed meanwhile, which only shows now: once more with a new one.
      ready.destroy();
      if (client.destroyed) return undefined;
    }
    const upstream = await this.#dial(kind.withCertificate);
    upstream.write(packet);
    if ((await firstAnswer(upstream, client, address)) === 'some') return upstream;
    upstream.destroy();
    return undefined;
  }

  async #dial(withCertificate: boolean): Promise<Duplex> {
    return this.#clients.track(await this.#options.dial({ withCertificate }));
  }

  async #takeAhead(): Promise<Duplex | undefined> {
    const waiting = this.#ahead;
    this.#ahead = undefined;
    const ready = await waiting;
    return ready && !ready.destroyed && !ready.readableEnded ? ready : undefined;
  }
}

const NO_ANSWER =
  'the proxy closed the connection without an answer: it does not know the database or your certificate, or the cluster behind it is offline';

/**
 * Wait until the server has begun to speak; its bytes stay in the stream. Only then can the client's connection be given
 * over: a proxy that does not like our certificate says so here, in an alert, and the client must hear of it.
 *
 * @returns `none` when it closed, or the client left, without a word
 * @throws what broke the connection
 */
function firstAnswer(upstream: Duplex, client: Duplex, address: string): Promise<'some' | 'none'> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer);
      upstream.off('readable', onReadable).off('end', onNone).off('close', onNone).off('error', onError);
      client.off('close', onLeft);
      act();
    };
    const onReadable = () => {
      if (upstream.readableLength > 0) settle(() => resolve('some'));
      // Where somebody listens for 'readable', the end reaches only who reads; this takes nothing out.
      else upstream.read(0);
    };
    const onNone = () => settle(() => resolve('none'));
    const onError = (error: unknown) => settle(() => reject(error));
    const onLeft = () =>
      settle(() => {
        upstream.destroy();
        resolve('none');
      });
    const onLate = () =>
      settle(() => {
        upstream.destroy();
        reject(new TimedOut(`answer from the cluster behind ${address}`, FIRST_ANSWER_TIMEOUT_MS));
      });
    const timer = setTimeout(onLate, FIRST_ANSWER_TIMEOUT_MS);
    upstream.on('readable', onReadable).on('end', onNone).on('close', onNone).on('error', onError);
    client.on('close', onLeft);
    if (upstream.errored) onError(upstream.errored);
    else if (upstream.destroyed) onNone();
    else if (client.destroyed) onLeft();
  });
}

/** What the client is answered to a version that we do not speak, and the packet that goes up in place of its own. */
function settleVersion(message: FirstMessage, packet: Buffer): [answer: Buffer | undefined, packet: Buffer] {
  const answer = message.type === 'StartupMessage' ? negotiation(message) : undefined;
  if (message.type !== 'StartupMessage' || !answer) return [undefined, packet];
  return [encodeBackend(answer), encodeFirst(plainStartup(message))];
}

function asProblem(error: unknown): unknown {
  if (error instanceof LoginNeeded) {
    return new TeleportError(error.code, error.message, {
      cause: error,
      hint: 'Log in again with "tsh login", also in another terminal: the next connection takes the new login.',
    });
  }
  if (isTeleportError(error)) return error;
  const alert = certificateAlert(error);
  if (alert !== undefined) {
    return new TeleportError('ConnectionProblem', `the proxy refused our certificate: remote error: tls: ${alert}`, {
      cause: error,
      hint: "Log in again: 'tsh login', then 'tsh db login'.",
    });
  }
  return new TeleportError('ConnectionProblem', `connection to the proxy failed: ${messageOf(error)}`, {
    cause: error,
  });
}
