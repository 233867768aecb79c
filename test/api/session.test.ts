/** One session at a time to Auth, over sockets that somebody else dials. */
import { once } from 'node:events';
import { constants, createServer, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterEach, expect, test } from '@jest/globals';
import { openAuthClient } from '../../src/api/client.js';
import { AuthService } from '../../src/api/gen/authservice_pb.js';
import { AuthSession } from '../../src/api/session.js';
import { gone } from '../support/gone.js';

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
  await gone(sockets[0]!);
  expect([sockets.length, next.closed]).toEqual([2, false]);
  next.close();
  await session.close();
});

test('a call that meets a connection which is being closed is made once more, and only once', async () => {
  let refusals = 1;
  let taken = 0;
  const adapter = connectNodeAdapter({
    routes: (router) => void router.service(AuthService, { ping: () => ({ clusterName: `call ${++taken}` }) }),
  });
  const refusing = createServer((request, response) => {
    if (refusals-- > 0) response.stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else adapter(request, response);
  }).listen(0, '127.0.0.1');
  await once(refusing, 'listening');
  const { port } = refusing.address() as AddressInfo;
  const client = openAuthClient({
    authority: 'a.b',
    version: '18.3.0',
    async connect() {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
  });
  expect((await client.auth.ping({})).clusterName).toBe('call 1');
  refusals = 2;
  await expect(client.auth.ping({})).rejects.toMatchObject({ code: 'ConnectionProblem' });
  expect([refusals, taken]).toEqual([0, 1]);
  await client.close();
  refusing.close();
});
