/** Tests: src/tunnel/agent-line.ts, src/tunnel/hello.ts, src/tunnel/lines.ts, src/tunnel/spares.ts. */
import { Duplex } from 'node:stream';
import { silent } from '../../src/log.js';
import { serveControl } from '../../src/tunnel/agent-line.js';
import { helloOf } from '../../src/tunnel/hello.js';
import type { TunnelConnection, TunnelHello } from '../../src/tunnel/protocol.js';
import { TunnelRegistry } from '../../src/tunnel/registry.js';
import { destroySockets, dialIn, type FakeAgentOptions, offerTo, pair } from './fake-agent.js';

const USER = { certificateDer: Buffer.alloc(3000, 7), clientAddr: '192.0.2.1:5' };

let registry: TunnelRegistry;

beforeEach(() => {
  registry = new TunnelRegistry({ clusterName: 'c', log: silent, answerTimeoutMs: 60_000, random: () => 0.5 });
});
afterEach(async () => {
  await registry.close();
  destroySockets();
});

const offer = (hostId: string, onConnection: (stream: Duplex, connection: TunnelConnection) => void) =>
  offerTo(registry, hostId, onConnection);

/** An agent that dials a data connection whenever it is asked to. */
async function agent(
  hostId: string,
  databases: TunnelHello['databases'],
  onConnection: (stream: Duplex, connection: TunnelConnection) => void,
  {
    registry: accepting = registry,
    ...more
  }: Omit<FakeAgentOptions, 'onConnection'> & { registry?: TunnelRegistry } = {},
) {
  const line = await dialIn(accepting, hostId, { databases, onConnection, ...more });
  while (!accepting.agents().some((known) => known.hostId === hostId)) await accepting.changed();
  return line;
}

test('a data connection that offers itself twice is closed, and no client is put on it', async () => {
  const [ours, theirs] = await pair();
  registry.accept(theirs, { hostId: 'h' });
  const closed = new Promise((resolve) => theirs.once('close', resolve));
  ours.resume().write('{"spare": true}\n{"spare": true}\n');
  await closed;
});

test("an idle line lives as long as the Proxy's pings come, and no longer", async () => {
  const quick = new TunnelRegistry({ clusterName: 'c', log: silent, pingIntervalMs: 100 });
  // Forty pings are longer than the limit of silence: that it outlives this is what is asked.
  await new Promise<void>((resolve) => {
    let pings = 0;
    const onPing = () => {
      pings += 1;
      if (pings === 40) resolve();
    };
    void agent('idle', [], () => {}, { silenceTimeoutMs: 3_000, registry: quick, onPing });
  });
  expect(quick.agents()).toHaveLength(1);
  await quick.close();

  const mute = new TunnelRegistry({ clusterName: 'c', log: silent, pingIntervalMs: 60_000 });
  await agent('mute', [], () => {}, { silenceTimeoutMs: 1_000, registry: mute });
  await mute.changed();
  expect(mute.agents()).toEqual([]);
  await mute.close();
});

test('healthy agents come before unknown ones before unhealthy ones', async () => {
  const asked: string[] = [];
  for (const health of ['unhealthy', 'healthy', 'unknown'] as const) {
    await agent(health, [{ name: 'd', health }], (stream) => {
      asked.push(health);
      stream.end();
    });
  }
  (await registry.open('d', USER)).resume();
  expect(asked).toEqual(['healthy']);
});

test('the next agent is tried when one hangs up', async () => {
  const first = await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => stream.destroy());
  await agent('b', [{ name: 'd', health: 'unhealthy' }], (stream) => stream.end('from b'));
  first.destroy();
  const stream = await registry.open('d', USER);
  expect((await stream.toArray()).join('')).toBe('from b');
});

test('an unknown database and an agent that is gone have their texts', async () => {
  await expect(registry.open('nope', USER)).rejects.toMatchObject({
    code: 'NotFound',
    message: 'database "nope" not found among registered databases in cluster "c"',
  });
});

test('bytes, certificate, address and half-close go through', async () => {
  let got: unknown;
  await agent('a', [{ name: 'd', health: 'healthy' }], (stream, connection) => {
    got = connection;
    // Echo that answers only after the other half was closed.
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk)).once('end', () => stream.end(Buffer.concat(chunks)));
    stream.resume();
  });
  const stream = await registry.open('d', USER);
  const sent = Buffer.alloc(5_000_000, 'abc');
  stream.end(sent);
  const back = Buffer.concat((await stream.toArray()) as Buffer[]);
  expect(back.length).toBe(sent.length);
  expect(back.equals(sent)).toBe(true);
  expect(got).toEqual(USER);
});

