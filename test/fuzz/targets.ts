/**
 * The parsers that read what a stranger has sent, each with what must hold for every input: it is read, or refused by a
 * TeleportError; it is read alike however it is cut into chunks; what is written again is read as the same.
 */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { formatDurationNanos, parseDurationNanos } from '../../src/duration.js';
import { isTeleportError } from '../../src/errors.js';
import { fitsGlob } from '../../src/glob.js';
import { joinHostPort, parseHostPort } from '../../src/host-port.js';
import { decodeIdentity } from '../../src/identity/identity.js';
import { decodeIdentityFile } from '../../src/identity/identity-file.js';
import { canonicalIp } from '../../src/ip.js';
import { parseClientHello } from '../../src/net/client-hello.js';
import { decodeProxyHeader } from '../../src/net/proxy-protocol.js';
import { patternOf } from '../../src/pattern.js';
import { type AuditedStatement, StatementReader } from '../../src/pg/audit-text.js';
import { decodeBackend, decodeFrontend } from '../../src/pg/decode.js';
import { encodeBackend, encodeFrontend } from '../../src/pg/encode.js';
import { createScanner } from '../../src/pg/scan.js';
import { decodeFirst, encodeFirst } from '../../src/pg/startup.js';
import { readCsr } from '../../src/pki/csr.js';
import { decodePem } from '../../src/pki/pem.js';
import { readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { readAuthorizedKey } from '../../src/pki/ssh/key.js';
import { parseExpression } from '../../src/rbac/expression-parser.js';
import { compilePredicate } from '../../src/rbac/predicate.js';
import { helloOf } from '../../src/tunnel/hello.js';
import { createLineReader } from '../../src/tunnel/lines.js';

export type Target = (data: Buffer) => void;

/** What `read` gives; undefined where it refuses in our words. Anything else that it throws is a find. */
function refusedOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isTeleportError(error)) return undefined;
    throw error;
  }
}

/** What comes of `data` in chunks: each chunk's length is the byte before it. */
function inChunks<T>(data: Buffer, push: (chunk: Buffer) => void, seen: () => T): T | 'refused' {
  const done = refusedOr(() => {
    for (let at = 0; at < data.length; ) {
      const length = 1 + (data[at]! % 7);
      push(data.subarray(at, at + length));
      at += length;
    }
    return true;
  });
  return done ? seen() : 'refused';
}

function whole<T>(data: Buffer, push: (chunk: Buffer) => void, seen: () => T): T | 'refused' {
  const done = refusedOr(() => {
    push(data);
    return true;
  });
  return done ? seen() : 'refused';
}

/** Most bytes of a body that a scanner keeps here. */
const CAP = 64;

function scanned(side: 'frontend' | 'backend') {
  const found: string[] = [];
  const scanner = createScanner({
    side,
    wanted: () => CAP,
    onMessage: (tag, bodyBytes, body) => {
      found.push(`${tag} ${bodyBytes} ${body?.toString('hex')}`);
    },
  });
  return { push: (chunk: Buffer) => scanner.push(chunk), seen: () => ({ found, left: scanner.bytesLeft }) };
}

function scan(side: 'frontend' | 'backend'): Target {
  return (data) => {
    const [one, other] = [scanned(side), scanned(side)];
    deepStrictEqual(inChunks(data, one.push, one.seen), whole(data, other.push, other.seen));
  };
}

const text = (data: Buffer) => data.toString('utf8');

const IN_PIECES = new Set([...'QPBF'].map((letter) => letter.charCodeAt(0)));
const AUDITED = new Set([...IN_PIECES, ...[...'EC'].map((letter) => letter.charCodeAt(0))]);

/** The fields of the event; undefined where it is refused. */
function audited(tag: number, bodyBytes: number, pieces: Buffer[]): Record<string, unknown> | undefined {
  if (!AUDITED.has(tag)) return undefined;
  return refusedOr(() => {
    const found: AuditedStatement[] = [];
    const reader = new StatementReader({ onPart: () => {}, onStatement: (statement) => found.push(statement) });
    if (pieces.length === 1) reader.onMessage(tag, bodyBytes, pieces[0]);
    else for (const [n, piece] of pieces.entries()) reader.onPiece(tag, bodyBytes, piece, n === pieces.length - 1);
    return { type: found[0]!.type, ...found[0]!.fields };
  });
}

