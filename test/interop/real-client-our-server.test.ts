/** What the real tsh and tctl 18.3.0 sent, sent to a whole cluster of ours through the Proxy's port. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { hexName } from '../../src/api/alpn.js';
import {
  CertsSchema,
  ListResourcesResponseSchema,
  PingResponseSchema,
  UserCertsRequestSchema,
} from '../../src/api/gen/authservice_pb.js';
import { GetCertAuthoritiesResponseSchema } from '../../src/api/gen/trust_pb.js';
import { RoleV6Schema } from '../../src/api/gen/types_pb.js';
import { GetUserResponseSchema } from '../../src/api/gen/users_pb.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { recordedCall, recordedNames, sendRecorded } from '../support/recorded-calls.js';

let cluster: TestCluster;
let session: ClientHttp2Session;

beforeAll(async () => {
  cluster = await startTestCluster({
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst', 'access'] }],
  });
  const database = { kind: 'db', version: 'v3', metadata: { name: 'pg' } };
  await cluster.create({ ...database, spec: { protocol: 'postgres', uri: 'localhost:1' } });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['pg']);
  session = await dial(`teleport-auth@${hexName(cluster.name)}`, hexName(cluster.name));
});
afterAll(async () => {
  session?.destroy();
  await cluster?.stop();
});

/** As the real clients dial: with the certificates of `~/.tsh`. */
async function dial(alpn: string, servername: string): Promise<ClientHttp2Session> {
  const keys = join(cluster.dir, 'alice', '.tsh', 'keys', 'localhost');
  const read = (name: string) => readFileSync(join(keys, name), 'utf8');
  const socket = connectTls({
    host: '127.0.0.1',
    port: Number(cluster.proxyAddr.split(':')[1]),
    servername,
    ALPNProtocols: alpn === 'h2' ? ['h2'] : [alpn, 'h2'],
    key: read('alice.key'),
    cert: read('alice.crt'),
    ca: read(`cas/${cluster.name}.pem`),
  });
  await once(socket, 'secureConnect');
  const opened = connectHttp2('https://auth', { createConnection: () => socket });
  opened.on('error', () => {});
  return opened;
}

const answerOf = (name: string) => sendRecorded(session, recordedCall(name));
const MAKES_CERTIFICATES = /^GenerateUserCerts/;

test.each(recordedNames().filter((name) => !MAKES_CERTIFICATES.test(name)))('%s ends as recorded', async (name) => {
  const { status, text, headers } = await answerOf(name);
  expect([status, text]).toEqual([recordedCall(name).status, '']);
  expect(headers.version).toBe('18.3.0');
});

test('the answers have what tsh reads', async () => {
  const [list] = (await answerOf('ListResources.db-ls')).messages;
  const { resources, nextKey } = fromBinary(ListResourcesResponseSchema, list!);
  expect(resources.map(({ resource }) => (resource.value as { metadata: { name: string } }).metadata.name)).toEqual([
    'pg',
  ]);
  expect(nextKey).toBe('');
  const roles = (await answerOf('GetCurrentUserRoles')).messages.map((bytes) => fromBinary(RoleV6Schema, bytes));
  expect(roles.map(({ metadata }) => metadata?.name).sort()).toEqual(['access', 'analyst']);
  const [user] = (await answerOf('GetUser')).messages;
  expect(fromBinary(GetUserResponseSchema, user!).user?.metadata?.name).toBe('alice');
  const [ping] = (await answerOf('Ping')).messages;
  expect(fromBinary(PingResponseSchema, ping!)).toMatchObject({ clusterName: cluster.name, serverVersion: '18.3.0' });
  const [host] = (await answerOf('GetCertAuthorities.host')).messages;
  const [authority] = fromBinary(GetCertAuthoritiesResponseSchema, host!).certAuthoritiesV2;
  expect([authority?.spec?.clusterName, authority?.spec?.activeKeys?.tls.length]).toEqual([cluster.name, 1]);
});

test('a certificate for a leaf that is not there is refused in the words of Teleport', async () => {
  const call = recordedCall('GenerateUserCerts.leaf');
  const message = fromBinary(UserCertsRequestSchema, call.request);
  message.expires!.seconds = BigInt(Math.floor(Date.now() / 1000) + 600);
  const { status, text } = await sendRecorded(session, call, { request: toBinary(UserCertsRequestSchema, message) });
  expect([status, text]).toEqual([5, 'remote cluster "leaf.example.com" is not found']);
});

test.each(recordedNames().filter((name) => MAKES_CERTIFICATES.test(name)))('%s: a certificate comes', async (name) => {
  const call = recordedCall(name);
  const message = fromBinary(UserCertsRequestSchema, call.request);
  // The recorded time is over, and the recorded cluster had another name.
  message.expires!.seconds = BigInt(Math.floor(Date.now() / 1000) + 600);
  message.routeToCluster = cluster.name;
  const { status, text, messages } = await sendRecorded(session, call, {
    request: toBinary(UserCertsRequestSchema, message),
  });
  expect([status, text]).toEqual([0, '']);
  expect(Buffer.from(fromBinary(CertsSchema, messages[0]!).tls).toString()).toMatch(/^-----BEGIN CERTIFICATE-----/);
});

test('tctl by the name of the cluster and the API client by the name of any host reach the same Auth', async () => {
  for (const servername of [hexName(cluster.name), 'teleport.cluster.local']) {
    const own = await dial('h2', servername);
    const { status } = await sendRecorded(own, recordedCall('Ping'));
    own.destroy();
    expect(status).toBe(0);
  }
});

test('calls that we lack are Unimplemented, said in the headers', async () => {
  for (const path of ['/proto.AuthService/ListUnifiedResources', '/teleport.notifications.v1.NotificationService/X']) {
    const { status, headers } = await sendRecorded(session, { ...recordedCall('Ping'), path });
    expect([status, headers['grpc-status']]).toEqual([12, '12']);
  }
});
