import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { silent } from '../../src/log.js';
import { Leafs, MOST_TO_AUTH } from '../../src/proxy/leafs.js';
import { destroySockets, dialIn, pair } from '../tunnel/fake-agent.js';

const LEAF = 'leaf.example.com';
const client = (address: string) => ({ address, port: 1 });
const stays = () => ({ signal: new AbortController().signal });
let leafs: Leafs;

beforeEach(() => {
  const authorities = { remotes: [{ cluster: LEAF, hostCas: ['x'], userCas: [] }] };
  leafs = new Leafs({ authorities, report: async () => {}, log: silent });
});
afterEach(async () => {
  await leafs.close();
  destroySockets();
});

/** A Proxy of the leaf, whose connections stay open. */
async function online(): Promise<void> {
  const accepting = { accept: (socket: Duplex, { hostId }: { hostId: string }) => leafs.accept(socket, LEAF, hostId) };
  const known = new Promise<void>((resolve) => {
    void dialIn(accepting, 'h', { onConnection: () => {}, onPing: resolve });
  });
  await known;
}

describe('R-A-M1 strangers on their way to a leaf', () => {
  test('have so many connections of its Proxy, and a crowd pushes out its own', async () => {
    await online();
    const of = (address: string) => leafs.openAuth(LEAF, client(address), stays());
    const gina = await of('198.51.100.1');
    const crowd = await Promise.all(
      Array.from({ length: MOST_TO_AUTH + 8 }, () => of('192.0.2.1').catch(() => undefined)),
    );
    const alive = crowd.filter((stream) => stream && !stream.destroyed);
    expect(alive).toHaveLength(MOST_TO_AUTH - 1);
    expect(gina.destroyed).toBe(false);
    // One more of them ends one of them.
    await of('192.0.2.1');
    expect([gina, ...alive].filter((stream) => stream!.destroyed)).toHaveLength(1);
    expect(gina.destroyed).toBe(false);
    gina.destroy();
    await once(gina, 'close');
    await of('203.0.113.1');
    expect(alive.filter((stream) => stream!.destroyed)).toHaveLength(1);
  });

  test('who has gone leaves its place', async () => {
    await online();
    const signals = Array.from({ length: MOST_TO_AUTH }, () => new AbortController());
    const streams = await Promise.all(
      signals.map(({ signal }) => leafs.openAuth(LEAF, client('192.0.2.1'), { signal })),
    );
    const closed = Promise.all(streams.map((stream) => once(stream, 'close')));
    for (const gone of signals) gone.abort();
    await closed;
    const next = await Promise.all(
      Array.from({ length: MOST_TO_AUTH }, () => leafs.openAuth(LEAF, client('192.0.2.1'), stays())),
    );
    expect(next.filter(({ destroyed }) => destroyed)).toEqual([]);
  });

  test('a login has its own, wherever it is', async () => {
    await online();
    const stranger = await leafs.openAuth(LEAF, client('192.0.2.1'), stays());
    for (let at = 0; at < MOST_TO_AUTH + 3; at++) {
      await leafs.openAuth(LEAF, client(`192.0.2.${at}`), { login: 'mallory', ...stays() });
    }
    expect(stranger.destroyed).toBe(false);
  });
});

test('another cluster is not found', async () => {
  await expect(leafs.openAuth('other', client('192.0.2.1'), stays())).rejects.toThrow('is not found');
});

test('R-A-M3 a leaf that says hello without end, and comes and goes, is reported when that has changed, one report at a time', async () => {
  const reports: string[][] = [];
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const authorities = { remotes: [{ cluster: LEAF, hostCas: ['x'], userCas: [] }] };
  const report = async (online: string[]) => {
    reports.push(online);
    await answered;
  };
  const noisy = new Leafs({ authorities, report, log: silent, pauseMs: 1 });
  const [ours, theirs] = await pair();
  noisy.accept(theirs, LEAF, 'h');
  const hello = { hostId: 'h', hostname: 'h', version: '18.3.0', databases: [] };
  const heard = once(ours, 'data');
  ours.write(`${JSON.stringify({ hello })}\n`.repeat(2_000));
  await heard;
  // Behind it there is an answer to a ping: all hellos before that were read.
  const [again, gone] = [await pair(), new Promise((resolve) => theirs.once('close', resolve))];
  ours.end(`${JSON.stringify({ hello })}\n`.repeat(2_000));
  await gone;
  expect(reports).toEqual([[LEAF]]);
  noisy.accept(again[1], LEAF, 'h');
  const back = once(again[0], 'data');
  again[0].write(`${JSON.stringify({ hello })}\n`);
  await back;
  answer();
  await noisy.close();
  expect(reports).toEqual([[LEAF], []]);
});
