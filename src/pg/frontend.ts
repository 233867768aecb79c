/**
 * The client's end of the protocol over a Duplex that is already connected: ask for TLS, log in (password, MD5,
 * SCRAM-SHA-256), cancel. TLS itself is made by the caller between `requestTls` and `login`.
 *
 * Specification: PostgreSQL manual, "Protocol Flow": "Start-up", "SSL Session Encryption", "Canceling Requests in
 * Progress". Statements are in `session.ts`.
 */

import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TeleportError, TimedOut } from '../errors.js';
import { inTime } from '../wait.js';
import { decodeBackend } from './decode.js';
import { encodeFrontend } from './encode.js';
import type { BackendKey, BackendMessage, TxStatus } from './messages.js';
import { SCRAM_SHA_256, type ScramExchange, startScram } from './scram.js';
import { ServerError } from './server-error.js';
import { encodeFirst, PROTOCOL_3_0 } from './startup.js';
import { DEFAULT_TIMEOUT_MS, type Deadline, deadlineIn, readExactly, readMessage } from './stream.js';

export interface LoginOptions {
  user: string;
  /** Left out: the server takes the user's name. */
  database?: string | undefined;
  /** Further startup parameters, sent as they are; `user` and `database` in here are overruled by the two above. */
  parameters?: Iterable<readonly [string, string]> | undefined;
  /** Asked only when the server wants a password. */
  password?: (() => Promise<string> | string) | undefined;
  /** For the whole login. Default 30 s. */
  timeoutMs?: number | undefined;
  /** `host:port` of the server, for the error when it does not answer. */
  address?: string | undefined;
}

export interface AskOptions {
  /** Default 30 s. */
  timeoutMs?: number;
  /** As in `LoginOptions`. */
  address?: string;
}

export interface LoggedIn {
  /** What the server said about itself: `server_version`, `client_encoding`, … */
  parameters: Map<string, string>;
  /** Undefined when the server gave none, as poolers do; then nothing can be cancelled. */
  backendKey: BackendKey | undefined;
  txStatus: TxStatus;
  /** Protocol options that the server does not know (NegotiateProtocolVersion). */
  unrecognizedOptions: string[];
}

/** More than any server says between StartupMessage and ReadyForQuery. */
const MAX_LOGIN_MESSAGES = 1000;
/** The same in bytes: all of it is kept as long as the session. */
const MAX_LOGIN_BYTES = 2 ** 20;

/** One login on its way. */
interface Exchange {
  deadline: Deadline;
  leftBytes: number;
}

/**
 * Log in. Reads up to and including the first ReadyForQuery and not a byte more.
 *
 * @throws ServerError when the server refuses (every field in it), TeleportError 'AccessDenied' when it wants a password
 * and there is none, 'Protocol' for what breaks the protocol, 'ConnectionProblem' when it leaves or is silent too long
 */
export async function login(duplex: Duplex, options: LoginOptions): Promise<LoggedIn> {
  const deadline = deadlineIn(options.timeoutMs, 'answer to the login', options.address);
  const exchange: Exchange = { deadline, leftBytes: MAX_LOGIN_BYTES };
  duplex.write(encodeFirst({ type: 'StartupMessage', protocolVersion: PROTOCOL_3_0, parameters: startup(options) }));
  const unrecognizedOptions = await authenticate(duplex, options, exchange);
  const parameters = new Map<string, string>();
  let backendKey: BackendKey | undefined;
  for (let left = MAX_LOGIN_MESSAGES; left > 0; left--) {
    const message = await nextMessage(duplex, exchange);
    switch (message.type) {
      case 'ParameterStatus':
        parameters.set(message.name, message.value);
        break;
      case 'BackendKeyData':
        backendKey = { pid: message.pid, secret: Buffer.from(message.secret) };
        break;
      case 'NegotiateProtocolVersion':
        unrecognizedOptions.push(...message.unrecognizedOptions);
        break;
      case 'ReadyForQuery':
        return { parameters, backendKey, txStatus: message.txStatus, unrecognizedOptions };
      default:
        throw unexpected(message);
    }
  }
  throw new TeleportError('Protocol', `the database server was not ready after ${MAX_LOGIN_MESSAGES} messages`);
}

/**
 * Ask a server for TLS and read its answer of one byte.
 *
 * @returns true: start the TLS handshake on the Duplex now; false: the server has no TLS
 * @throws TeleportError 'Protocol' for any other answer, and for bytes behind an `S`: those would be taken for the
 * server's words under TLS, though anyone on the way can write them (CVE-2021-23222)
 */
export async function requestTls(duplex: Duplex, options: AskOptions = {}): Promise<boolean> {
  duplex.write(encodeFirst({ type: 'SSLRequest' }));
  const deadline = deadlineIn(options.timeoutMs, 'answer to the SSLRequest', options.address);
  const answer = (await readExactly(duplex, 1, deadline)).readUInt8(0);
  if (answer === 0x4e) return false;
  if (answer !== 0x53) throw new TeleportError('Protocol', 'the database server did not understand the SSLRequest');
  if (duplex.readableLength > 0) throw new TeleportError('Protocol', 'unencrypted bytes before the TLS handshake');
  return true;
}

