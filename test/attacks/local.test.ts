/**
 * What other programs of a person's machine, and pages in the person's browser, can say to the port of `tsh proxy db --tunnel`,
 * which asks nobody for a password. A page can have a browser connect there under any name (DNS rebinding changes nothing: the
 * bytes are the same) and choose much of what it sends, but not the first of it. Nothing of that goes up, and nothing that was
 * sent comes back.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ClusterConnector } from '../../src/access/cluster/connector.js';
import { type LocalProxy, startLocalProxy } from '../../src/localproxy/listener.js';
import { silent } from '../../src/log.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';
import { gone } from '../support/gone.js';

const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: PROTOCOL_3_0,
  parameters: new Map([
    ['user', 'analyst'],
    ['database', 'dev'],
  ]),
}).toString('latin1');
const HOST = 'Host: rebound.example.com\r\nOrigin: https://evil.example.com\r\n';
/** A mark that must not come back: no page may read its own words as if this port had said them. */
const MARK = '<script>alert(1)</script>';

const PLAIN: Record<string, string> = {
  'a GET': `GET /${MARK} HTTP/1.1\r\n${HOST}\r\n`,
  'a preflight': `OPTIONS / HTTP/1.1\r\n${HOST}Access-Control-Request-Private-Network: true\r\n\r\n`,
  'a POST with a session of PostgreSQL in its body': `POST / HTTP/1.1\r\n${HOST}Content-Length: 999\r\n\r\n${STARTUP}${MARK}`,
  'a POST of a form, whose body begins the same': `POST / HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\n\r\n\0\0\0\x08\x04\xd2\x16\x2f${STARTUP}`,
  'a WebSocket': `GET / HTTP/1.1\r\n${HOST}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  'HTTP/2 in clear': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${STARTUP}`,
  'HTTP/0.9': `GET /${MARK}\r\n`,
  'a request to a proxy': `CONNECT db.example.com:5432 HTTP/1.1\r\n${HOST}\r\n${STARTUP}`,
  'line feeds before a request': `\n\n\n\nGET / HTTP/1.1\r\n${HOST}\r\n`,
  'SOCKS 5': `\x05\x01\x00\x05\x01\x00\x03\x09localhost\x15\x38${STARTUP}`,
  'a PROXY header': `PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n${STARTUP}`,
  'a mail': `EHLO evil\r\nMAIL FROM:<a@b>\r\n${MARK}\r\n`,
};

describe('X13 a page in a browser gets nothing from a tunnel', () => {
  let proxy: LocalProxy;
  let dialled = 0;
  beforeAll(async () => {
    const connector = new ClusterConnector({
      dial: async (): Promise<Duplex> => {
        dialled += 1;
        throw new Error('nothing of a browser may go up');
      },
      address: 'proxy.example.com:443',
      log: silent,
    });
    proxy = await startLocalProxy({
      at: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      serve: (client, options) => connector.serve(client, options),
      leave: async () => connector[Symbol.asyncDispose](),
    });
  });
  afterAll(() => proxy.close());

  async function answer(bytes: string): Promise<string> {
    const socket = connect(proxy.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('error', () => {}).on('data', (chunk) => chunks.push(chunk));
    socket.write(bytes, 'latin1');
    await gone(socket);
    return Buffer.concat(chunks).toString('latin1');
  }

  test.each(Object.entries(PLAIN))('%s', async (_, bytes) => {
    const said = await answer(bytes);
    expect(dialled).toBe(0);
    // An ErrorResponse of PostgreSQL at most: no browser takes it for an answer.
    expect(said === '' || said.startsWith('E')).toBe(true);
    expect(said).not.toMatch(/script|HTTP|evil|analyst/);
  });

  test('https', async () => {
    const socket = connectTls({ host: '127.0.0.1', port: proxy.port, servername: 'rebound.example.com' });
    await expect(once(socket, 'secureConnect')).rejects.toThrow();
    socket.destroy();
    expect(dialled).toBe(0);
  });

  test('the test itself can tell: a client of PostgreSQL does go up', async () => {
    const said = await answer(STARTUP);
    expect(dialled).toBe(1);
    expect(said).toContain('nothing of a browser may go up');
  });
});
