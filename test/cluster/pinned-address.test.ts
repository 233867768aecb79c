/**
 * People whose certificates are pinned to the address of their login (`pin_source_ip`), through a load balancer that says it
 * in a PROXY header: the Proxy, Auth and the Database Service must take it for one address, however each came by it.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { encodeProxyHeader } from '../../src/net/proxy-protocol.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';

const pinned = roleResource('pinned', { db_users: ['analyst'], db_names: ['dev'] }, { pin_source_ip: true });

/** A load balancer: says in front of each connection that it came from `stated`. */
async function startBalancer() {
  const at = { stated: '192.0.2.1', port: 0 };
  const server: Server = createServer((client) => {
    const up = connect(at.port, '127.0.0.1');
    up.write(encodeProxyHeader({ address: at.stated, port: 4711 }, { address: '127.0.0.1', port: at.port }));
    client.pipe(up).pipe(client);
    client.on('error', () => up.destroy()).on('close', () => up.destroy());
    up.on('error', () => client.destroy()).on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { at, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe.each(['127.0.0.1', '::1'])('H1 pinned addresses, Auth at %s', (authHost) => {
  let balancer: Awaited<ReturnType<typeof startBalancer>>;
  let cluster: TestCluster;
  let proxy: string;
  beforeAll(async () => {
    balancer = await startBalancer();
    proxy = `localhost:${balancer.port}`;
    cluster = await startTestCluster({
      postgres: true,
      roles: [pinned],
      authHost,
      proxy: { public_addr: proxy, proxy_protocol: 'on', proxy_protocol_from: '127.0.0.1' },
      onStart: ({ proxyPort }) => {
        balancer.at.port = proxyPort;
      },
      users: [{ name: 'alice', roles: ['pinned'] }],
    });
  });
  afterAll(async () => {
    await cluster?.stop();
    balancer?.close();
  });

  test.each(['2001:db8::1', '::1', '203.0.113.7', '::ffff:203.0.113.8', '2001:DB8:0:0:0:0:0:a'])(
    'a person at %s logs in, lists and connects; the same login from elsewhere is refused',
    async (address) => {
      const home = address.replace(/\W/g, '-');
      balancer.at.stated = address;
      const login = await cluster.typeLogin(home, [cluster.people.alice!.password], `--proxy=${proxy}`, '--user=alice');
      expect(login).toMatchObject({ status: 0 });
      const listed = await cluster.tsh(home, 'db', 'ls', '--format=json');
      expect(listed).toMatchObject({ status: 0, stdout: expect.stringContaining('"orders"') });
      const select = ['db', 'exec', '--dbs=orders', '--db-user=analyst', '--db-name=dev', 'select 42 as answer'];
      expect(await cluster.tsh(home, ...select)).toMatchObject({ status: 0, stdout: expect.stringContaining('42') });

      balancer.at.stated = '198.51.100.9';
      const refused = await cluster.tsh(home, 'db', 'ls');
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('pinned IP') });
    },
  );
});
