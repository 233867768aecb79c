/**
 * X7: what one caller asks for, however large, takes no more than a moment of anyone else's time.
 * Tests: src/auth/list-resources.ts, src/slices.ts
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { toMessage } from '../../src/api/convert.js';
import { authTlsOptions } from '../../src/api/dial.js';
import type { Database, DatabaseServer, Role } from '../../src/resources/types.js';
import { type Credentials, TestAuth } from './test-auth.js';

/** No message of ours is encoded here: bytes as an attacker has them ready, so that what is measured is the server. */
const field = (number: number, value: Buffer): Buffer =>
  Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}

const [TYPE, LABELS, PREDICATE, KEYWORDS, START_KEY] = [1, 5, 6, 7, 4];
const SERVERS = field(TYPE, Buffer.from('db_server'));
const label = (at: number) =>
  field(LABELS, Buffer.concat([field(1, Buffer.from(`k${at}`)), field(2, Buffer.from('v'))]));
const many = (count: number, make: (at: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, at) => make(at)));

const LIST = '/proto.AuthService/ListResources';
/**
 * Generous: it is 5 to 100 ms, and as much more as a machine is slower than one that does `paceMs` in 20 ms. Before, these calls
 * took 0.4 to 9 seconds.
 */
const LONGEST_STALL_MS = Math.max(400, 20 * paceMs());
const SERVER_COUNT = 400;

/** How fast this machine is: a piece of work like that of reading a message, in processor time, undisturbed. */
function paceMs(): number {
  const text = JSON.stringify(Array.from({ length: 30_000 }, (_, at) => ({ key: `k${at}`, value: 'v' })));
  const times = Array.from({ length: 10 }, () => {
    const began = process.cpuUsage();
    JSON.parse(text);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

let cluster: TestAuth;
let alice: Credentials;
let beside: ClientHttp2Session;

async function session(who?: Credentials): Promise<ClientHttp2Session> {
  const { hostCaPems, clusterName } = await cluster.identity('Node');
  const { address } = cluster.auth;
  const identity = who ? { certPem: who.certPem, keyPem: who.keyPem } : {};
  const tls = authTlsOptions({ clusterName, hostCaPems, ...identity });
  return connect('https://auth', { createConnection: () => connectTls({ ...address, ...tls, ALPNProtocols: ['h2'] }) });
}

/** @returns status and text of the answer */
function call(from: ClientHttp2Session, path: string, message: Buffer): Promise<{ status: string; text: string }> {
  return new Promise((resolve, reject) => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const stream = from.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const told = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      resolve({
        status: String(headers['grpc-status']),
        text: decodeURIComponent(String(headers['grpc-message'] ?? '')),
      });
    };
    stream.on('response', told).on('trailers', told).on('error', reject).resume();
    stream.end(Buffer.concat([head, message]));
  });
}

/**
 * What a call came to, and the longest stretch of this process's work in which nobody else had a turn: in processor time,
 * so that other tests beside this one do not count. A second caller asks all the time.
 */
async function once(work: () => Promise<{ status: string; text: string }>) {
  let isOver = false;
  let stallMs = 0;
  let last = process.cpuUsage();
  const turn = () => {
    const { user, system } = process.cpuUsage(last);
    stallMs = Math.max(stallMs, (user + system) / 1_000);
    last = process.cpuUsage();
    if (!isOver) setImmediate(turn);
  };
  const others = (async () => {
    while (!isOver) await call(beside, '/proto.AuthService/GetDomainName', Buffer.alloc(0));
  })();
  turn();
  stallMs = 0;
  const result = await work();
  isOver = true;
  await others;
  return { ...result, stallMs };
}

/** What the work costs, it costs each time; a collection of this whole process's garbage is not of its making. */
async function measured(work: () => Promise<{ status: string; text: string }>) {
  let result = await once(work);
  for (let left = 9; left > 0 && result.stallMs >= LONGEST_STALL_MS; left--) {
    const again = await once(work);
    if (again.stallMs < result.stallMs) result = again;
  }
  return result;
}

beforeAll(async () => {
  cluster = await TestAuth.start();
  const admin = await cluster.asHost('Admin');
  const allow = {
    db_labels_expression: 'labels["env"] == "x" || contains(user.spec.traits["t"], labels["env"])',
    rules: [{ resources: ['*'], verbs: ['*'] }],
  };
  const role: Role = { kind: 'role', version: 'v7', metadata: { name: 'all' }, spec: { options: {}, allow, deny: {} } };
  await admin.auth.upsertRoleV2({ role: toMessage('role', role) });
  alice = await cluster.login('alice', await cluster.invite('alice', ['all']));
  const db = await cluster.asHost('Db');
  const { hostId } = await cluster.identity('Db');
  await Promise.all(
    Array.from({ length: SERVER_COUNT }, (_, at) => {
      const labels = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`l${n}`, 'v']));
      const metadata = { name: `d${at}`, labels: { env: 'x', ...labels } };
      const database: Database = { kind: 'db', version: 'v3', metadata, spec: { protocol: 'postgres', uri: 'h:1' } };
      const spec = { host_id: hostId, hostname: 'h', version: '18.3.0', database };
      const server: DatabaseServer = { kind: 'db_server', version: 'v3', metadata, spec };
      return db.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
    }),
  );
  const mine = await (await cluster.as(alice)).auth.listResources({ resourceType: 'db_server', needTotalCount: true });
  expect(mine.totalCount).toBe(SERVER_COUNT);
  beside = await session(alice);
  await call(beside, LIST, SERVERS);
});

afterAll(async () => {
  beside?.close();
  await cluster?.remove();
});

const TOO_LARGE = /^grpc: received message larger than max \(\d+ vs\. 196608\)$/;

