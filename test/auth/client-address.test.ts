import { PassThrough } from 'node:stream';
import { clientAddress } from '../../src/auth/client-address.js';
import { encodeProxyHeader } from '../../src/net/proxy-protocol.js';

/** A connection from `remoteAddress` whose first bytes state a person at `stated`. */
function dialled(remoteAddress: string, stated: string) {
  const socket = Object.assign(new PassThrough(), { remoteAddress, remotePort: 9 });
  socket.write(encodeProxyHeader({ address: stated, port: 4711 }, { address: remoteAddress, port: 3025 }));
  socket.end('hello');
  return socket;
}

test.each([
  ['127.0.0.1', '2001:db8::1', '[2001:db8::1]:4711'],
  ['127.0.0.1', '2001:0DB8:0:0::0:1', '[2001:db8::1]:4711'],
  ['127.8.9.10', '::1', '[::1]:4711'],
  ['::1', '203.0.113.7', '203.0.113.7:4711'],
  ['::1', '::ffff:203.0.113.7', '203.0.113.7:4711'],
  ['::ffff:127.0.0.1', '203.0.113.7', '203.0.113.7:4711'],
])('H1 a Proxy at %s that states %s: %s', async (from, stated, expected) => {
  const socket = dialled(from, stated);
  expect(await clientAddress(socket, { timeoutMs: 1_000 })).toBe(expected);
  expect((await socket.toArray()).join('')).toBe('hello');
});

test.each(['192.0.2.1', '10.0.0.1', '2001:db8::9', 'fe80::1', '::ffff:192.0.2.1', ''])(
  'H10 a PROXY header from %s is not believed, and stays for TLS to stumble over',
  async (from) => {
    const socket = dialled('127.0.0.1', '203.0.113.7');
    socket.remoteAddress = from;
    expect(await clientAddress(socket, { timeoutMs: 1_000 })).not.toContain('203.0.113.7');
    expect(
      Buffer.concat(await socket.toArray())
        .subarray(0, 4)
        .toString('hex'),
    ).toBe('0d0a0d0a');
  },
);
