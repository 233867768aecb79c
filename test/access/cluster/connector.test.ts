/**
 * The connector between a local client and a Proxy that is a plain socket here: what goes up, what comes down, who
 * closes.
 * Tests: src/localproxy/clients.ts
 */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { ClusterConnector, type ClusterConnectorOptions } from '../../../src/access/cluster/connector.js';
import { TeleportError } from '../../../src/errors.js';
import { silent } from '../../../src/log.js';
import { dialTcp } from '../../../src/net/dial.js';
import { decodeBackend } from '../../../src/pg/decode.js';
import { encodeBackend } from '../../../src/pg/encode.js';
import { encodeError } from '../../../src/pg/sqlstate.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../../src/pg/startup.js';
import { deadlineIn, readBackend, readExactly, readFirst } from '../../../src/pg/stream.js';
import { gone } from '../../support/gone.js';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: PROTOCOL_3_0,
  parameters: new Map([['user', 'alice']]),
});
const SSL_REQUEST = encodeFirst({ type: 'SSLRequest' });
const GSSENC_REQUEST = encodeFirst({ type: 'GSSENCRequest' });
const CANCEL_REQUEST = encodeFirst({ type: 'CancelRequest', pid: 7, secret: Buffer.from('abcd') });
const AUTH_OK = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);

async function listenOn(server: Server, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as { port: number }).port;
}

interface Setup {
  client: () => Promise<Socket>;
  /** Dials of the connector, with or without certificate. */
  dials: boolean[];
  refused: () => number;
  served: Promise<void>[];
}

