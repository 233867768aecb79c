/** Tests: src/pg/server-error.ts. */
import { ERROR_CODES, TeleportError } from '../../src/errors.js';
import { decodeBackend } from '../../src/pg/decode.js';
import { encodeBackend } from '../../src/pg/encode.js';
import { isServerError, ServerError } from '../../src/pg/server-error.js';
import { encodeError, errorResponse, SessionEnd, SQLSTATES, shutdownEnd } from '../../src/pg/sqlstate.js';

test('our own errors say FATAL, a SQLSTATE, the message and the hint', () => {
  const error = new TeleportError('NotFound', 'database "x" not found', { hint: 'Run `tsh db ls`.' });
  expect(errorResponse(error).fields).toEqual([
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', '3D000'],
    ['M', 'database "x" not found'],
    ['H', 'Run `tsh db ls`.'],
  ]);
});

test('F9 whatever is refused or ended has the severity in both fields, for psql and for programs', () => {
  const ends = [new SessionEnd('57P05', 'due to idle-session timeout'), shutdownEnd('Again.')];
  for (const error of [...ERROR_CODES.map((code) => new TeleportError(code, 'm')), ...ends, new Error('x')]) {
    expect(errorResponse(error).fields.slice(0, 2)).toEqual([
      ['S', 'FATAL'],
      ['V', 'FATAL'],
    ]);
  }
});

test('F9 an end of ours has the SQLSTATE of its own and begins as a server begins', () => {
  expect(new Map(errorResponse(new SessionEnd('57P01', 'a lock')).fields)).toEqual(
    new Map([
      ['S', 'FATAL'],
      ['V', 'FATAL'],
      ['C', '57P01'],
      ['M', 'terminating connection: a lock'],
    ]),
  );
  expect(new Map(errorResponse(shutdownEnd('Again.')).fields).get('M')).toBe(
    'terminating connection due to administrator command',
  );
});

test('an error that is not ours is internal and says nothing more', () => {
  expect(errorResponse(new Error('secret')).fields).toEqual([
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', 'XX000'],
    ['M', 'internal error'],
  ]);
  expect(errorResponse(new TeleportError('Protocol', 'a\0b')).fields.at(-1)).toEqual(['M', 'a\\0b']);
});

test('what a server said goes on byte by byte, known and unknown fields alike', () => {
  const body = Buffer.from('SFEHLER\0VERROR\0C28P01\0Mno \xe4\0Hhint\0?new\0\0', 'latin1');
  const message = decodeBackend(0x45, body);
  if (message.type !== 'ErrorResponse') throw new Error(message.type);
  const error = new ServerError(message.fields, body);
  expect(error).toMatchObject({ severity: 'ERROR', sqlState: '28P01', hint: 'hint', code: 'AccessDenied' });
  expect(isServerError(error, '28P01')).toBe(true);
  expect(isServerError(error, '28000')).toBe(false);
  expect(encodeError(error).subarray(5)).toEqual(body);
});

test('every code has a SQLSTATE, and a server that sends it back is understood as the same code', () => {
  for (const code of ERROR_CODES) {
    const body = encodeBackend(errorResponse(new TeleportError(code, 'm'))).subarray(5);
    const message = decodeBackend(0x45, body);
    if (message.type !== 'ErrorResponse') throw new Error(message.type);
    expect(new ServerError(message.fields, body)).toMatchObject({ code, sqlState: SQLSTATES[code] });
  }
});
