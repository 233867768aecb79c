/**
 * What a hostile PostgreSQL client can say to the Database Service, before and after it is in, and what comes of each: in
 * `postgres.txt`, an attack a line. After every one an honest client gets in, as the user that it may be. `npm run golden`
 * writes the file anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { role, startTestAgent, type TestAgent } from '../db/agent.js';
import { createTestCa } from '../support/ca.js';
import {
  errorFields,
  messagesOf,
  type RawClient,
  type RawMessage,
  rawClient,
  startupPacket,
} from '../support/pg-raw.js';
import { type Postgres, startPostgres } from '../support/postgres.js';

const TABLE = 'test/attacks/postgres.txt';
const V3 = 0x3_0000;

let server: Postgres;
let agent: TestAgent;

beforeAll(async () => {
  const [dbCa, dbClientCa] = await Promise.all([createTestCa('DB CA'), createTestCa('DB client CA')]);
  server = await startPostgres({
    tls: { ...(await dbCa.issue(['localhost'])), ca: dbClientCa.certPem },
    users: [{ name: 'analyst' }, { name: 'other' }],
    databases: [{ name: 'dev', owner: 'analyst' }],
  });
  const spec = { protocol: 'postgres', uri: `localhost:${server.port}` };
  const database = { kind: 'db', version: 'v3', metadata: { name: 'pg', labels: {} }, spec };
  agent = await startTestAgent({ databases: [database], dbClientCa, databaseCas: [dbCa.certPem] });
  agent.roles = [role({ db_users: ['analyst'], db_names: ['dev'] })];
  await agent.as({ serviceName: 'pg' });
});
afterAll(async () => {
  await agent?.stop();
  await server?.stop();
});

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const bytes = (...parts: (number | string | Buffer)[]) =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'number' ? int32(part) : Buffer.isBuffer(part) ? part : Buffer.from(part, 'latin1'),
    ),
  );
/** A message after the start. */
const message = (tag: string, ...body: (number | string | Buffer)[]) => {
  const content = bytes(...body);
  return bytes(tag, 4 + content.length, content);
};
const start = (...more: [string, string][]) => startupPacket(V3, [['user', 'analyst'], ['database', 'dev'], ...more]);
const query = (sql: string) => message('Q', `${sql}\0`);
const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255]);

