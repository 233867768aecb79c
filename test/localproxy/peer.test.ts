/** X13: whose program is at the other end of a loopback connection. Real sockets, and tables as the kernel prints them. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Ends, peerOf, tellsPeers } from '../../src/localproxy/peer.js';

const UID = process.geteuid?.() ?? 0;
const onLinux = tellsPeers(process.platform) ? describe : describe.skip;

onLinux('X13 as this kernel says', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  /** Both ends of a connection; `to` may be another spelling of where the server listens. */
  async function pair(at: string, to = at): Promise<{ client: Socket; accepted: Socket }> {
    server = createServer({ allowHalfOpen: true }).listen(0, at);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect(port, to);
    const [accepted] = (await once(server, 'connection')) as [Socket];
    return { client, accepted };
  }

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '::ffff:127.0.0.1'], // a program that knows both versions, such as Java
    ['::', '127.0.0.1'],
    ['::1', '::1'],
  ])('on %s from %s', async (at, to) => {
    const { client, accepted } = await pair(at, to);
    expect([peerOf(accepted, UID), peerOf(accepted, UID + 1)]).toEqual(['own', 'other']);
    client.destroy();
    accepted.destroy();
  });

  test('a client that has hung up is nobody any more, not root', async () => {
    const { client, accepted } = await pair('127.0.0.1');
    client.end('cancel');
    await once(accepted.resume(), 'end');
    expect([peerOf(accepted, UID), peerOf(accepted, 0)]).toEqual(['unknown', 'unknown']);
    accepted.destroy();
  });

  test('another connection to the same port is not taken for this one', async () => {
    const { client, accepted } = await pair('127.0.0.1');
    const { remoteAddress, remotePort, localAddress, localPort } = accepted;
    const other: Ends = { remoteAddress, remotePort: remotePort! ^ 1, localAddress, localPort };
    expect(peerOf(other, UID)).toBe('unknown');
    // Our own row has the two ends the other way round.
    expect(
      peerOf(
        { remoteAddress: localAddress, remotePort: localPort, localAddress: remoteAddress, localPort: remotePort },
        UID,
      ),
    ).toBe('own');
    client.destroy();
    accepted.destroy();
  });
});

describe('X13 a table', () => {
  const ENDS: Ends = { remoteAddress: '127.0.0.1', remotePort: 0xd431, localAddress: '127.0.0.1', localPort: 0x1538 };
  const row = (state: string, uid: number) =>
    `   5: 0100007F:D431 0100007F:1538 ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 913 1 ffff 20 4 1 10 -1\n`;
  const inIpv4 = (text: string) => (table: string) => (table.endsWith('tcp') ? text : '');

  test.each([
    ['established, of the user', row('01', 1000), 'own'],
    ['established, of another', row('01', 1001), 'other'],
    ['established, of root', row('01', 0), 'other'],
    ['half closed', row('05', 0), 'unknown'],
    ['in its last wait', row('06', 0), 'unknown'],
    ['only the other end of it', row('01', 1000).replace('D431', '1538').replace(':1538 01 ', ':D431 01 '), 'unknown'],
    ['not there', '', 'unknown'],
  ])('%s', (_, text, peer) => expect(peerOf(ENDS, 1000, inIpv4(text))).toBe(peer));

  test('a row that the first reading missed is found by the second', () => {
    let reads = 0;
    expect(peerOf(ENDS, 1000, (table) => (table.endsWith('tcp') && ++reads > 1 ? row('01', 1000) : ''))).toBe('own');
  });

  test('no table, and no address, is nobody', () => {
    expect(peerOf(ENDS, 1000, () => undefined)).toBe('unknown');
    expect(peerOf({}, 1000, inIpv4(row('01', 1000)))).toBe('unknown');
  });
});

test.each(['darwin', 'win32'] as const)('%s does not say', (platform) => expect(tellsPeers(platform)).toBe(false));
