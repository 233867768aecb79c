/**
 * What a client hears that asks for more than protocol 3.0. The bytes stand here as real servers send them, not as our
 * encoder makes them: PostgreSQL 15 as its source says (`SendNegotiateProtocolVersion` sends PG_PROTOCOL_LATEST, which
 * is
 * 3.0 up to version 17), PostgreSQL 18.4 as it was recorded.
 * Tests: src/pg/backend.ts, src/pg/startup.ts
 */
import { describe, expect, test } from '@jest/globals';
import { encodeReady, negotiation } from '../../src/pg/backend.js';
import { decodeBackend } from '../../src/pg/decode.js';
import { encodeBackend } from '../../src/pg/encode.js';
import { encodeError } from '../../src/pg/sqlstate.js';
import { decodeFirst, type StartupMessage } from '../../src/pg/startup.js';
import { errorFields, messagesOf, startupPacket } from '../support/pg-raw.js';

const USER = ['user', 'alice'] as const;
const options = (...names: string[]) => [USER, ...names.map((name) => [name, '1'] as const)];

/** Asked for, options that nobody knows, and the answer of PostgreSQL 15. */
const POSTGRES_15: [what: string, version: number, names: string[], answer: string][] = [
  ['3.0', 0x3_0000, [], ''],
  ['3.0 with an option', 0x3_0000, ['_pq_.foo'], '76 00000015 00030000 00000001 5f70715f2e666f6f00'],
  ['3.1', 0x3_0001, [], '76 0000000c 00030000 00000000'],
  ['3.2', 0x3_0002, [], '76 0000000c 00030000 00000000'],
  ['3.2 with an option', 0x3_0002, ['_pq_.foo'], '76 00000015 00030000 00000001 5f70715f2e666f6f00'],
  ['3.9', 0x3_0009, [], '76 0000000c 00030000 00000000'],
  [
    '3.9999 with two options',
    0x3_270f,
    ['_pq_.a', '_pq_.b'],
    '76 0000001a 00030000 00000002 5f70715f2e6100 5f70715f2e6200',
  ],
  ['3.65535', 0x3_ffff, [], '76 0000000c 00030000 00000000'],
];
const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('B2 a client that asks for more than protocol 3.0', () => {
  test.each(POSTGRES_15)('%s is answered as PostgreSQL 15 answers', (_, version, names, answer) => {
    const message = decodeFirst(startupPacket(version, options(...names))) as StartupMessage;
    const ready = encodeReady({ parameters: [], negotiate: negotiation(message) });
    const [first] = messagesOf(ready);
    if (answer === '') expect(first!.tag).toBe('R');
    else expect(first!.bytes.toString('hex')).toBe(bytes(answer).toString('hex'));
  });

  test.each([
    ['3.9', '76 0000000c 00030002 00000000', 0x3_0002, []],
    ['3.2 and an option', '76 00000015 00030002 00000001 5f70715f2e666f6f00', 0x3_0002, ['_pq_.foo']],
    ['3.0 and an option', '76 00000015 00030000 00000001 5f70715f2e666f6f00', 0x3_0000, ['_pq_.foo']],
  ])('what PostgreSQL 18 says to %s is read, and written back as it was', (_, hex, newestVersion, names) => {
    const message = decodeBackend(0x76, bytes(hex).subarray(5));
    expect(message).toEqual({ type: 'NegotiateProtocolVersion', newestVersion, unrecognizedOptions: names });
    expect(encodeBackend(message).toString('hex')).toBe(bytes(hex).toString('hex'));
  });

  test.each([
    ['4.0', 0x4_0000],
    ['2.0', 0x2_0000],
  ])('%s is refused in the words of a server, as a feature that is not there', (version, code) => {
    let refusal: unknown;
    try {
      decodeFirst(startupPacket(code, options()));
    } catch (error) {
      refusal = error;
    }
    const [said] = messagesOf(encodeError(refusal));
    expect(errorFields(said!)).toMatchObject({
      S: 'FATAL',
      V: 'FATAL',
      C: '0A000',
      M: `unsupported frontend protocol ${version}: server supports 3.0 to 3.0`,
    });
  });
});
