/** Our client against recorded answers of a real Auth Service 18.3.0, and our requests against those of the real tsh. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { listDatabases, ownAccess, remoteClusters } from '../../src/access/cluster/calls.js';
import { generateDatabaseCertificate, isMfaRequired, REQUESTER } from '../../src/access/cluster/issue.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import {
  IsMFARequiredRequestSchema,
  ListResourcesRequestSchema,
  UserCertsRequestSchema,
} from '../../src/api/gen/authservice_pb.js';
import { GetCertAuthoritiesRequestSchema } from '../../src/api/gen/trust_pb.js';
import { decodeIdentity } from '../../src/identity/identity.js';
import { allowedUsers } from '../../src/rbac/allowed.js';
import { type RecordedAuth, recordedCall, startRecordedAuth } from '../support/recorded-calls.js';

let server: RecordedAuth;
let client: AuthClient;

async function against(...names: string[]): Promise<AuthClient> {
  server = await startRecordedAuth(names);
  client = openAuthClient({ connect: () => server.connect(), authority: 'peer', version: '18.3.0' });
  return client;
}
afterEach(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

/** Our last request and the recorded one, decoded. */
function requests<Desc extends DescMessage>(name: string, desc: Desc) {
  const { path, request } = recordedCall(name);
  const ours = server.seen.findLast((call) => call.path === path)!;
  return [fromBinary(desc, ours.request), fromBinary(desc, request)] as const;
}

test('db ls asks as the real tsh does and reads the databases', async () => {
  const databases = await listDatabases(await against('ListResources.db-ls'), {});
  expect(databases.map(({ metadata, spec }) => [metadata.name, spec.protocol, spec.uri])).toEqual([
    ['pg', 'postgres', 'localhost:47432'],
  ]);
  const [ours, theirs] = requests('ListResources.db-ls', ListResourcesRequestSchema);
  expect(ours).toEqual(theirs);
});

test('db login of a name asks as the real tsh does', async () => {
  expect(await listDatabases(await against('ListResources.db-login'), { name: 'pg' })).toHaveLength(1);
  const [ours, theirs] = requests('ListResources.db-login', ListResourcesRequestSchema);
  expect(ours.predicateExpression).toBe(theirs.predicateExpression);
});

test.each([
  ['ListResources.unknown-name', false],
  ['ListResources.unknown-name-search-as-roles', true],
])('an unknown name is not there: %s', async (name, useSearchAsRoles) => {
  const auth = await against(name);
  expect(await listDatabases(auth, { name: 'nope' }, { useSearchAsRoles })).toEqual([]);
  const [ours, theirs] = requests(name, ListResourcesRequestSchema);
  expect([ours.predicateExpression, ours.useSearchAsRoles]).toEqual([theirs.predicateExpression, useSearchAsRoles]);
  expect(theirs.useSearchAsRoles).toBe(useSearchAsRoles);
});

test('roles come as a stream, unknown fields of Teleport are passed over', async () => {
  const own = await ownAccess(await against('GetCurrentUserRoles', 'GetUser'));
  expect(own.username).toBe('alice');
  expect(own.roles.map(({ metadata }) => metadata.name).sort()).toEqual(['access', 'auditor', 'editor']);
});

test('no second factor is wanted; the certificate that comes is for the database that was asked for', async () => {
  const auth = await against('IsMFARequired', 'GenerateUserCerts.database');
  const theirs = fromBinary(UserCertsRequestSchema, recordedCall('GenerateUserCerts.database').request);
  const [database] = await listDatabases(await databaseList(), {});
  const request = {
    username: theirs.username,
    clusterName: theirs.routeToCluster,
    database: database!,
    dbUser: theirs.routeToDatabase!.username,
    dbName: theirs.routeToDatabase!.database,
    dbRoles: [],
    tlsPublicKey: Buffer.from(theirs.tlsPublicKey).toString(),
    expires: new Date(Number(theirs.expires!.seconds) * 1000),
    requester: REQUESTER.none,
    accessRequests: [],
  };
  expect(await isMfaRequired(auth, request)).toBe(false);
  const [wanted, recorded] = requests('IsMFARequired', IsMFARequiredRequestSchema);
  expect(wanted.target.case).toBe(recorded.target.case);
  const pem = await generateDatabaseCertificate(auth, request);
  expect(new X509Certificate(pem).raw).toEqual(
    new X509Certificate(readFileSync('test/fixtures/certs/user-db.pem', 'utf8')).raw,
  );
  const [ours] = requests('GenerateUserCerts.database', UserCertsRequestSchema);
  expect(ours.routeToDatabase).toEqual(theirs.routeToDatabase);
  expect([ours.usage, ours.requesterName]).toEqual([theirs.usage, theirs.requesterName]);
});

