/**
 * The server's end of the PostgreSQL protocol, as much as a Redshift double needs, and a trusted login to the server behind it.
 *
 * Written from the PostgreSQL manual ("Frontend/Backend Protocol": "Message Flow", "Message Formats") and from nothing in
 * `src`: what the programs encode wrongly must not be read here by the same mistake.
 */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';

/** The second word of a first packet. Source: manual, "Message Formats". */
const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;
const GSSENC_REQUEST = 80_877_104;
const PROTOCOL_3_0 = 196_608;
/** Longest first packet of PostgreSQL (`MAX_STARTUP_PACKET_LENGTH`). */
const MAX_FIRST_BYTES = 10_000;
/** More than any login message has. */
const MAX_LOGIN_BYTES = 1_000_000;

export interface Startup {
  kind: 'startup';
  /** Major version in the upper half, minor in the lower. */
  version: number;
  /** As sent, `user` and `database` among them. */
  parameters: Map<string, string>;
}

export interface Opening {
  first: Startup | { kind: 'cancel'; packet: Buffer };
  /** The connection, inside TLS where the client asked for it. */
  duplex: Duplex;
  isTls: boolean;
}

export interface Message {
  /** One letter. */
  tag: string;
  body: Buffer;
  /** The whole message. */
  packet: Buffer;
}

export interface Hello {
  /** ParameterStatus of the server. */
  parameters: Map<string, string>;
  /** Body of BackendKeyData: 4 bytes process, the rest the secret. */
  key: Buffer;
  /** `I`, `T` or `E`. */
  status: string;
}

/** An ErrorResponse of the server behind. */
export class Refused extends Error {
  readonly sqlState: string;
  readonly packet: Buffer;

  constructor(message: Message) {
    const fields = new Map(strings(message.body).map((field) => [field.slice(0, 1), field.slice(1)]));
    super(fields.get('M'));
    this.sqlState = fields.get('C') ?? '';
    this.packet = message.packet;
  }
}

/** Reads a client's first packets: TLS is made by `upgrade` when it asks, encryption by GSS is turned down. */
export async function openClient(socket: Duplex, upgrade: () => Promise<Duplex>): Promise<Opening> {
  let duplex = socket;
  let isTls = false;
  for (;;) {
    const length = await read(duplex, 4);
    const size = length.readInt32BE(0);
    if (size < 8 || size > MAX_FIRST_BYTES) throw new Error(`a first packet of ${size} bytes`);
    const rest = await read(duplex, size - 4);
    const code = rest.readInt32BE(0);
    if (code === SSL_REQUEST && !isTls) {
      if (duplex.readableLength > 0) throw new Error('bytes before the TLS handshake');
      duplex.write('S');
      duplex = await upgrade();
      isTls = true;
    } else if (code === GSSENC_REQUEST) {
      duplex.write('N');
    } else if (code === CANCEL_REQUEST) {
      return { first: { kind: 'cancel', packet: Buffer.concat([length, rest]) }, duplex, isTls };
    } else if (code >>> 16 === 3) {
      return { first: { kind: 'startup', version: code, parameters: pairs(rest.subarray(4)) }, duplex, isTls };
    } else {
      throw new Error(`a first packet of kind ${code}`);
    }
  }
}

/** The next message with a type byte; what follows stays in the stream. */
export async function readMessage(duplex: Duplex): Promise<Message> {
  const header = await read(duplex, 5);
  const size = header.readInt32BE(1) - 4;
  if (size < 0 || size > MAX_LOGIN_BYTES) throw new Error(`a message of ${size} bytes`);
  const body = await read(duplex, size);
  return { tag: header.toString('latin1', 0, 1), body, packet: Buffer.concat([header, body]) };
}

/** The text of a PasswordMessage. */
export async function readPassword(duplex: Duplex): Promise<string> {
  const { tag, body } = await readMessage(duplex);
  if (tag !== 'p' || body.indexOf(0) !== body.length - 1) throw new Error('expected a password');
  return body.toString('utf8', 0, body.length - 1);
}

