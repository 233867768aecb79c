/**
 * Decoders and encoders against each other and against arbitrary bytes.
 * Tests: src/pg/buffer.ts, src/pg/decode.ts, src/pg/encode.ts, src/pg/startup.ts
 */

import fc from 'fast-check';
import { type ErrorCode, isTeleportError } from '../../src/errors.js';
import { decodeBackend, decodeFrontend } from '../../src/pg/decode.js';
import { encodeBackend, encodeFrontend } from '../../src/pg/encode.js';
import type { BackendMessage, FrontendMessage, PasswordMeaning } from '../../src/pg/messages.js';
import { decodeFirst, encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => value.replaceAll('\0', ''));
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value));
const value = fc.option(bytes, { nil: null });
const int16 = fc.integer({ min: -0x8000, max: 0x7fff });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const oid = fc.integer({ min: 0, max: 0xffff_ffff });
const target = fc.constantFrom('S' as const, 'P' as const);
const is = <T extends string>(type: T) => fc.constant(type);
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 5 });
const letter = fc.constantFrom(...'SVCMDHPpqWstcdnFLR').map(String);
const errorFields = list(fc.tuple(letter, text));

const frontend: fc.Arbitrary<FrontendMessage> = fc.oneof(
  fc.record({
    type: is('Bind'),
    portal: text,
    statement: text,
    parameterFormats: list(int16),
    parameters: list(value),
    resultFormats: list(int16),
  }),
  fc.record({ type: is('Close'), target, name: text }),
  fc.record({ type: is('Describe'), target, name: text }),
  fc.record({ type: is('CopyData'), data: bytes }),
  fc.record({ type: is('CopyFail'), message: text }),
  fc.record({ type: is('Execute'), portal: text, maxRows: int32 }),
  fc.record({
    type: is('FunctionCall'),
    functionOid: oid,
    argumentFormats: list(int16),
    arguments: list(value),
    resultFormat: int16,
  }),
  fc.record({ type: is('Parse'), statement: text, query: text, parameterTypes: list(oid) }),
  fc.record({ type: is('Query'), query: text }),
  fc.record({ type: is('PasswordMessage'), password: text }),
  fc.record({ type: is('SASLInitialResponse'), mechanism: text, data: value }),
  fc.record({ type: is('SASLResponse'), data: bytes }),
  fc.constantFrom<FrontendMessage>({ type: 'CopyDone' }, { type: 'Flush' }, { type: 'Sync' }, { type: 'Terminate' }),
);

const secret = fc.uint8Array({ minLength: 4, maxLength: 256 }).map((one) => Buffer.from(one));
const copy = { format: fc.constantFrom(0, 1), columnFormats: list(int16) };
const backend: fc.Arbitrary<BackendMessage> = fc.oneof(
  fc.record({
    type: is('AuthenticationMD5Password'),
    salt: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((one) => Buffer.from(one)),
  }),
  fc.record({ type: is('AuthenticationSASL'), mechanisms: list(text.filter((name) => name !== '')) }),
  fc.record({ type: is('AuthenticationSASLContinue'), data: bytes }),
  fc.record({ type: is('AuthenticationSASLFinal'), data: bytes }),
  fc.record({ type: is('BackendKeyData'), pid: int32, secret }),
  fc.record({ type: is('CommandComplete'), commandTag: text }),
  fc.record({ type: is('CopyInResponse'), ...copy }),
  fc.record({ type: is('CopyOutResponse'), ...copy }),
  fc.record({ type: is('CopyBothResponse'), ...copy }),
  fc.record({ type: is('DataRow'), values: list(value) }),
  fc.record({ type: is('ErrorResponse'), fields: errorFields }),
  fc.record({ type: is('NoticeResponse'), fields: errorFields }),
  fc.record({ type: is('FunctionCallResponse'), value }),
  fc.record({ type: is('NegotiateProtocolVersion'), newestVersion: int32, unrecognizedOptions: list(text) }),
  fc.record({ type: is('NotificationResponse'), pid: int32, channel: text, payload: text }),
  fc.record({ type: is('ParameterDescription'), typeOids: list(oid) }),
  fc.record({ type: is('ParameterStatus'), name: text, value: text }),
  fc.record({ type: is('ReadyForQuery'), txStatus: fc.constantFrom('I' as const, 'T' as const, 'E' as const) }),
  fc.record({
    type: is('RowDescription'),
    fields: list(
      fc.record({
        name: text,
        tableOid: oid,
        column: int16,
        typeOid: oid,
        typeSize: int16,
        typeModifier: int32,
        format: int16,
      }),
    ),
  }),
  fc.constantFrom<BackendMessage>(
    { type: 'AuthenticationOk' },
    { type: 'AuthenticationKerberosV5' },
    { type: 'AuthenticationCleartextPassword' },
    { type: 'AuthenticationGSS' },
    { type: 'AuthenticationSSPI' },
    { type: 'BindComplete' },
    { type: 'CloseComplete' },
    { type: 'CopyDone' },
    { type: 'EmptyQueryResponse' },
    { type: 'NoData' },
    { type: 'ParseComplete' },
    { type: 'PortalSuspended' },
  ),
);

