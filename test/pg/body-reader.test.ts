import { expect, test } from '@jest/globals';
import { BodyReader, type BodyScript } from '../../src/pg/body-reader.js';

function* script(): BodyScript<unknown[]> {
  const passed: string[] = [];
  const name = yield { text: 5 };
  const none = yield { exactly: 0 };
  yield { pass: 0, each: () => passed.push('never') };
  const number = yield { exactly: 2 };
  yield { pass: 3, each: (piece) => passed.push(piece.toString()) };
  yield { passText: (piece) => passed.push(piece.toString()) };
  return [name.toString(), none.length, number.readUInt16BE(), passed.join('')];
}

const BODY = Buffer.from('name\0\x01\x02abctext\0', 'latin1');

test.each([1, 2, 3, 5, 100])('a body in pieces of %d bytes is what its script makes of it', (size) => {
  const reader = new BodyReader(script(), 'x');
  for (let at = 0; at < BODY.length; at += size) reader.push(BODY.subarray(at, at + size));
  expect(reader.end()).toEqual(['name', 0, 258, 'abctext']);
});

test('too little, too much and a name that is too long are refused', () => {
  const of = (bytes: Buffer) => {
    const reader = new BodyReader(script(), "'B' (9 bytes)");
    reader.push(bytes);
    return reader.end();
  };
  expect(() => of(BODY.subarray(0, -1))).toThrow("PostgreSQL message 'B' (9 bytes): it ends within a field");
  expect(() => of(Buffer.concat([BODY, Buffer.from('xy')]))).toThrow('2 bytes too many');
  expect(() => of(Buffer.from('naaame\0'))).toThrow(expect.objectContaining({ sqlState: '54000' }));
  expect(() => of(Buffer.from('naaame'))).toThrow('a name of more than 5 bytes');
});