/** Instead of a start, or as one. */
const BEFORE: Record<string, Buffer> = {
  'nothing at all': Buffer.alloc(0),
  'one byte': Buffer.from([0]),
  'a length of 0': bytes(0, V3),
  'a length of 3': bytes(3, V3),
  'a length of 7': bytes(7, V3),
  'a length of 8 and no parameters': bytes(8, V3),
  'a length of 2 GiB': bytes(0x7fff_ffff, V3),
  'a length of 4 GiB': bytes(0xffff_ffff, V3),
  'a length of 10,001 bytes': bytes(10_001, V3, Buffer.alloc(10_001 - 8, 'a')),
  'a length with no body': bytes(100),
  'protocol 0.0': startupPacket(0, [['user', 'analyst']]),
  'protocol 1.0': startupPacket(0x1_0000, [['user', 'analyst']]),
  'protocol 2.0': startupPacket(0x2_0000, [['user', 'analyst']]),
  'protocol 4.0': startupPacket(0x4_0000, [['user', 'analyst']]),
  'protocol 65535.65535': startupPacket(0xffff_ffff, [['user', 'analyst']]),
  'SSLRequest twice': bytes(8, 80877103, 8, 80877103),
  'SSLRequest three times and a start': bytes(8, 80877103, 8, 80877103, 8, 80877103, start()),
  'GSSENCRequest twice': bytes(8, 80877104, 8, 80877104),
  'SSLRequest with a body': bytes(12, 80877103, 'abcd'),
  'SSLRequest and a start in one packet': bytes(8, 80877103, start()),
  'CancelRequest that is too short': bytes(12, 80877102, 1),
  'CancelRequest for a key that nobody has': bytes(16, 80877102, 1, 2),
  'CancelRequest with a key of 1 MB': bytes(1_000_012, 80877102, 1, Buffer.alloc(1_000_000)),
  'no parameters': startupPacket(V3, []),
  'no user': startupPacket(V3, [['database', 'dev']]),
  'an empty user': startupPacket(V3, [
    ['user', ''],
    ['database', 'dev'],
  ]),
  'another user': startupPacket(V3, [
    ['user', 'other'],
    ['database', 'dev'],
  ]),
  'the superuser': startupPacket(V3, [
    ['user', 'postgres'],
    ['database', 'dev'],
  ]),
  'another database': startupPacket(V3, [
    ['user', 'analyst'],
    ['database', 'postgres'],
  ]),
  'two users, the second another': startupPacket(V3, [
    ['user', 'analyst'],
    ['user', 'other'],
    ['database', 'dev'],
  ]),
  'two users, the first another': startupPacket(V3, [
    ['user', 'other'],
    ['user', 'analyst'],
    ['database', 'dev'],
  ]),
  'two databases, the second another': startupPacket(V3, [
    ['user', 'analyst'],
    ['database', 'dev'],
    ['database', 'postgres'],
  ]),
  'a user in another case': startupPacket(V3, [
    ['user', 'ANALYST'],
    ['database', 'dev'],
  ]),
  'a user with a space at its end': startupPacket(V3, [
    ['user', 'analyst '],
    ['database', 'dev'],
  ]),
  'a user with a line feed': startupPacket(V3, [
    ['user', 'analyst\n'],
    ['database', 'dev'],
  ]),
  'a user in quotes': startupPacket(V3, [
    ['user', '"analyst"'],
    ['database', 'dev'],
  ]),
  'a user of 9,000 letters': startupPacket(V3, [
    ['user', 'a'.repeat(9_000)],
    ['database', 'dev'],
  ]),
  'a user that is not UTF-8': bytes(19, V3, 'user\0ab\xff\xfe\0\0'),
  'a name without its value': bytes(4 + 4 + 5 + 1, V3, 'user\0', '\0'),
  'parameters without the last NUL': bytes(4 + 4 + 13, V3, 'user\0analyst\0'),
  'bytes after the last NUL': bytes(4 + 4 + 14 + 4, V3, 'user\0analyst\0\0', 'abcd'),
  '900 parameters': start(...Array.from({ length: 900 }, (_, i): [string, string] => [`a${i}`, 'b'])),
  'session_authorization as a parameter': start(['session_authorization', 'other']),
  'role as a parameter': start(['role', 'other']),
  'a role in options': start(['options', '-c role=other']),
  'session_authorization in options': start(['options', '-c session_authorization=other']),
  'unknown protocol options': start(['_pq_.unknown', '1'], ['_pq_.other', '2']),
  'a TLS ClientHello': Buffer.from('16030100c8010000c40303', 'hex'),
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'an HTTP/2 preface': Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  'an SSH banner': Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'),
  'a PROXY header': Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'),
  '64 KiB of zeros': Buffer.alloc(65_536),
  '64 KiB of ones': Buffer.alloc(65_536, 0xff),
  'a start, and a query that does not wait': bytes(start(), query('select 1')),
  'a start, and a password that nobody asked for': bytes(start(), message('p', 'secret\0')),
};

/** After a start that is let in. */
const AFTER: Record<string, Buffer> = {
  'a tag of zero': message('\0', 'abcd'),
  'a tag of 255': message('\xff', 'abcd'),
  'an unknown tag': message('z'),
  'a message of a server: AuthenticationOk': message('R', 0),
  'a message of a server: ReadyForQuery': message('Z', 'I'),
  'a message of a server: ErrorResponse': message('E', 'SERROR\0C00000\0Mno\0\0'),
  'a password': message('p', 'secret\0'),
  'a Query of length 0': bytes('Q', 0),
  'a Query of length 3': bytes('Q', 3),
  'a Query of length 4': bytes('Q', 4),
  'a Query of 2 GiB': bytes('Q', 0x7fff_ffff, 'select 1'),
  'a Query of 4 GiB': bytes('Q', 0xffff_ffff, 'select 1'),
  'a Query without its NUL': message('Q', 'select 1'),
  'a Query that is not UTF-8': message('Q', "select '\xff\xfe'\0"),
  'a Parse without its NULs': message('P', 'abc'),
  'a Parse with -1 types': message('P', '\0select 1\0', int16(-1)),
  'a Parse with 32,767 types and none there': message('P', '\0select 1\0', int16(32_767)),
  'a Bind of a statement that is not there': bytes(
    message('B', '\0nope\0', int16(0), int16(0), int16(0)),
    message('S'),
  ),
  'a Bind with -1 parameters': bytes(message('B', '\0\0', int16(0), int16(-1), int16(0)), message('S')),
  'an Execute of a portal that is not there': bytes(message('E', 'nope\0', 0), message('S')),
  'a Describe of neither kind': bytes(message('D', 'Xnope\0'), message('S')),
  'a Close of what is not there': bytes(message('C', 'Snope\0'), message('S')),
  'a FunctionCall': message('F', 1598, int16(0), int16(0), int16(0)),
  'CopyData without a COPY': bytes(message('d', 'a\n'), message('c'), query('select 1')),
  'CopyFail without a COPY': bytes(message('f', 'no\0'), query('select 1')),
  '5,000 Syncs': Buffer.concat(Array.from({ length: 5_000 }, () => message('S'))),
  'an SSLRequest': bytes(8, 80877103),
  'a start once more': start(),
  'a Terminate with a body': message('X', 'abcd'),
  'half a message, and the end': bytes('Q', 100, 'select'),
  'set session authorization': query('set session authorization other'),
  'set role': query('set role other'),
};