/**
 * Cancel the running statement of another connection: send the request on a connection of its own, wait until the server
 * closes it. A server never says whether there was anything to cancel.
 *
 * @throws TeleportError 'ConnectionProblem' when the server does not close in time
 */
export async function cancel(duplex: Duplex, key: BackendKey, options: AskOptions = {}): Promise<void> {
  duplex.write(encodeFirst({ type: 'CancelRequest', pid: key.pid, secret: key.secret }));
  try {
    await closed(duplex, options);
  } finally {
    duplex.destroy();
  }
}

/** MD5 as the manual defines it: md5(md5(password + user) + salt), both as hex, with `md5` in front. */
export function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5').update(password).update(user).digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

function startup(options: LoginOptions): Map<string, string> {
  const parameters = new Map([['user', options.user]]);
  if (options.database !== undefined) parameters.set('database', options.database);
  for (const [name, value] of options.parameters ?? []) {
    if (name !== 'user' && (name !== 'database' || options.database === undefined)) parameters.set(name, value);
  }
  return parameters;
}

/** As far as AuthenticationOk. */
async function authenticate(duplex: Duplex, options: LoginOptions, exchange: Exchange): Promise<string[]> {
  const unrecognizedOptions: string[] = [];
  let scram: ScramExchange | undefined;
  let isServerProven = true;
  for (let left = MAX_LOGIN_MESSAGES; left > 0; left--) {
    const message = await nextMessage(duplex, exchange);
    switch (message.type) {
      case 'AuthenticationOk':
        if (!isServerProven) throw unexpected(message);
        return unrecognizedOptions;
      case 'AuthenticationCleartextPassword':
        duplex.write(encodeFrontend({ type: 'PasswordMessage', password: await passwordOf(options) }));
        break;
      case 'AuthenticationMD5Password': {
        const password = md5Password(options.user, await passwordOf(options), message.salt);
        duplex.write(encodeFrontend({ type: 'PasswordMessage', password }));
        break;
      }
      case 'AuthenticationSASL':
        if (scram) throw unexpected(message);
        if (!message.mechanisms.includes(SCRAM_SHA_256)) throw unsupported(message.mechanisms.join(', '));
        scram = startScram(await passwordOf(options));
        isServerProven = false;
        duplex.write(encodeFrontend({ type: 'SASLInitialResponse', mechanism: SCRAM_SHA_256, data: scram.first }));
        break;
      case 'AuthenticationSASLContinue':
        if (!scram || isServerProven) throw unexpected(message);
        duplex.write(encodeFrontend({ type: 'SASLResponse', data: await scram.respond(message.data) }));
        break;
      case 'AuthenticationSASLFinal':
        if (!scram || isServerProven) throw unexpected(message);
        scram.verify(message.data);
        isServerProven = true;
        break;
      case 'AuthenticationKerberosV5':
      case 'AuthenticationGSS':
      case 'AuthenticationSSPI':
        throw unsupported(message.type.replace('Authentication', ''));
      case 'NegotiateProtocolVersion':
        unrecognizedOptions.push(...message.unrecognizedOptions);
        break;
      default:
        throw unexpected(message);
    }
  }
  throw new TeleportError('Protocol', `the database server was not content after ${MAX_LOGIN_MESSAGES} messages`);
}

/** The next message that is not a notice; an ErrorResponse is thrown. */
async function nextMessage(duplex: Duplex, exchange: Exchange): Promise<BackendMessage> {
  for (let left = MAX_LOGIN_MESSAGES; left > 0; left--) {
    const { tag, body } = await readMessage(duplex, exchange);
    exchange.leftBytes -= body.length;
    if (exchange.leftBytes < 0) {
      throw new TeleportError(
        'Protocol',
        `the database server said more than ${MAX_LOGIN_BYTES} bytes during the login`,
      );
    }
    const message = decodeBackend(tag, body);
    if (message.type === 'ErrorResponse') throw new ServerError(message.fields, body);
    if (message.type !== 'NoticeResponse') return message;
  }
  throw new TeleportError('Protocol', 'the database server sends nothing but notices');
}

async function passwordOf(options: LoginOptions): Promise<string> {
  if (options.password) return await options.password();
  throw new TeleportError('AccessDenied', `the database server asks for a password of ${options.user}, there is none`);
}

function unsupported(method: string): TeleportError {
  return new TeleportError('NotImplemented', `the database server asks for authentication by ${method}`, {
    hint: 'Let the server ask for a password, MD5 or SCRAM-SHA-256.',
  });
}

function unexpected(message: BackendMessage): TeleportError {
  return new TeleportError('Protocol', `the database server sent ${message.type} out of turn during the login`);
}

async function closed(duplex: Duplex, { timeoutMs = DEFAULT_TIMEOUT_MS, address }: AskOptions): Promise<void> {
  if (duplex.destroyed || duplex.readableEnded) return;
  const end = new Promise<void>((resolve) => {
    // A reset is an answer too: the server was done with us.
    duplex
      .on('error', () => resolve())
      .once('end', resolve)
      .once('close', resolve)
      .resume();
  });
  const late = () => new TimedOut('answer to the CancelRequest', timeoutMs, address === undefined ? {} : { address });
  await inTime(end, timeoutMs, late);
}