/** The recording of `db ls`, on a server of its own. */
async function databaseList(): Promise<AuthClient> {
  const auth = await startRecordedAuth(['ListResources.db-ls']);
  const own = openAuthClient({ connect: () => auth.connect(), authority: 'peer', version: '18.3.0' });
  const list = await own.auth.listResources({ resourceType: 'db_server' });
  await own.close();
  await auth[Symbol.asyncDispose]();
  return { auth: { listResources: async () => list } } as unknown as AuthClient;
}

test('the authority, the alert and the empty lists of a login are read', async () => {
  const auth = await against(
    'GetCertAuthorities.host',
    'GetClusterAlerts.login',
    'ListRemoteClusters',
    'GetAccessCapabilities',
    'Ping',
  );
  const { certAuthoritiesV2: authorities } = await auth.trust.getCertAuthorities({ type: 'host' });
  expect(authorities.map(({ spec }) => [spec?.clusterName, spec?.activeKeys?.tls.length])).toEqual([['peer.local', 1]]);
  const [ours, theirs] = requests('GetCertAuthorities.host', GetCertAuthoritiesRequestSchema);
  expect(ours.type).toBe(theirs.type);
  expect((await auth.auth.getClusterAlerts({})).alerts).toHaveLength(1);
  expect((await auth.presence.listRemoteClusters({})).remoteClusters).toEqual([]);
  await auth.auth.getAccessCapabilities({});
  expect(await auth.auth.ping({})).toMatchObject({ clusterName: 'peer.local', serverVersion: '18.3.0' });
});

test('a leaf: listed by the root, its databases and roles by itself; the root signs for it', async () => {
  const auth = await against(
    'ListRemoteClusters.leaf',
    'ListResources.leaf',
    'GetCurrentUserRoles.leaf',
    'GetUser.leaf',
    'IsMFARequired.leaf',
    'GenerateUserCerts.leaf',
  );
  expect(await remoteClusters(auth)).toEqual([{ name: 'leaf.example.com', status: 'online', labels: {} }]);
  const databases = await listDatabases(auth, {});
  expect(databases.map(({ metadata }) => metadata.name)).toEqual(['leaf-only', 'orders']);
  const own = await ownAccess(auth);
  expect(own.username).toBe('remote-alice-root.example.com');
  const orders = databases[1]!;
  expect(allowedUsers(own.roles, orders, own.username, own.traits).allowed.sort()).toEqual(['analyst', 'reader']);
  const theirs = fromBinary(UserCertsRequestSchema, recordedCall('GenerateUserCerts.leaf').request);
  const request = {
    username: 'alice',
    clusterName: 'leaf.example.com',
    database: orders,
    dbUser: 'analyst',
    dbName: 'dev',
    dbRoles: [],
    tlsPublicKey: Buffer.from(theirs.tlsPublicKey).toString(),
    expires: new Date(Number(theirs.expires!.seconds) * 1000),
    requester: REQUESTER.none,
    accessRequests: [],
  };
  expect(await isMfaRequired(auth, request)).toBe(false);
  const [wanted, recorded] = requests('IsMFARequired.leaf', IsMFARequiredRequestSchema);
  expect(wanted.target).toEqual(recorded.target);
  const pem = await generateDatabaseCertificate(auth, request);
  expect(decodeIdentity(pem)).toMatchObject({
    username: 'alice',
    teleportCluster: 'root.example.com',
    routeToCluster: 'leaf.example.com',
    routeToDatabase: { serviceName: 'orders', username: 'analyst', database: 'dev' },
  });
  const [ours] = requests('GenerateUserCerts.leaf', UserCertsRequestSchema);
  expect([ours.routeToCluster, ours.routeToDatabase]).toEqual([theirs.routeToCluster, theirs.routeToDatabase]);
});

test('a method that the real server does not have is NotImplemented, from headers alone', async () => {
  const { auth } = await against();
  await expect(auth.getTokens({})).rejects.toMatchObject({ code: 'NotImplemented' });
});
