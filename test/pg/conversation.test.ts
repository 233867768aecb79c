/**
 * Both ends over real sockets on loopback: who says what when, and that not a byte of what follows is lost.
 * Tests: src/pg/backend.ts, src/pg/frontend.ts, src/pg/session.ts, src/pg/stream.ts
 */

import { once } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { TeleportError } from '../../src/errors.js';
import { encodeError, encodeReady, negotiation, readStartup } from '../../src/pg/backend.js';
import { decodeFrontend } from '../../src/pg/decode.js';
import { encodeBackend, encodeFrontend } from '../../src/pg/encode.js';
import { cancel, type LoggedIn, login, md5Password, requestTls } from '../../src/pg/frontend.js';
import type { BackendMessage } from '../../src/pg/messages.js';
import { connectSession, type StatementLimits, sessionOver } from '../../src/pg/session.js';
import { encodeFirst, PROTOCOL_3_0, type StartupMessage } from '../../src/pg/startup.js';
import { deadlineIn, readExactly, readFirst, readMessage } from '../../src/pg/stream.js';

const backendKey = { pid: 42, secret: Buffer.from('c0ffee00', 'hex') };
const startup = (...more: [string, string][]): StartupMessage => ({
  type: 'StartupMessage',
  protocolVersion: PROTOCOL_3_0,
  parameters: new Map([['user', 'alice'], ...more]),
});

let server: Server;
const open = new Set<Socket>();
const keep = (socket: Socket) => {
  open.add(socket.on('error', () => {}));
  return socket;
};

/** Two ends of one connection. */
async function pair(): Promise<[client: Socket, server: Socket]> {
  const accepted = once(server, 'connection');
  const client = keep(dial((server.address() as { port: number }).port, '127.0.0.1'));
  return [client, keep((await accepted)[0])];
}

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});
afterAll(() => new Promise((done) => server.close(done)));

const send = (duplex: Duplex, ...messages: BackendMessage[]) =>
  duplex.write(Buffer.concat(messages.map(encodeBackend)));
const next = async (duplex: Duplex, meaning?: Parameters<typeof decodeFrontend>[2]) => {
  const { tag, body } = await readMessage(duplex, { timeoutMs: 60_000 });
  return decodeFrontend(tag, body, meaning);
};

