import { PassThrough } from 'node:stream';
import { decodeProxyHeader, encodeProxyHeader, takeProxyHeader } from '../../src/net/proxy-protocol.js';

test.each([
  ['203.0.113.7', '127.0.0.1', '203.0.113.7'],
  ['::1', '127.0.0.1', '::1'],
  ['2001:db8::1:0:5', '::1', '2001:db8::1:0:5'],
  ['::ffff:192.0.2.1', '127.0.0.1', '192.0.2.1'],
])('version 2 carries %s', (address, destination, read) => {
  const header = encodeProxyHeader({ address, port: 40_000 }, { address: destination, port: 3025 });
  expect(decodeProxyHeader(header)).toMatchObject({ source: { address: read, port: 40_000 }, length: header.length });
  expect(decodeProxyHeader(header)).not.toMatchObject({ proof: expect.anything() });
  for (let cut = 1; cut < header.length; cut++) expect(decodeProxyHeader(header.subarray(0, cut))).toBeUndefined();
});

test('X17 what proves the addresses is found among other values behind them', () => {
  const [source, destination] = [
    { address: '192.0.2.1', port: 5 },
    { address: '192.0.2.2', port: 6 },
  ];
  const seen: Buffer[] = [];
  const header = encodeProxyHeader(source, destination, (addresses) => {
    seen.push(addresses);
    return Buffer.from('proof');
  });
  expect(decodeProxyHeader(header)).toMatchObject({ addresses: seen[0], proof: Buffer.from('proof') });
  const before = Buffer.from('0200016e', 'hex');
  const both = Buffer.concat([header.subarray(0, 28), before, header.subarray(28)]);
  both.writeUInt16BE(header.readUInt16BE(14) + before.length, 14);
  expect(decodeProxyHeader(both)).toMatchObject({ addresses: seen[0], proof: Buffer.from('proof') });
  both.writeUInt16BE(0xffff, 29);
  expect(() => decodeProxyHeader(both)).toThrow('broken PROXY header');
});

test('version 1, LOCAL and UNKNOWN', () => {
  const line = Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\nrest');
  expect(decodeProxyHeader(line)).toEqual({ source: { address: '192.0.2.1', port: 5 }, length: line.length - 4 });
  expect(decodeProxyHeader(Buffer.from('PROXY UNKNOWN\r\n'))).toEqual({ source: undefined, length: 15 });
  const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
  expect(decodeProxyHeader(local)).toEqual({ source: undefined, length: 16 });
  expect(decodeProxyHeader(Buffer.from('160301', 'hex'))).toBeNull();
});

test.each(['PROXY TCP4 nonsense 1 2 3\r\n', `PROXY ${'x'.repeat(120)}`, 'PROXY TCP4 1.1.1.1 1.1.1.1 99999 1\r\n'])(
  '%j is refused',
  (text) => {
    expect(() => decodeProxyHeader(Buffer.from(text))).toThrow('broken PROXY header');
  },
);

test('the header is taken, what follows stays', async () => {
  const stream = new PassThrough();
  stream.write(encodeProxyHeader({ address: '192.0.2.1', port: 5 }, { address: '192.0.2.2', port: 6 }));
  stream.end('rest');
  const header = await takeProxyHeader(stream, { timeoutMs: 1_000 });
  expect(header?.source).toEqual({ address: '192.0.2.1', port: 5 });
  expect((await stream.toArray()).join('')).toBe('rest');
});