/** Logs in where nobody asks for a password. @throws Refused */
export async function enterTrusted(duplex: Duplex, parameters: Map<string, string>): Promise<Hello> {
  const words = [...parameters].flatMap(([name, value]) => [cstring(name), cstring(value)]);
  const body = Buffer.concat([int32(PROTOCOL_3_0), ...words, Buffer.of(0)]);
  duplex.write(Buffer.concat([int32(body.length + 4), body]));
  const hello: Hello = { parameters: new Map(), key: Buffer.alloc(0), status: 'I' };
  for (;;) {
    const message = await readMessage(duplex);
    const { tag, body: content } = message;
    if (tag === 'E') throw new Refused(message);
    if (tag === 'R' && content.readInt32BE(0) !== 0) throw new Error('the server behind wants a password');
    if (tag === 'S') {
      const [name = '', value = ''] = strings(content);
      hello.parameters.set(name, value);
    }
    if (tag === 'K') hello.key = content;
    if (tag === 'Z') return { ...hello, status: content.toString('latin1') };
  }
}

/** AuthenticationCleartextPassword, or AuthenticationMD5Password with a salt of 4 bytes. */
export function passwordRequest(salt?: Buffer): Buffer {
  return message('R', salt ? Buffer.concat([int32(5), salt]) : int32(3));
}

/** The answer to AuthenticationMD5Password: `md5` and the hex of md5(hex of md5(password, user), salt). */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const hash = (...parts: (string | Buffer)[]) =>
    createHash('md5')
      .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
      .digest('hex');
  return `md5${hash(hash(password, user), salt)}`;
}

/** From AuthenticationOk to ReadyForQuery. */
export function welcome(hello: Hello, startup: Startup): Buffer {
  return Buffer.concat([
    ...negotiation(startup),
    message('R', int32(0)),
    message('K', hello.key),
    ...[...hello.parameters].map(([name, value]) => message('S', cstring(name), cstring(value))),
    message('Z', Buffer.from(hello.status)),
  ]);
}

export function errorResponse(severity: 'FATAL' | 'ERROR', sqlState: string, text: string): Buffer {
  const fields = [`S${severity}`, `C${sqlState}`, `M${text}`].map(cstring);
  return message('E', ...fields, Buffer.of(0));
}

export function readyForQuery(status: string): Buffer {
  return message('Z', Buffer.from(status));
}

/**
 * NegotiateProtocolVersion for who asks for more than 3.0 or for options of the protocol.
 * The version is the whole word, as servers send it (`SendNegotiateProtocolVersion` of PostgreSQL 11 to 17).
 */
function negotiation({ version, parameters }: Startup): Buffer[] {
  const options = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  if (version === PROTOCOL_3_0 && options.length === 0) return [];
  return [message('v', int32(PROTOCOL_3_0), int32(options.length), ...options.map(cstring))];
}

function message(tag: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(tag), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeInt32BE(value);
  return word;
}

function cstring(text: string): Buffer {
  if (text.includes('\0')) throw new Error('a zero byte in a text');
  return Buffer.from(`${text}\0`);
}

/** Texts that end in a zero byte, up to an empty one or the end. */
function strings(bytes: Buffer): string[] {
  const texts = bytes.toString('utf8').split('\0');
  // Behind the last zero byte stands an empty piece; an ErrorResponse has one more.
  while (texts.at(-1) === '') texts.pop();
  return texts;
}

function pairs(bytes: Buffer): Map<string, string> {
  if (bytes.at(-1) !== 0) throw new Error('start-up parameters without an end');
  const words = bytes.toString('utf8').split('\0');
  const found = new Map<string, string>();
  for (let at = 0; words[at] !== undefined && words[at] !== ''; at += 2) found.set(words[at]!, words[at + 1] ?? '');
  return found;
}

/** Exactly `size` bytes; what follows stays in the stream. */
function read(duplex: Duplex, size: number): Promise<Buffer> {
  if (size === 0) return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const finish = (result: Buffer | Error) => {
      duplex.off('readable', look).off('end', gone).off('close', gone);
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const gone = () => finish(new Error('the connection ended'));
    const look = () => {
      const bytes = duplex.read(size) as Buffer | null;
      if (bytes) finish(bytes.length === size ? bytes : new Error('the connection ended in a message'));
    };
    duplex.on('readable', look).on('end', gone).on('close', gone);
    if (duplex.destroyed || duplex.readableEnded) gone();
    else look();
  });
}