test('a slow reader does not stop the others', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 1);
  await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => {
    let left = 64;
    new Duplex({
      read() {
        this.push(left-- > 0 ? chunk : null);
      },
      write(_chunk, _encoding, done) {
        done();
      },
    }).pipe(stream);
  });
  // Three clients that read nothing.
  const slow = await Promise.all([1, 2, 3].map(() => registry.open('d', USER)));
  for (const stream of slow) stream.pause();
  const quick = await registry.open('d', USER);
  let bytes = 0;
  for await (const piece of quick) bytes += (piece as Buffer).length;
  expect(bytes).toBe(64 * 1024 * 1024);
  for (const stream of slow) stream.destroy();
});

test('drain waits for open streams, then hangs up', async () => {
  let theirs: Duplex | undefined;
  const line = await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => {
    theirs = stream;
  });
  const stream = await registry.open('d', USER);
  const closed = registry.drain(60_000).then(() => registry.close());
  await line.over;
  expect(line.isLeft).toBe(true);
  theirs!.end('last words');
  stream.end();
  expect((await stream.toArray()).join('')).toBe('last words');
  theirs!.resume();
  await closed;
  expect(registry.agents()).toEqual([]);
});

test('a connection that was dialled ahead is used without asking for one, and not when it has ended', async () => {
  let dials = 0;
  const [ours, theirs] = await pair();
  serveControl(ours, {
    hello: { hostId: 'h', hostname: 'h', version: '1', databases: [{ name: 'd', health: 'healthy' }] },
    onStanding: () => {},
    onDial: (count) => {
      dials += count;
      void offer('h', (stream) => stream.end('dialled'));
    },
    silenceTimeoutMs: 60_000,
    log: silent,
  });
  registry.accept(theirs, { hostId: 'h' });
  await registry.changed();
  await offer('h', (stream) => stream.end('ahead'));
  const [dead, deadEnd] = await pair();
  registry.accept(deadEnd, { hostId: 'h' });
  dead.end('{"spare": true}\n');
  await new Promise((resolve) => deadEnd.once('close', resolve));
  expect((await (await registry.open('d', USER)).toArray()).join('')).toBe('ahead');
  expect(dials).toBe(0);
  expect((await (await registry.open('d', USER)).toArray()).join('')).toBe('dialled');
  expect(dials).toBe(1);
});

test('many clients at once each get a connection of their own', async () => {
  await agent('a', [{ name: 'd', health: 'healthy' }], (stream, { clientAddr }) => stream.end(clientAddr));
  const all = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const stream = await registry.open('d', { ...USER, clientAddr: `192.0.2.1:${i}` });
      return (await stream.toArray()).join('');
    }),
  );
  expect(new Set(all).size).toBe(40);
});

test('what is no line, an endless line and a hello without its fields end the connection', async () => {
  for (const bytes of ['nonsense\n', '[]\n', '{"hello": {"hostId": "x"}}\n', Buffer.alloc(5 * 1024 * 1024, 'a')]) {
    const [ours, theirs] = await pair();
    registry.accept(theirs, { hostId: 'x' });
    ours.write(bytes);
    await new Promise((resolve) => theirs.once('close', resolve));
  }
  expect(registry.agents()).toEqual([]);
});

test('an unknown health is unknown, and a hello that is none is refused', () => {
  const hello = { hostId: 'h', hostname: 'n', version: '1', databases: [{ name: 'd', health: 'odd' }] };
  expect(helloOf(hello).databases).toEqual([{ name: 'd', health: 'unknown' }]);
  for (const wrong of [undefined, {}, { ...hello, databases: {} }, { ...hello, databases: [{}] }]) {
    expect(() => helloOf(wrong)).toThrow('a hello without');
  }
});

describe('R-A-M1 who waits for a data connection', () => {
  const nobody = { ...USER, certificateDer: Buffer.alloc(0) };
  const hostless = [{ name: 'd', health: 'healthy' as const }];

  const textOf = async (stream: Duplex) => (await stream.toArray()).join('');
  /** Resolves when somebody is put on it. */
  const offered = (text: string) =>
    new Promise<void>((resolve) => {
      void offer('a', (stream) => {
        stream.end(text);
        resolve();
      });
    });

  test('people go before those of whom nobody knows', async () => {
    await agent('a', hostless, (stream) => stream.end(), { onDial: () => {} });
    const strangers = [registry.openAny(nobody), registry.openAny(nobody)];
    const person = registry.open('d', USER);
    for (const text of ['one', 'two', 'three']) await offered(text);
    expect(await textOf(await person)).toBe('one');
    expect(await Promise.all(strangers.map(async (stream) => textOf(await stream)))).toEqual(['two', 'three']);
  });

  test('who has gone waits no more, and what was dialled is there for the next', async () => {
    await agent('a', hostless, (stream) => stream.end(), { onDial: () => {} });
    const gone = new AbortController();
    const refused = registry.openAny(nobody, gone.signal).catch((error: unknown) => error);
    gone.abort(new Error('has gone'));
    expect(await refused).toEqual(new Error('has gone'));
    await offer('a', (stream) => stream.end('for the next'));
    expect(await textOf(await registry.openAny(nobody))).toBe('for the next');
  });
});
