/**
 * X17: where a connection comes from is what TCP says, or what a Proxy of this cluster has signed.
 * Tests: src/identity/signed-address.ts
 */
import { createPrivateKey, randomUUID } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { clientAddress } from '../../src/auth/client-address.js';
import { proofOfAddress } from '../../src/identity/signed-address.js';
import { encodeProxyHeader } from '../../src/net/proxy-protocol.js';
import { certificateDer } from '../../src/pki/certificate.js';
import { CLUSTER, makeAuthorities } from '../proxy/test-proxy.js';

const authorities = makeAuthorities();
const strangers = makeAuthorities();
const NOW = new Date();
const trust = { timeoutMs: 1_000, hostCas: [authorities.hostCa.certPem], clusterName: CLUSTER, now: NOW };

function signer(role: 'Proxy' | 'Db', { by = authorities, now = NOW, via = '' } = {}) {
  const { certPem, keyPem } = by.host(role, randomUUID());
  const key = createPrivateKey(keyPem);
  return (addresses: Buffer) => proofOfAddress(addresses, { certificateDer: certificateDer(certPem), key, now, via });
}

/** A connection from `from` whose first bytes state a person at `stated`. */
function dialled(from: string, stated: string, prove?: (addresses: Buffer) => Buffer) {
  const socket = Object.assign(new PassThrough(), { remoteAddress: from, remotePort: 9 });
  socket.write(encodeProxyHeader({ address: stated, port: 4711 }, { address: '127.0.0.1', port: 3025 }, prove));
  socket.end('hello');
  return socket;
}

test.each([
  ['127.0.0.1', '2001:db8::1', '[2001:db8::1]:4711'],
  ['192.0.2.1', '2001:0DB8:0:0::0:1', '[2001:db8::1]:4711'],
  ['::1', '::1', '[::1]:4711'],
  ['2001:db8::9', '203.0.113.7', '203.0.113.7:4711'],
  ['::ffff:127.0.0.1', '::ffff:203.0.113.7', '203.0.113.7:4711'],
])('H1 a Proxy at %s that states and signs %s: %s', async (from, stated, expected) => {
  const socket = dialled(from, stated, signer('Proxy'));
  expect(await clientAddress(socket, trust)).toMatchObject({ address: expected, statedBy: { role: 'Proxy' } });
  expect((await socket.toArray()).join('')).toBe('hello');
});

test('R-A-L2 the Proxy signs through which root it came, and nobody else can say another', async () => {
  const through = signer('Proxy', { via: 'root.example.com' });
  const stated = await clientAddress(dialled('192.0.2.1', '203.0.113.7', through), trust);
  expect(stated).toMatchObject({ address: '203.0.113.7:4711', via: 'root.example.com' });
  const forged = (addresses: Buffer) => {
    const proof = through(addresses);
    proof[proof.indexOf('root.example.com')] = 0x74;
    return proof;
  };
  await expect(clientAddress(dialled('192.0.2.1', '203.0.113.7', forged), trust)).rejects.toThrow('a wrong signature');
});

test('without a header it is the end of the connection', async () => {
  const socket = Object.assign(new PassThrough(), { remoteAddress: '::ffff:192.0.2.1', remotePort: 9 });
  socket.end(Buffer.of(0x16, 3, 1));
  expect(await clientAddress(socket, trust)).toEqual({ address: '192.0.2.1:9' });
});

const old = (minutes: number) => ({ now: new Date(NOW.getTime() - minutes * 60_000) });
const forged = (addresses: Buffer) => {
  const other = Buffer.from(addresses);
  other[0]! ^= 1;
  return signer('Proxy')(other);
};

test.each<[string, ((addresses: Buffer) => Buffer) | undefined, RegExp]>([
  ['nobody', undefined, /no Proxy of this cluster has signed/],
  ['a Database Service', signer('Db'), /is not signed by a Proxy/],
  ['a Proxy of another cluster', signer('Proxy', { by: strangers }), /certificate/],
  ['a Proxy, ten minutes ago', signer('Proxy', old(10)), /was signed at another time/],
  ['a Proxy, ten minutes ahead', signer('Proxy', old(-10)), /was signed at another time/],
  ['a Proxy, for another address', forged, /has a wrong signature/],
  ['half a proof', (addresses) => signer('Proxy')(addresses).subarray(0, 200), /cut off/],
  ['no proof at all', () => Buffer.alloc(0), /cut off/],
])('X17 a PROXY header signed by %s is refused, from this machine too', async (_, prove, why) => {
  for (const from of ['127.0.0.1', '::1', '192.0.2.1', '']) {
    await expect(clientAddress(dialled(from, '203.0.113.7', prove), trust)).rejects.toThrow(why);
  }
});
