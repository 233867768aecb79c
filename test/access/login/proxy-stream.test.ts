import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { proxyClusterStream } from '../../../src/access/login/proxy-stream.js';
import { type AuthClient, openAuthClient } from '../../../src/api/client.js';
import { TransportService } from '../../../src/api/gen/transport_pb.js';
import { type AuthHttp2Server, createAuthHttp2Server } from '../../../src/api/server.js';

let server: Server;
let grpc: AuthHttp2Server;
let client: AuthClient;
const largest = { bytes: 0 };

beforeAll(async () => {
  grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes: (router) =>
      void router.service(TransportService, {
        async *proxyCluster(requests) {
          for await (const { cluster, frame } of requests) {
            if (cluster !== '' && cluster !== 'root') {
              throw new ConnectError(`failed dialing cluster "${cluster}"`, Code.NotFound);
            }
            largest.bytes = Math.max(largest.bytes, frame?.payload.length ?? 0);
            if (frame) yield { frame };
          }
        },
      }),
  });
  server = createServer((socket) => grpc.accept(socket, { remoteAddr: '' }));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  client = openAuthClient({ connect: async () => connect(port, '127.0.0.1'), authority: 'x', version: '18.3.0' });
});
afterAll(async () => {
  await client.close();
  await grpc.close({ graceMs: 0 });
  await new Promise((done) => server.close(done));
});

test('bytes arrive as they were sent, in frames of at most 16 KiB, and the end ends both ways', async () => {
  const stream = proxyClusterStream(client.transport, 'root');
  const sent = randomBytes(300_000);
  stream.end(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  expect(largest.bytes).toBe(16 * 1024);
});

test('a cluster that cannot be dialled ends the stream with the reason', async () => {
  const stream = proxyClusterStream(client.transport, 'other');
  const error = await new Promise((done) => stream.once('error', done).resume());
  expect(error).toMatchObject({ code: 'NotFound', message: 'failed dialing cluster "other"' });
});