describe('X7 a large question to ListResources is refused by name, or answered in slices', () => {
  test.each<[string, () => Buffer, string, RegExp]>([
    ['150,000 labels', () => many(150_000, label), '8', TOO_LARGE],
    ['300,000 keywords', () => many(300_000, (at) => field(KEYWORDS, Buffer.from(`k${at}`))), '8', TOO_LARGE],
    ['one keyword of 3 MB', () => field(KEYWORDS, Buffer.alloc(3_000_000, 'x')), '8', TOO_LARGE],
    ['1.3 million unknown fields', () => Buffer.alloc(3_900_000, Buffer.of(0xfa, 0x7f, 0)), '8', TOO_LARGE],
    ['60,000 unknown fields', () => Buffer.alloc(180_000, Buffer.of(0xfa, 0x7f, 0)), '0', /^$/],
    ['15,000 labels', () => many(15_000, label), '3', /^the request has 15000 labels, and 256 are the most$/],
    [
      '60,000 keywords',
      () => many(60_000, () => field(KEYWORDS, Buffer.from('d'))),
      '3',
      /^the request has 60000 search_keywords, and 256 are the most$/,
    ],
    [
      'one keyword of 190 kB',
      () => field(KEYWORDS, Buffer.alloc(190_000, 'x')),
      '3',
      /^the request has 190000 characters in one of search_keywords, and 1024 are the most$/,
    ],
    ['a start key of 190 kB', () => field(START_KEY, Buffer.alloc(190_000, 'x')), '3', / characters in start_key, /],
    ['a type of 190 kB', () => field(TYPE, Buffer.alloc(190_000, 'x')), '12', /^resource type x{4000,4100} …$/],
    ['256 keywords that are found', () => many(256, () => field(KEYWORDS, Buffer.from('d'))), '0', /^$/],
    [
      'a predicate of 64 KiB about each label',
      () => field(PREDICATE, Buffer.from(Array(3_000).fill('labels["l1"] == "w"').join('||'))),
      '0',
      /^$/,
    ],
    [
      'a predicate of 64 KiB that searches',
      () => field(PREDICATE, Buffer.from(Array(4_500).fill('!search("z")').join('&&'))),
      '0',
      /^$/,
    ],
    [
      'a predicate of 70 kB',
      () => field(PREDICATE, Buffer.from(`name == "${'x'.repeat(70_000)}"`)),
      '2',
      /an expression of more than 65536 characters/,
    ],
    [
      'a predicate of depth 5,000',
      () => field(PREDICATE, Buffer.from(`${'('.repeat(5_000)}true${')'.repeat(5_000)}`)),
      '2',
      /expected a simpler expression/,
    ],
  ])('%s', async (_what, more, status, text) => {
    const from = await session(alice);
    const message = Buffer.concat([SERVERS, more()]);
    const result = await measured(() => call(from, LIST, message));
    from.close();
    expect(result).toMatchObject({ status, text: expect.stringMatching(text) });
    expect(result.stallMs).toBeLessThan(LONGEST_STALL_MS);
  });
});

test('X7 H5 what a stranger sends is read up to 4 KiB', async () => {
  const stranger = await session();
  const result = await measured(() =>
    call(stranger, '/proto.AuthService/UpsertRoleV2', Buffer.alloc(300_000, Buffer.of(0xfa, 0x7f, 0))),
  );
  stranger.close();
  expect(result).toMatchObject({ status: '8', text: 'grpc: received message larger than max (300000 vs. 4096)' });
  expect(result.stallMs).toBeLessThan(LONGEST_STALL_MS);
});

test('X7 a database has so many labels, or every list of everybody would be slow', async () => {
  const db = await cluster.asHost('Db');
  const { hostId } = await cluster.identity('Db');
  const offer = (labels: Record<string, string>) => {
    const metadata = { name: 'wide', labels };
    const database: Database = { kind: 'db', version: 'v3', metadata, spec: { protocol: 'postgres', uri: 'h:1' } };
    const spec = { host_id: hostId, hostname: 'h', version: '18.3.0', database };
    const server: DatabaseServer = { kind: 'db_server', version: 'v3', metadata, spec };
    return db.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
  };
  const labels = Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`k${at}`, 'v']));
  await expect(offer(labels)).rejects.toThrow('database "wide" has 257 labels, and 256 are the most');
  await expect(offer({ k: 'v'.repeat(5_000) })).rejects.toThrow(
    'database "wide": its label "k" has more than 4096 characters',
  );
});

test('H4 of many long calls of one person a slice is done at a time, and another person is served between them', async () => {
  const asked = Buffer.concat([SERVERS, field(PREDICATE, Buffer.from(Array(100).fill('!search("z")').join('&&')))]);
  const from = await session(alice);
  let answered = 0;
  try {
    const crowd = Array.from({ length: 6 }, () => call(from, LIST, asked).then(() => answered++));
    for (let at = 0; at < 5; at++) await call(beside, '/proto.AuthService/GetDomainName', Buffer.alloc(0));
    expect(answered).toBeLessThan(crowd.length);
    await Promise.all(crowd);
  } finally {
    from.close();
  }
});

test.each([
  ['a ping', '/proto.AuthService/Ping', 5_000, 4_096],
  ['a request to join', '/proto.JoinService/RegisterUsingToken', 17_000, 16_384],
])('H5 a long message of a stranger is not read: %s', async (_, path, bytes, most) => {
  const stranger = await session();
  try {
    expect(await call(stranger, path, Buffer.alloc(bytes))).toEqual({
      status: '8',
      text: `grpc: received message larger than max (${bytes} vs. ${most})`,
    });
  } finally {
    stranger.close();
  }
});
