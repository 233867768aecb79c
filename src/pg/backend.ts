/**
 * The server's end of the protocol, as far as ReadyForQuery: which packet opens the connection, and what a client hears
 * before its first statement. A client is never asked for a password here: its certificate has spoken.
 *
 * Specification: PostgreSQL manual, "Protocol Flow", "Start-up" and "SSL Session Encryption". The order of
 * the messages in `encodeReady` is the one of a Teleport agent.
 */

import type { Duplex } from 'node:stream';
import { type ErrorCode, type ErrorDetails, isTeleportError, TeleportError } from '../errors.js';
import { encodeBackend } from './encode.js';
import type { BackendKey, BackendMessage, TxStatus } from './messages.js';
import { type CancelRequest, PROTOCOL_3_0, type StartupMessage } from './startup.js';
import { deadlineIn, FIRST_PACKET, readFirst } from './stream.js';

export { encodeError } from './sqlstate.js';

export interface ReadStartupOptions {
  /**
   * Runs the TLS handshake as server and gives the Duplex inside it. Given: an SSLRequest is answered `S`. Left out (no
   * TLS, or TLS done by an outer layer): `N`.
   */
  upgrade?: ((duplex: Duplex) => Promise<Duplex>) | undefined;
  /** Refuse StartupMessage and CancelRequest before `upgrade` ran. Default: when `upgrade` is given. */
  requireTls?: boolean | undefined;
  /** For all packets together, the handshake not counted. Default 30 s. */
  timeoutMs?: number | undefined;
  /** Largest packet, default PostgreSQL's 10000. */
  maxBytes?: number | undefined;
}

export interface Startup {
  message: StartupMessage | CancelRequest;
  /** The packet's own bytes, to be sent on unchanged. */
  packet: Buffer;
  /** The Duplex that the conversation goes on with: the given one, or what `upgrade` made of it. */
  duplex: Duplex;
  isTls: boolean;
}

/** A StartupMessage that was understood and is not taken: the client is waiting for an ErrorResponse on `duplex`. */
export class StartupRefused extends TeleportError {
  readonly duplex: Duplex;

  constructor(code: ErrorCode, message: string, duplex: Duplex, details?: ErrorDetails) {
    super(code, message, details);
    this.duplex = duplex;
  }
}

/**
 * Read what a client begins with, answering SSLRequest and GSSENCRequest on the way, each at most once. What follows the
 * StartupMessage stays in the Duplex.
 *
 * @throws StartupRefused for a version that is not ours and for one without TLS; TeleportError 'Protocol' or
 * 'ConnectionProblem', after which the caller closes without a message: nobody knows what the peer speaks
 */
export async function readStartup(duplex: Duplex, options: ReadStartupOptions = {}): Promise<Startup> {
  const deadline = deadlineIn(options.timeoutMs, FIRST_PACKET);
  const requireTls = options.requireTls ?? options.upgrade !== undefined;
  let current = duplex;
  let isTls = false;
  const asked = new Set<string>();
  for (;;) {
    const { message, packet } = await readFirst(current, {
      deadline,
      ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
    }).catch((error: unknown) => {
      if (!isTeleportError(error, 'NotImplemented')) throw error;
      throw new StartupRefused(error.code, error.message, current);
    });
    if (message.type === 'StartupMessage' || message.type === 'CancelRequest') {
      if (requireTls && !isTls) {
        if (message.type === 'CancelRequest') throw new TeleportError('Protocol', 'CancelRequest without TLS');
        const hint = 'Connect with sslmode=require or stricter.';
        throw new StartupRefused('AccessDenied', 'a connection without TLS is not taken', current, { hint });
      }
      return { message, packet, duplex: current, isTls };
    }
    if (asked.has(message.type)) throw new TeleportError('Protocol', `received more than one ${message.type}`);
    asked.add(message.type);
    if (message.type === 'SSLRequest' && options.upgrade) {
      // Bytes before the handshake would be taken for the client's words under TLS, though anyone on the way can write
      // them (CVE-2021-23214).
      if (current.readableLength > 0) throw new TeleportError('Protocol', 'unencrypted bytes before the TLS handshake');
      current.write('S');
      current = await options.upgrade(current);
      isTls = true;
    } else {
      current.write('N');
    }
  }
}

/**
 * What a client hears when it may begin: AuthenticationOk, BackendKeyData, every ParameterStatus, ReadyForQuery.
 *
 * @param ready.negotiate  from `negotiation`, sent first when the client asked for more than 3.0
 */
export function encodeReady(ready: {
  parameters: Iterable<readonly [string, string]>;
  backendKey?: BackendKey | undefined;
  txStatus?: TxStatus;
  negotiate?: BackendMessage | undefined;
}): Buffer {
  const messages: BackendMessage[] = [];
  if (ready.negotiate) messages.push(ready.negotiate);
  messages.push({ type: 'AuthenticationOk' });
  if (ready.backendKey) messages.push({ type: 'BackendKeyData', ...ready.backendKey });
  for (const [name, value] of ready.parameters) messages.push({ type: 'ParameterStatus', name, value });
  messages.push({ type: 'ReadyForQuery', txStatus: ready.txStatus ?? 'I' });
  return Buffer.concat(messages.map(encodeBackend));
}

/**
 * The answer to a client that asks for a newer minor version or for protocol options: we speak 3.0 and know no options,
 * on either side, so every cancel key has 4 bytes. Undefined for everybody else.
 *
 * The bytes are those of a PostgreSQL server up to 17 (`SendNegotiateProtocolVersion`): the whole version, not its minor
 * part as the manual says; libpq 18 takes a bare 0 for a "downgrade to pre-3.0 protocol version".
 */
export function negotiation(startup: StartupMessage): BackendMessage | undefined {
  const unrecognizedOptions = [...startup.parameters.keys()].filter(isProtocolOption);
  if (startup.protocolVersion === PROTOCOL_3_0 && unrecognizedOptions.length === 0) return undefined;
  return { type: 'NegotiateProtocolVersion', newestVersion: PROTOCOL_3_0, unrecognizedOptions };
}

/** A start-up without what `negotiation` turns down, for whoever comes next: options are for one hop only. */
export function plainStartup({ parameters }: StartupMessage): StartupMessage {
  const kept = new Map([...parameters].filter(([name]) => !isProtocolOption(name)));
  return { type: 'StartupMessage', protocolVersion: PROTOCOL_3_0, parameters: kept };
}

/** True for a startup parameter that is an option of the protocol itself. Source: manual, StartupMessage. */
export function isProtocolOption(name: string): boolean {
  return name.startsWith('_pq_.');
}