export const TARGETS: Readonly<Record<string, Target>> = {
  startup(data) {
    const message = refusedOr(() => decodeFirst(data));
    if (message) deepStrictEqual(decodeFirst(encodeFirst(message)), message);
  },

  frontend(data) {
    const [tag = 0, ...rest] = data;
    const body = Buffer.from(rest);
    const message = refusedOr(() => decodeFrontend(tag, body));
    const half = body.length >> 1;
    const whole = audited(tag, body.length, [body]);
    const inPieces = audited(tag, body.length, [body.subarray(0, half), body.subarray(half)]);
    if (IN_PIECES.has(tag)) {
      ok((whole === undefined) === (inPieces === undefined));
      // Of values in pieces more is said.
      if (inPieces) deepStrictEqual({ ...inPieces, ...whole }, inPieces);
    }
    if (!message) return;
    const again = encodeFrontend(message);
    deepStrictEqual(decodeFrontend(again[0]!, again.subarray(5)), message);
  },

  backend(data) {
    const [tag = 0, ...rest] = data;
    const message = refusedOr(() => decodeBackend(tag, Buffer.from(rest)));
    if (!message) return;
    const again = encodeBackend(message);
    deepStrictEqual(decodeBackend(again[0]!, again.subarray(5)), message);
  },

  'scan-frontend': scan('frontend'),
  'scan-backend': scan('backend'),

  'client-hello'(data) {
    const hello = refusedOr(() => parseClientHello(data));
    if (!hello?.complete) return;
    ok(hello.alpn.every((name) => name.length > 0));
    // Bytes behind it change nothing, and a part of it is never a whole one with other contents.
    deepStrictEqual(parseClientHello(Buffer.concat([data, Buffer.from('more')])), hello);
    const part = refusedOr(() => parseClientHello(data.subarray(0, data.length >> 1)));
    if (part?.complete) deepStrictEqual(part, hello);
  },

  'proxy-header'(data) {
    const header = refusedOr(() => decodeProxyHeader(data));
    if (!header) return;
    ok(header.length <= data.length);
    deepStrictEqual(decodeProxyHeader(data.subarray(0, header.length)), header);
    if (!header.source) return;
    const { address, port } = header.source;
    ok(canonicalIp(address) === address && port >= 0 && port <= 65_535);
  },

  'tunnel-lines'(data) {
    const read = () => {
      const found: unknown[] = [];
      const push = createLineReader(1024, (line) => {
        refusedOr(() => helloOf(line.hello ?? line));
        found.push(line);
      });
      return { push, seen: () => found };
    };
    const [one, other] = [read(), read()];
    const [cut, all] = [inChunks(data, one.push, one.seen), whole(data, other.push, other.seen)];
    // In one chunk an endless line is only met at its end.
    if (data.length <= 1024) deepStrictEqual(cut, all);
  },

  certificate: (data) => void refusedOr(() => decodeIdentity(data)),
  'ssh-certificate': (data) => void refusedOr(() => readSshCertificate(data)),
  'ssh-key': (data) => void refusedOr(() => readAuthorizedKey(text(data))),
  csr: (data) => void refusedOr(() => readCsr(text(data))),

  pem(data) {
    for (const { der } of refusedOr(() => decodePem(text(data))) ?? []) ok(der.length <= data.length);
  },

  'identity-file': (data) => void refusedOr(() => decodeIdentityFile(text(data))),
  expression: (data) => void refusedOr(() => parseExpression(text(data))),
  predicate: (data) => void refusedOr(() => compilePredicate(text(data))),

  pattern(data) {
    const [source = '', subject = ''] = text(data).split('\n', 2);
    refusedOr(() => patternOf(source))?.test(subject);
    fitsGlob(source, subject);
  },

  duration(data) {
    const nanos = refusedOr(() => parseDurationNanos(text(data)));
    if (nanos !== undefined) deepStrictEqual(parseDurationNanos(formatDurationNanos(nanos)), nanos);
  },

  address(data) {
    const found = parseHostPort(text(data), { host: 'default', port: 1 });
    if (found) deepStrictEqual(parseHostPort(joinHostPort(found.host, found.port)), found);
  },
};
