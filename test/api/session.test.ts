/** One session at a time to Auth, over sockets that somebody else dials. */
import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { AuthSession } from '../../src/api/session.js';

const server = createServer();
const sessions: ServerHttp2Session[] = [];
server.on('session', (session) => void sessions.push(session));
afterEach(() => {
  for (const session of sessions) session.destroy();
  server.close();
});

test('M1 a connection that was left ends with its streams or after a while, and the next call has another', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  const session = new AuthSession({
    authority: 'a.b',
    leaveTimeoutMs: 100,
    async connect() {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
  });
  const endless = await session.request('POST', '/x', {}, {});
  endless.on('error', () => {});
  session.leave();
  const next = await session.request('POST', '/x', {}, {});
  next.on('error', () => {});
  await once(sockets[0]!, 'close');
  expect([sockets.length, next.closed]).toEqual([2, false]);
  next.close();
  await session.close();
});