describe('reading', () => {
  test('takes one packet and leaves what follows, even when all comes in one write or byte by byte', async () => {
    const packet = encodeFirst(startup(['database', 'dev']));
    const all = Buffer.concat([packet, encodeFrontend({ type: 'Query', query: 'select 1' }), Buffer.from('tail')]);
    for (const size of [all.length, 1]) {
      const [client, peer] = await pair();
      client.setNoDelay();
      for (let at = 0; at < all.length; at += size) client.write(all.subarray(at, at + size));
      client.end();
      const first = await readFirst(peer, { timeoutMs: 60_000 });
      expect(first.packet).toEqual(packet);
      expect(await next(peer)).toEqual({ type: 'Query', query: 'select 1' });
      expect(await text(peer)).toBe('tail');
    }
  });

  test('a piece that is already there does not keep the reader spinning', async () => {
    const [client, peer] = await pair();
    client.write(Buffer.from('5300', 'hex'));
    await once(peer, 'readable');
    const reading = next(peer);
    // Reached only when the event loop still turns while the reader waits.
    setImmediate(() => client.write(Buffer.from('000004', 'hex')));
    expect(await reading).toEqual({ type: 'Sync' });
  });

  test('ends with ConnectionProblem for silence, an end in the middle, and a Duplex that was destroyed', async () => {
    const [client, peer] = await pair();
    await expect(readFirst(peer, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'ConnectionProblem' });
    client.end(Buffer.from('0000', 'hex'));
    await expect(readFirst(peer, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'ConnectionProblem' });
    peer.destroy();
    await expect(readFirst(peer, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'ConnectionProblem' });
    expect(peer.listenerCount('readable')).toBe(0);
  });

  test('refuses a length before it waits for the bytes', async () => {
    const [client, peer] = await pair();
    client.write(Buffer.from('16030100', 'hex'));
    await expect(readFirst(peer, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'Protocol' });
    client.write(Buffer.from('70ffffffff', 'hex'));
    await expect(readMessage(peer, { timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'Protocol' });
  });
});

describe('backend', () => {
  test('answers N without TLS, once for each question', async () => {
    const [client, peer] = await pair();
    client.write(encodeFirst({ type: 'GSSENCRequest' }));
    client.write(encodeFirst({ type: 'SSLRequest' }));
    client.write(encodeFirst(startup()));
    const { message, isTls } = await readStartup(peer, { timeoutMs: 60_000 });
    expect(message).toEqual(startup());
    expect(isTls).toBe(false);
    expect((await readExactly(client, 2, deadlineIn(60_000))).toString()).toBe('NN');
  });

  test.each(['SSLRequest', 'GSSENCRequest'] as const)('a second %s is refused', async (type) => {
    const [client, peer] = await pair();
    client.write(Buffer.concat([encodeFirst({ type }), encodeFirst({ type })]));
    await expect(readStartup(peer, { timeoutMs: 60_000 })).rejects.toThrow(`received more than one ${type}`);
  });

  test('upgrades to TLS on both ends and reads the StartupMessage inside', async () => {
    const [client, peer] = await pair();
    const reading = readStartup(peer, { upgrade: serverTls, timeoutMs: 60_000 });
    expect(await requestTls(client, { timeoutMs: 60_000 })).toBe(true);
    const secure = clientTls(client);
    secure.write(Buffer.concat([encodeFirst(startup()), Buffer.from('tail')]));
    const { message, duplex, isTls } = await reading;
    expect(message).toEqual(startup());
    expect(isTls).toBe(true);
    secure.end();
    expect(await text(duplex)).toBe('tail');
  });

  test('refuses a StartupMessage before TLS, and bytes in front of the handshake', async () => {
    const [client, peer] = await pair();
    client.write(encodeFirst(startup()));
    await expect(readStartup(peer, { upgrade: serverTls })).rejects.toThrow('without TLS');
    const [hasty, other] = await pair();
    hasty.write(Buffer.concat([encodeFirst({ type: 'SSLRequest' }), encodeFirst(startup())]));
    await expect(readStartup(other, { upgrade: serverTls })).rejects.toThrow('before the TLS handshake');
  });

  test('a client that asks for more than 3.0 is told what we speak', () => {
    expect(negotiation(startup())).toBeUndefined();
    expect(negotiation({ ...startup(['_pq_.x', '1']), protocolVersion: 0x0003_0002 })).toEqual({
      type: 'NegotiateProtocolVersion',
      newestVersion: PROTOCOL_3_0,
      unrecognizedOptions: ['_pq_.x'],
    });
  });
});

describe('frontend', () => {
  test('logs in without a password and leaves what follows in the stream', async () => {
    const [client, peer] = await pair();
    const logging = login(client, {
      user: 'alice',
      database: 'dev',
      parameters: [
        ['user', 'x'],
        ['options', 'y'],
      ],
    });
    const { message } = await readStartup(peer);
    expect(message).toEqual(startup(['database', 'dev'], ['options', 'y']));
    send(peer, { type: 'NoticeResponse', fields: [['M', 'hello']] });
    peer.write(
      Buffer.concat([encodeReady({ parameters: [['server_version', '8.0.2']], backendKey }), Buffer.from('tail')]),
    );
    peer.end();
    expect(await logging).toEqual({
      parameters: new Map([['server_version', '8.0.2']]),
      backendKey,
      txStatus: 'I',
      unrecognizedOptions: [],
    });
    expect(await text(client)).toBe('tail');
  });

  test.each([
    ['clear text', { type: 'AuthenticationCleartextPassword' }, 'pässword'],
    ['MD5', { type: 'AuthenticationMD5Password', salt: Buffer.from('01020304', 'hex') }, undefined],
  ] as const)('logs in with a password as %s', async (_, request, expected) => {
    const [client, peer] = await pair();
    const logging = login(client, { user: 'alice', password: async () => 'pässword' });
    await readStartup(peer);
    send(peer, request);
    const password = expected ?? md5Password('alice', 'pässword', Buffer.from('01020304', 'hex'));
    expect(await next(peer)).toEqual({ type: 'PasswordMessage', password });
    peer.write(encodeReady({ parameters: [] }));
    expect((await logging).backendKey).toBeUndefined();
  });

  test('MD5 is what PostgreSQL computes', () => {
    expect(md5Password('alice', 'password', Buffer.from('01020304', 'hex'))).toBe(
      'md539b12fa85d6754a027b999c7f052cdfa',
    );
  });

  test('a server that skips its SCRAM proof is not believed', async () => {
    const [client, peer] = await pair();
    const logging = login(client, { user: 'alice', password: () => 'pencil' });
    logging.catch(() => {});
    await readStartup(peer);
    send(peer, { type: 'AuthenticationSASL', mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'] });
    expect(await next(peer, 'SASLInitialResponse')).toMatchObject({ mechanism: 'SCRAM-SHA-256' });
    peer.write(encodeReady({ parameters: [] }));
    await expect(logging).rejects.toMatchObject({ code: 'Protocol' });
  });

  test.each([
    [
      'a refusal',
      {
        type: 'ErrorResponse',
        fields: [
          ['S', 'FATAL'],
          ['C', '28000'],
          ['M', 'no'],
        ],
      },
      'AccessDenied',
    ],
    ['a password that there is none of', { type: 'AuthenticationCleartextPassword' }, 'AccessDenied'],
    ['a method that we lack', { type: 'AuthenticationGSS' }, 'NotImplemented'],
    ['a row', { type: 'DataRow', values: [] }, 'Protocol'],
  ] as [string, BackendMessage, string][])('the login fails for %s', async (_, message, code) => {
    const [client, peer] = await pair();
    const logging = login(client, { user: 'alice' });
    logging.catch(() => {});
    await readStartup(peer);
    send(peer, message);
    await expect(logging).rejects.toMatchObject({ code });
  });

  test.each([
    ['nothing but notices', [{ type: 'NoticeResponse', fields: [['M', 'wait']] }], /sends nothing but notices/],
    ['for the password again and again', [{ type: 'AuthenticationCleartextPassword' }], /was not content after 1000/],
    [
      'settings without end',
      [{ type: 'AuthenticationOk' }, { type: 'ParameterStatus', name: 'a', value: 'b' }],
      /was not ready after 1000 messages/,
    ],
  ] as [string, BackendMessage[], RegExp][])('a server that sends %s is left', async (_, messages, text) => {
    const [client, peer] = await pair();
    const logging = login(client, { user: 'alice', password: () => 'x', timeoutMs: 20_000 });
    logging.catch(() => {});
    await readStartup(peer);
    peer.resume();
    const [first, again = first] = messages;
    send(peer, first!, ...Array.from({ length: 1001 }, () => again!));
    await expect(logging).rejects.toMatchObject({ code: 'Protocol', message: expect.stringMatching(text) });
  });

  test('an error of ours reaches the client as one of the server', async () => {
    const [client, peer] = await pair();
    const logging = login(client, { user: 'alice' });
    logging.catch(() => {});
    await readStartup(peer);
    peer.end(encodeError(new TeleportError('NotFound', 'no database', { hint: 'Run `tsh db ls`.' })));
    await expect(logging).rejects.toMatchObject({
      sqlState: '3D000',
      message: 'no database',
      hint: 'Run `tsh db ls`.',
    });
  });

  test('asks for TLS: N is no, anything but S or N breaks the protocol', async () => {
    for (const [answer, outcome] of [
      ['N', false],
      ['E', undefined],
      ['Sx', undefined],
    ] as const) {
      const [client, peer] = await pair();
      const asking = requestTls(client, { timeoutMs: 60_000 });
      asking.catch(() => {});
      await readFirst(peer);
      peer.write(answer);
      if (outcome === false) expect(await asking).toBe(false);
      else await expect(asking).rejects.toMatchObject({ code: 'Protocol' });
    }
  });

  test('a cancel is sent and waits for the server to close', async () => {
    const [client, peer] = await pair();
    const cancelling = cancel(client, backendKey, { timeoutMs: 60_000 });
    expect((await readStartup(peer)).message).toEqual({ type: 'CancelRequest', ...backendKey });
    peer.end();
    await cancelling;
    const [silent] = await pair();
    await expect(cancel(silent, backendKey, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'ConnectionProblem' });
  });
});

describe('session', () => {
  const field = { name: 'n', tableOid: 0, column: 0, typeOid: 23, typeSize: 4, typeModifier: -1, format: 0 };
  const rows: BackendMessage[] = [
    { type: 'RowDescription', fields: [field] },
    { type: 'DataRow', values: [Buffer.from('1')] },
    { type: 'DataRow', values: [null] },
    { type: 'CommandComplete', commandTag: 'SELECT 2' },
  ];
  const ready: BackendMessage = { type: 'ReadyForQuery', txStatus: 'I' };

  test('queries, executes with parameters, meets an error and goes on, closes with Terminate', async () => {
    const [client, peer] = await pair();
    const connecting = connectSession(client, { user: 'alice' });
    await readStartup(peer);
    peer.write(encodeReady({ parameters: [], backendKey }));
    const session = await connecting;

    const two = session.query('select 1; set x=1');
    expect(await next(peer)).toEqual({ type: 'Query', query: 'select 1; set x=1' });
    send(peer, ...rows, { type: 'CommandComplete', commandTag: 'SET' }, ready);
    expect(await two).toEqual([
      { fields: [field], rows: [['1'], [null]], commandTag: 'SELECT 2' },
      { fields: [], rows: [], commandTag: 'SET' },
    ]);

    const one = session.execute('select $1', ['ä', null]);
    const sent: string[] = [];
    for (let left = 5; left > 0; left--) sent.push((await next(peer)).type);
    expect(sent).toEqual(['Parse', 'Bind', 'Describe', 'Execute', 'Sync']);
    send(peer, { type: 'ParseComplete' }, { type: 'BindComplete' }, ...rows, ready);
    expect((await one).rows).toEqual([['1'], [null]]);

    const failing = session.query('nope');
    failing.catch(() => {});
    await next(peer);
    send(
      peer,
      {
        type: 'ErrorResponse',
        fields: [
          ['S', 'ERROR'],
          ['C', '42601'],
          ['M', 'syntax'],
        ],
      },
      ready,
    );
    await expect(failing).rejects.toMatchObject({ sqlState: '42601', message: 'syntax' });

    const copying = session.query('copy t from stdin');
    copying.catch(() => {});
    await next(peer);
    send(peer, { type: 'CopyInResponse', format: 0, columnFormats: [0] });
    expect(await next(peer)).toMatchObject({ type: 'CopyFail' });
    send(
      peer,
      {
        type: 'ErrorResponse',
        fields: [
          ['C', '57014'],
          ['M', 'COPY failed'],
        ],
      },
      ready,
    );
    await expect(copying).rejects.toMatchObject({ code: 'NotImplemented' });

    const large = session.query('select', { maxResultBytes: 10 });
    large.catch(() => {});
    await next(peer);
    send(peer, { type: 'DataRow', values: [Buffer.alloc(100)] });
    await expect(large).rejects.toMatchObject({ code: 'LimitExceeded' });

    session.close();
    expect(await next(peer)).toEqual({ type: 'Terminate' });
  });
});

describe('a hostile server', () => {
  const ready: BackendMessage = { type: 'ReadyForQuery', txStatus: 'I' };
  const loggedIn: LoggedIn = {
    parameters: new Map(),
    backendKey: undefined,
    txStatus: 'I',
    unrecognizedOptions: [],
  };

  /** Says this again and again, until the other side has gone. */
  async function say(peer: Socket, ...messages: BackendMessage[]): Promise<void> {
    const piece = Buffer.concat(Array<Buffer>(200).fill(Buffer.concat(messages.map(encodeBackend))));
    const gone = once(peer, 'close').catch(() => {});
    while (!peer.destroyed) {
      if (!peer.write(piece)) await Promise.race([once(peer, 'drain').catch(() => {}), gone]);
    }
  }

  test.each<[string, StatementLimits, number, BackendMessage]>([
    ['rows without columns', { maxResultBytes: 2 ** 24 }, 16 * (7 / 66), { type: 'DataRow', values: [] }],
    ['rows of nothing', { maxResultBytes: 2 ** 24 }, 16 / 9, { type: 'DataRow', values: Array<null>(1000).fill(null) }],
    ['empty results', { maxResultBytes: 2 ** 24 }, 16 * (5 / 192), { type: 'EmptyQueryResponse' }],
    ['rows', { maxRows: 10_000 }, 0.07, { type: 'DataRow', values: [] }],
  ])('R-B5 that sends %s for ever is stopped before they fill the memory', async (_, limits, mostMib, message) => {
    const [client, peer] = await pair();
    const saying = say(peer, message);
    await expect(sessionOver(client, loggedIn, limits).query('select')).rejects.toMatchObject({
      code: 'LimitExceeded',
    });
    expect(client.bytesRead / 2 ** 20).toBeLessThan(mostMib + 2);
    client.destroy();
    await saying;
  });

  test('R-B5 cannot announce a message that is longer than what may be kept', async () => {
    const [client, peer] = await pair();
    const session = sessionOver(client, loggedIn, { maxBodyBytes: 65_536 });
    const failure = session.query('select');
    failure.catch(() => {});
    peer.write(Buffer.from('4400010005', 'hex')); // DataRow of 64 KiB and 1 byte
    await expect(failure).rejects.toMatchObject({ code: 'LimitExceeded' });
  });

  test('R-B5 does not outlast the deadline by never being silent', async () => {
    const [client, peer] = await pair();
    const saying = say(peer, { type: 'NoticeResponse', fields: [['M', 'wait']] });
    const failure = sessionOver(client, loggedIn, { timeoutMs: 300 }).query('select');
    await expect(failure).rejects.toThrow('no end of the statement within');
    client.destroy();
    await saying;
  });

  test('R-B5 says no more than it takes to log in', async () => {
    const [client, peer] = await pair();
    send(peer, { type: 'AuthenticationOk' });
    const saying = say(peer, { type: 'ParameterStatus', name: 'x', value: 'y'.repeat(60_000) });
    await expect(login(client, { user: 'alice' })).rejects.toMatchObject({ code: 'Protocol' });
    expect(client.bytesRead).toBeLessThan(8 * 2 ** 20);
    client.destroy();
    await saying;
  });

  test('R-B5 an honest one may say as much as the limits allow', async () => {
    const [client, peer] = await pair();
    const rows = sessionOver(client, loggedIn, { maxRows: 3, maxResultBytes: 1000 }).query('select');
    const row: BackendMessage = { type: 'DataRow', values: [Buffer.from('a'), null] };
    send(peer, row, row, row, { type: 'CommandComplete', commandTag: 'SELECT 3' }, ready);
    expect((await rows)[0]!.rows).toHaveLength(3);
  });
});

/** TLS with a key that both know: a handshake without certificates. */
const PSK = { ciphers: 'PSK-AES128-GCM-SHA256', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const psk = Buffer.alloc(16, 7);

async function serverTls(duplex: Duplex): Promise<Duplex> {
  const secure = new TLSSocket(duplex as Socket, { ...PSK, isServer: true, pskCallback: () => psk } as object);
  keep(secure);
  await once(secure, 'secure');
  return secure;
}

function clientTls(socket: Socket): TLSSocket {
  return keep(
    connectTls({
      ...PSK,
      socket,
      pskCallback: () => ({ psk, identity: 'test' }),
      checkServerIdentity: () => undefined,
    }),
  ) as TLSSocket;
}