/** @param proxy  what the Proxy does with each connection, numbered from 0 */
async function setup(
  proxy: (socket: Socket, index: number) => void,
  { onlyCancel, ...options }: Partial<ClusterConnectorOptions> & { onlyCancel?: () => boolean } = {},
): Promise<Setup> {
  let index = 0;
  const port = await listenOn(createServer({ allowHalfOpen: true }), (socket) => proxy(socket, index++));
  const dials: boolean[] = [];
  let refused = 0;
  const connector = new ClusterConnector({
    dial: ({ withCertificate }) => {
      dials.push(withCertificate);
      return dialTcp({ host: '127.0.0.1', port, allowHalfOpen: true });
    },
    address: `127.0.0.1:${port}`,
    log: silent,
    onRefused: () => (refused += 1),
    ...options,
  });
  const served: Promise<void>[] = [];
  const local = await listenOn(createServer({ allowHalfOpen: true }), (socket) => {
    served.push(connector.serve(socket, { onlyCancel: onlyCancel?.() ?? false }));
  });
  undo.push(() => connector[Symbol.asyncDispose]());
  const client = async () => {
    const socket = connect({ host: '127.0.0.1', port: local, allowHalfOpen: true });
    socket.on('error', () => {});
    undo.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return { client, dials, refused: () => refused, served };
}

async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function errorOf(socket: Socket): Promise<string> {
  const bytes = await rest(socket);
  const message = decodeBackend(bytes.readUInt8(0), bytes.subarray(5));
  return message.type === 'ErrorResponse' ? (message.fields.find(([code]) => code === 'M')?.[1] ?? '') : message.type;
}

describe('tunnel', () => {
  test('answers SSLRequest and GSSENCRequest itself and sends the StartupMessage up unchanged, with the certificate', async () => {
    const up: Buffer[] = [];
    const { client, dials } = await setup((socket) => {
      socket.once('data', (chunk) => {
        up.push(chunk);
        socket.write(AUTH_OK);
        socket.on('data', (more) => socket.write(more));
      });
    });
    const psql = await client();
    psql.write(GSSENC_REQUEST);
    expect(await readExactly(psql, 1, deadlineIn())).toEqual(Buffer.from('N'));
    psql.write(SSL_REQUEST);
    expect(await readExactly(psql, 1, deadlineIn())).toEqual(Buffer.from('N'));
    psql.write(STARTUP);
    expect(await readBackend(psql)).toEqual({ type: 'AuthenticationOk' });
    expect(up).toEqual([STARTUP]);
    expect(dials).toEqual([true]);
    psql.write('both ways');
    expect((await readExactly(psql, 9, deadlineIn())).toString()).toBe('both ways');
  });

  test('passes a half-close on and still brings what comes after it', async () => {
    const { client, served } = await setup((socket) => {
      socket.once('data', () => socket.write(AUTH_OK));
      socket.on('end', () => socket.end('late words'));
    });
    const psql = await client();
    psql.write(STARTUP);
    await readBackend(psql);
    psql.end();
    expect((await rest(psql)).toString()).toBe('late words');
    await served[0];
  });

  test('ends the way up when the client is gone', async () => {
    let end: Promise<unknown> | undefined;
    const { client } = await setup((socket) => {
      end = gone(socket);
      socket.on('end', () => socket.end());
      socket.once('data', () => socket.write(AUTH_OK));
    });
    const psql = await client();
    psql.write(STARTUP);
    await readBackend(psql);
    psql.resetAndDestroy();
    await end;
  });

  test('sends a CancelRequest up and closes the client quietly when the Proxy has taken it', async () => {
    const taken: Buffer[] = [];
    const { client, dials, refused } = await setup((socket) => {
      socket.once('data', (chunk) => {
        taken.push(chunk);
        socket.end();
      });
    });
    const psql = await client();
    psql.write(CANCEL_REQUEST);
    expect((await rest(psql)).length).toBe(0);
    expect(taken).toEqual([CANCEL_REQUEST]);
    expect(dials).toEqual([true]);
    expect(refused()).toBe(0);
  });
});

describe('X13 a client of whom the system says nothing any more', () => {
  const READY = Buffer.concat([
    AUTH_OK,
    encodeBackend({ type: 'BackendKeyData', pid: 7, secret: Buffer.from('abcd') }),
  ]);

  /** One connection of a known client, with the key of CANCEL_REQUEST, and then others that nobody knows. */
  async function connected() {
    const up: Buffer[] = [];
    let isKnown = true;
    const made = await setup(
      (socket, index) =>
        socket.once('data', (chunk) => {
          up.push(chunk);
          if (index === 0) socket.on('end', () => socket.end()).write(READY);
          else socket.end();
        }),
      { onlyCancel: () => !isKnown },
    );
    const psql = await made.client();
    psql.write(STARTUP);
    await readBackend(psql);
    await readBackend(psql);
    isKnown = false;
    return { ...made, psql, up };
  }

  test('cancels by the key that was given out, while that connection is there', async () => {
    const { client, psql, up, served } = await connected();
    const canceller = await client();
    canceller.end(CANCEL_REQUEST);
    expect(await rest(canceller)).toHaveLength(0);
    expect(up).toEqual([STARTUP, CANCEL_REQUEST]);
    psql.destroy();
    await served[0];
    const late = await client();
    late.end(CANCEL_REQUEST);
    expect(await errorOf(late)).toContain('the system does not say whose yours is');
    expect(up).toHaveLength(2);
  });

  test.each([
    ['another key', encodeFirst({ type: 'CancelRequest', pid: 7, secret: Buffer.from('abce') })],
    ['another process', encodeFirst({ type: 'CancelRequest', pid: 8, secret: Buffer.from('abcd') })],
    ['a StartupMessage', STARTUP],
  ])('gets nothing for %s', async (_, packet) => {
    const { client, up } = await connected();
    const stranger = await client();
    stranger.end(packet);
    expect(await errorOf(stranger)).toContain('this port is for programs of the user who started it');
    expect(up).toEqual([STARTUP]);
  });
});

describe('a refusal', () => {
  test('of user or name reaches the client as it came and is told', async () => {
    const packet = encodeError(
      new TeleportError(
        'AccessDenied',
        'access to db denied. User does not have permissions. Confirm database user and name.',
      ),
    );
    const { client, refused } = await setup((socket) => socket.once('data', () => socket.end(packet)));
    const psql = await client();
    psql.write(STARTUP);
    psql.end();
    expect(await rest(psql)).toEqual(packet);
    expect(refused()).toBe(1);
  });

  test('for another reason is not taken for one of user or name', async () => {
    const packet = encodeError(new TeleportError('NotFound', 'database "x" does not exist'));
    const { client, refused } = await setup((socket) => socket.once('data', () => socket.end(packet)));
    const psql = await client();
    psql.write(STARTUP);
    psql.end();
    expect(await errorOf(psql)).toBe('database "x" does not exist');
    expect(refused()).toBe(0);
  });

  test('without a word becomes an ErrorResponse', async () => {
    const { client } = await setup((socket) => socket.once('data', () => socket.end()));
    const psql = await client();
    psql.write(STARTUP);
    expect(await errorOf(psql)).toMatch(/^the proxy closed the connection without an answer/);
  });

  test('of the connection to the Proxy becomes an ErrorResponse', async () => {
    const dial = () => Promise.reject(new TeleportError('ConnectionProblem', 'dial tcp: no route'));
    const { client } = await setup(() => {}, { dial });
    const psql = await client();
    psql.write(STARTUP);
    expect(await errorOf(psql)).toBe('dial tcp: no route');
  });

  test('of our certificate, which TLS 1.3 says after the handshake, becomes an ErrorResponse', async () => {
    const alert = Object.assign(new Error('ssl3_read_bytes'), { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' });
    const dial = async () =>
      new Duplex({
        read() {},
        write(_chunk, _encoding, done) {
          done();
          setImmediate(() => this.destroy(alert));
        },
      });
    const { client } = await setup(() => {}, { dial });
    const psql = await client();
    psql.write(STARTUP);
    expect(await errorOf(psql)).toBe('the proxy refused our certificate: remote error: tls: unknown ca');
  });
});

describe('a connection dialled ahead', () => {
  test('serves the first client, the next one gets its own', async () => {
    const { client, dials } = await setup(
      (socket, index) => socket.once('data', () => socket.write(Buffer.concat([AUTH_OK, Buffer.from([index])]))),
      { warm: true },
    );
    for (const index of [0, 1]) {
      const psql = await client();
      psql.write(STARTUP);
      await readBackend(psql);
      expect(await readExactly(psql, 1, deadlineIn())).toEqual(Buffer.from([index]));
    }
    expect(dials).toEqual([true, true]);
  });

  test('and closed meanwhile is replaced without the client noticing', async () => {
    const closed: Promise<unknown>[] = [];
    const { client, dials } = await setup(
      (socket, index) => {
        if (index === 0) {
          socket.end();
          closed.push(gone(socket.resume()));
        } else socket.once('data', () => socket.write(AUTH_OK));
      },
      { warm: true },
    );
    const psql = await client();
    psql.write(STARTUP);
    expect(await readBackend(psql)).toEqual({ type: 'AuthenticationOk' });
    expect(dials).toEqual([true, true]);
  });

  test('and never used is closed with the connector', async () => {
    const ends: Promise<unknown>[] = [];
    const arrived = new Promise<void>((resolve) => {
      void setup(
        (socket) => {
          ends.push(gone(socket.resume()));
          socket.on('end', () => socket.end());
          resolve();
        },
        { warm: true },
      );
    });
    await arrived;
    for (const one of undo.splice(1)) await one();
    await Promise.all(ends);
  });
});

describe('client TLS', () => {
  test('passes the SSLRequest up on a connection without our certificate', async () => {
    const { client, dials } = await setup(
      (socket) => {
        void readFirst(socket).then(({ message }) => socket.end(message.type === 'SSLRequest' ? 'S!' : '?'));
      },
      { clientTls: true },
    );
    const psql = await client();
    psql.write(SSL_REQUEST);
    psql.end();
    expect((await rest(psql)).toString()).toBe('S!');
    expect(dials).toEqual([false]);
  });

  test('sends a CancelRequest, which comes in clear, with our certificate', async () => {
    const { client, dials } = await setup((socket) => socket.once('data', () => socket.end()), { clientTls: true });
    const psql = await client();
    psql.write(CANCEL_REQUEST);
    await rest(psql);
    expect(dials).toEqual([true]);
  });
});