async function connected(): Promise<RawClient> {
  return await rawClient({ host: '127.0.0.1', port: agent.port });
}

/** All that came until the end, the N of a TLS question left out. */
async function ending(client: RawClient): Promise<RawMessage[]> {
  client.socket.end();
  await new Promise((resolve) => client.socket.once('close', resolve).resume());
  let got = client.received();
  let refused = 0;
  while (got[0] === 0x4e && (got.length < 5 || got.readUInt32BE(1) > 10_000)) {
    got = got.subarray(1);
    refused++;
  }
  return [...Array.from({ length: refused }, () => NO_TLS), ...messagesOf(got)];
}
const NO_TLS: RawMessage = { tag: 'no TLS', body: Buffer.alloc(0), bytes: Buffer.alloc(0) };

/** In a few words: no TLS, errors with severity and SQLSTATE, and the one row that was asked for. */
function told(messages: readonly RawMessage[]): string[] {
  return messages.flatMap((one) => {
    if (one.tag === 'E') {
      const { V, C } = errorFields(one);
      return [`${V} ${C}`];
    }
    if (one.tag === 'D') return [`is ${one.body.subarray(6).toString()}`];
    return one.tag === 'no TLS' ? [one.tag] : [];
  });
}

const WHO = query("select current_user || ' ' || session_user || ' ' || current_database()");

async function attackBefore(attack: Buffer): Promise<string[]> {
  const client = await connected();
  client.socket.write(attack);
  const got = await ending(client);
  await agent.idle();
  const isIn = got.some(({ tag }) => tag === 'Z');
  if (!isIn) return [...told(got), 'closed'];
  const again = await connected();
  again.socket.write(attack);
  await again.until('Z');
  again.socket.write(WHO);
  return [...told(await ending(again)), 'in'];
}

async function attackAfter(attack: Buffer): Promise<string[]> {
  const client = await connected();
  client.socket.write(start());
  await client.until('Z');
  client.socket.write(attack);
  client.socket.write(WHO);
  const words = told(await ending(client));
  return words.some((word) => word.startsWith('is ')) ? words : [...words, 'closed'];
}

/** What those who are in may see: who they are, and the 1 of their own query. */
const HARMLESS = ['is analyst analyst dev', 'is 1'];

async function honest(): Promise<string> {
  return (await attackAfter(Buffer.alloc(0))).join();
}

test('every attack ends as the table says, and an honest client gets in afterwards', async () => {
  const lines: string[] = [];
  for (const [stage, attacks, attack] of [
    ['before', BEFORE, attackBefore],
    ['after', AFTER, attackAfter],
  ] as const) {
    for (const [name, what] of Object.entries(attacks)) {
      const words = await attack(what);
      // Whoever is in is the user that the role allows, and nobody else.
      const others = words.filter((word) => word.startsWith('is ') && !HARMLESS.includes(word));
      expect([name, others]).toEqual([name, []]);
      await agent.idle();
      lines.push(`${`${stage}: ${name}`.padEnd(56)} ${words.join(', ')}`);
      expect([name, await honest()]).toEqual([name, 'is analyst analyst dev']);
      await agent.idle();
    }
  }
  const actual = `${lines.join('\n')}\n`;
  if (process.env.GOLDEN === '1') writeFileSync(TABLE, actual);
  expect(actual).toBe(readFileSync(TABLE, 'utf8'));
});