const isLengthTrue = (packet: Buffer) => packet.readUInt32BE(1) === packet.length - 1;

test('every frontend message comes back from its bytes', () => {
  fc.assert(
    fc.property(frontend, (message) => {
      const packet = encodeFrontend(message);
      expect(isLengthTrue(packet)).toBe(true);
      const meaning = packet[0] === 0x70 ? (message.type as PasswordMeaning) : undefined;
      expect(decodeFrontend(packet[0]!, packet.subarray(5), meaning)).toEqual(message);
    }),
  );
});

test('every backend message comes back from its bytes', () => {
  fc.assert(
    fc.property(backend, (message) => {
      const packet = encodeBackend(message);
      expect(isLengthTrue(packet)).toBe(true);
      expect(decodeBackend(packet[0]!, packet.subarray(5))).toEqual(message);
    }),
    { numRuns: 300 },
  );
});

test('arbitrary bytes decode or end in Protocol, and what decodes was used to its last byte', () => {
  const onlyProtocol = (act: () => unknown, other?: ErrorCode) => {
    try {
      act();
    } catch (error) {
      if (!isTeleportError(error, 'Protocol') && !(other && isTeleportError(error, other))) throw error;
    }
  };
  const small = fc.uint8Array({ maxLength: 60 }).map((one) => Buffer.from(one));
  const zeros = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 65, 255), { maxLength: 60 }).map((one) => Buffer.from(one));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 255 }), fc.oneof(small, zeros), (tag, body) => {
      onlyProtocol(() => decodeBackend(tag, body));
      for (const meaning of ['PasswordMessage', 'SASLInitialResponse', 'SASLResponse', 'GSSResponse'] as const) {
        onlyProtocol(() => decodeFrontend(tag, body, meaning));
      }
      // Where a version stands, any number may be one that we do not speak.
      onlyProtocol(() => decodeFirst(body), 'NotImplemented');
      const packet = Buffer.alloc(4 + body.length);
      packet.writeUInt32BE(packet.length);
      body.copy(packet, 4);
      onlyProtocol(() => decodeFirst(packet), 'NotImplemented');
    }),
    { numRuns: 3000 },
  );
});

test('startup packets come back from their bytes', () => {
  const parameters = fc
    .array(
      fc.tuple(
        text.filter((name) => name !== ''),
        text,
      ),
      { maxLength: 5 },
    )
    .map((pairs) => new Map(pairs));
  fc.assert(
    fc.property(parameters, int32, secret, (map, pid, key) => {
      const startup = { type: 'StartupMessage' as const, protocolVersion: PROTOCOL_3_0, parameters: map };
      expect(decodeFirst(encodeFirst(startup))).toEqual(startup);
      const cancel = { type: 'CancelRequest' as const, pid, secret: key };
      expect(decodeFirst(encodeFirst(cancel))).toEqual(cancel);
    }),
  );
});

test('a zero byte in a startup parameter is refused by name, without its value', () => {
  const parameters = new Map([['database', 'dev\0user\0admin']]);
  const act = () => encodeFirst({ type: 'StartupMessage', protocolVersion: PROTOCOL_3_0, parameters });
  expect(act).toThrow('startup parameter database contains a zero byte');
  expect(act).not.toThrow('admin');
});

test('protocol 2, an overlong packet and a cancel key of 257 bytes are refused', () => {
  expect(() => decodeFirst(Buffer.from('0000000900020000' + '00', 'hex'))).toThrow('unsupported frontend protocol 2.0');
  expect(() => decodeFirst(Buffer.from('7fffffff00030000' + '00', 'hex'))).toThrow('allowed are 8 to 10000');
  const long = encodeFirst({ type: 'CancelRequest', pid: 1, secret: Buffer.alloc(257) });
  expect(() => decodeFirst(long)).toThrow('a cancel key of 257 bytes');
  const parameters = new Map([['user', 'x'.repeat(10_000)]]);
  expect(() => encodeFirst({ type: 'StartupMessage', protocolVersion: PROTOCOL_3_0, parameters })).toThrow(
    expect.objectContaining({ code: 'LimitExceeded' }),
  );
});
