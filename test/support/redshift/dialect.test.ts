/** The client's messages on their way to the server: whole, cut anywhere, and long ones. */
import { buffer } from 'node:stream/consumers';
import { dialectStream } from './dialect.js';

function message(tag: string, body: string): Buffer {
  const head = Buffer.alloc(5);
  head.write(tag);
  head.writeUInt32BE(4 + Buffer.byteLength(body), 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

const BEFORE = [
  message('Q', 'create user a password disable\0'),
  message('d', 'grant role "A"\0'),
  message('P', 'grant role\0grant role a to b\0\0\0'),
  message('S', ''),
  message('Q', 'savepoint a\0'),
];
const AFTER = [
  message('Q', 'create user a PASSWORD NULL\0'),
  BEFORE[1]!,
  message('P', 'grant role\0GRANT a to b\0\0\0'),
  BEFORE[3]!,
  message('Q', 'CHECKPOINT savepoint\0'),
];

test.each([1, 2, 7, 1000])('messages in pieces of %i bytes are translated, and others pass', async (size) => {
  const sent = Buffer.concat(BEFORE);
  const refused: string[] = [];
  const stream = dialectStream(({ sql }) => refused.push(sql));
  const received = buffer(stream);
  for (let at = 0; at < sent.length; at += size) stream.write(sent.subarray(at, at + size));
  stream.end();
  expect((await received).toString('latin1')).toBe(Buffer.concat(AFTER).toString('latin1'));
  expect(refused).toEqual(['savepoint a']);
});

test('what has begun to arrive of a message that passes goes on at once', async () => {
  const stream = dialectStream(() => {});
  stream.write(message('d', 'x'.repeat(100)).subarray(0, 50));
  expect((stream.read() as Buffer).length).toBe(50);
});

test('a statement of many pieces is put together once', async () => {
  const text = `select '${'x'.repeat(30_000_000)}'\0`;
  const sent = message('Q', text);
  const stream = dialectStream(() => {});
  const received = buffer(stream);
  for (let at = 0; at < sent.length; at += 16_384) stream.write(sent.subarray(at, at + 16_384));
  stream.end();
  expect((await received).equals(sent)).toBe(true);
});
