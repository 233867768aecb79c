import { once } from 'node:events';
import { type Duplex, PassThrough } from 'node:stream';
import { silent } from '../../src/log.js';
import { Crowd } from '../../src/net/crowd.js';
import { encodeFirst } from '../../src/pg/startup.js';
import { certificateDer } from '../../src/pki/certificate.js';
import { MOST_TO_AUTH } from '../../src/proxy/leafs.js';
import { RootVisitors } from '../../src/proxy/root-visitors.js';
import { createTestCa } from '../support/ca.js';
import { destroySockets, pair } from '../tunnel/fake-agent.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';
const ca = createTestCa(ROOT);
const nobody = Buffer.alloc(0);

function certificateOf(name: string): Buffer {
  const subject = [
    { oid: '2.5.4.3', values: [name] },
    { oid: '2.5.4.10', values: ['access'] },
    { oid: '2.5.4.9', values: [LEAF] },
    { oid: '1.3.9999.2.1', values: ['sales'] },
  ];
  return certificateDer(ca.issue([], { subject }).cert);
}

/** A leaf with so much room, and what got through. */
function leaf(crowd: Crowd) {
  const toAuth: Duplex[] = [];
  let letIn = () => {};
  const visitors = new RootVisitors({
    clusterName: LEAF,
    authorities: {
      hostCaPems: [],
      userCaPems: [],
      remotes: [{ cluster: ROOT, hostCas: [], userCas: [ca.certPem] }],
      refresh: async () => false,
      close: async () => {},
    },
    tunnels: {
      open: async () => {
        letIn();
        return new PassThrough();
      },
      hostOf: () => 'h',
    },
    rights: { during: () => ({ [Symbol.dispose]() {} }), refusal: () => undefined },
    upstream: {
      forward: async (stream) => {
        toAuth.push(stream);
        letIn();
        await once(stream, 'close');
      },
    },
    crowd,
    now: () => new Date(),
    log: silent,
  });
  /** What the root hands over; resolves when it is let in or refused. */
  const come = async (certificate: Buffer, clientAddr: string, first?: Buffer) => {
    const [ours, theirs] = await pair();
    const heard: Buffer[] = [];
    theirs.on('data', (chunk: Buffer) => heard.push(chunk));
    if (first) theirs.write(first);
    const entered = new Promise<boolean>((resolve) => {
      letIn = () => resolve(true);
    });
    const served = visitors.serve(ROOT, ours, { certificateDer: certificate, clientAddr });
    theirs.once('end', () => theirs.end());
    const closed = new Promise<boolean>((resolve) => theirs.once('close', () => resolve(false)));
    const isIn = await Promise.race([entered, Promise.all([closed, served]).then(() => false)]);
    return { stream: ours, isIn, text: Buffer.concat(heard).toString() };
  };
  return { come, toAuth };
}

afterEach(destroySockets);

describe('R-A-M1 what comes through the tunnel of a root is counted at the leaf', () => {
  test('strangers have a bound, whatever address the root states for them', async () => {
    const crowd = new Crowd({ log: silent, descriptors: 4_000 });
    const { come, toAuth } = leaf(crowd);
    const first = await come(nobody, '192.0.2.1:5');
    expect(crowd.strangers).toBe(1);
    for (let at = 0; at < MOST_TO_AUTH + 5; at++) await come(nobody, `198.51.100.${at}:5`);
    expect(toAuth.filter(({ destroyed }) => !destroyed)).toHaveLength(MOST_TO_AUTH);
    expect(first.stream.destroyed).toBe(true);
    expect((await come(nobody, 'nowhere')).isIn).toBe(false);
  });

  test('people, by login: connection_limits holds for them, but not for what cancels a statement', async () => {
    const crowd = new Crowd({ log: silent, descriptors: 4_000, limits: { maxConnections: 2 } });
    const { come } = leaf(crowd);
    const [alice, bob] = [certificateOf('alice'), certificateOf('bob')];
    const startup = encodeFirst({
      type: 'StartupMessage',
      protocolVersion: 0x30000,
      parameters: new Map([['user', 'u']]),
    });
    for (let at = 0; at < 2; at++) expect((await come(alice, '192.0.2.1:5', startup)).isIn).toBe(true);
    const third = await come(alice, '192.0.2.1:5', startup);
    expect([third.isIn, third.text]).toEqual([
      false,
      expect.stringContaining('too many connections of user "remote-alice-root.example.com": 2 are open'),
    ]);
    expect((await come(bob, '192.0.2.1:5', startup)).isIn).toBe(true);
    const cancel = encodeFirst({ type: 'CancelRequest', pid: 1, secret: Buffer.alloc(4) });
    expect((await come(alice, '192.0.2.1:5', cancel)).isIn).toBe(true);
  });

  test('R-C-M4 where they come from is the root: no word of it spends the rate of a network here, or makes one familiar', async () => {
    const limits = { rates: [{ perMinute: 1, burst: 2 }] };
    const crowd = new Crowd({ log: silent, descriptors: 4_000, limits });
    const { come } = leaf(crowd);
    const office = '203.0.113.77';
    const [startup, alice] = [encodeFirst({ type: 'SSLRequest' }), certificateOf('alice')];
    for (let at = 0; at < 2; at++) expect((await come(alice, `${office}:5`, startup)).isIn).toBe(true);
    // The rate of the root is spent, whatever it states, and one of its people who was let in does not change that.
    expect((await come(alice, '203.0.113.78:5', startup)).isIn).toBe(false);
    expect((await come(nobody, '203.0.113.79:5')).isIn).toBe(false);
    const arrive = () => crowd.arrive(new PassThrough(), office)!.from(office);
    for (let at = 0; at < 2; at++) arrive();
    expect(arrive).toThrow('rate limit exceeded');
  });
});
