/** The fake cluster against recordings of the real one: the same messages, field by field. */
import { readUserSshCertificate } from '../../src/identity/ssh-cert.js';
import { readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { TABLES } from './fake-cluster/messages.js';
import { sshExtensions } from './fake-cluster/person.js';
import { decode, encode, type Table } from './fake-cluster/protobuf.js';
import { createSshCa } from './fake-cluster/ssh-ca.js';
import { recordedCall } from './recorded-calls.js';

const HOST = { clusterName: 'peer.local', type: 'host' };
const PEM = expect.objectContaining({ 0: 45, 1: 45 }); // it begins with dashes

test.each<[string, 'request' | 'response', Table, object]>([
  [
    'GetUser',
    'response',
    TABLES.user,
    { user: { metadata: { name: 'alice' }, spec: { roles: ['access', 'editor', 'auditor'] } } },
  ],
  [
    'ListResources.db-ls',
    'response',
    TABLES.resources,
    {
      resources: [
        {
          databaseServer: {
            kind: 'db_server',
            spec: {
              version: '18.3.0',
              hostname: 'peer',
              hostId: '356f3cc6-c216-43c9-ae29-490a0c6b6218',
              database: {
                metadata: { name: 'pg', labels: expect.arrayContaining([{ key: 'env', value: 'dev' }]) },
                spec: { protocol: 'postgres', uri: 'localhost:47432' },
              },
            },
          },
        },
      ],
    },
  ],
  [
    'GetCurrentUserRoles',
    'response',
    TABLES.role,
    {
      version: 'v7',
      metadata: { name: 'access' },
      spec: {
        allow: {
          namespaces: ['default'],
          dbLabels: { values: [{ key: '*', value: { values: ['*'] } }] },
          dbNames: ['{{internal.db_names}}'],
          dbUsers: ['{{internal.db_users}}'],
        },
        deny: { namespaces: ['default'] },
      },
    },
  ],
  [
    'GenerateUserCerts.database',
    'request',
    TABLES.certsRequest,
    {
      username: 'alice',
      expires: { seconds: 1795274603 },
      routeToCluster: 'peer.local',
      routeToDatabase: { serviceName: 'pg', protocol: 'postgres', username: 'postgres', database: 'bench' },
      tlsPublicKey: PEM,
    },
  ],
  ['GenerateUserCerts.login-cluster', 'response', TABLES.certs, { ssh: expect.anything(), tls: PEM }],
  [
    'GetCertAuthorities.host',
    'response',
    TABLES.authorities,
    {
      authorities: [
        { spec: { ...HOST, activeKeys: { ssh: [{ publicKey: expect.anything() }], tls: [{ cert: PEM }] } } },
      ],
    },
  ],
  [
    'ListRemoteClusters.leaf',
    'response',
    TABLES.remoteClusters,
    { remoteClusters: [{ metadata: { name: 'leaf.example.com' }, status: { connection: 'online' } }] },
  ],
  [
    'access-requests/CreateAccessRequestV2',
    'response',
    TABLES.accessRequest,
    {
      kind: 'access_request',
      metadata: { name: '01a1fd1d-29db-7711-af61-d6e8971a64c8' },
      spec: {
        user: 'alice',
        roles: ['prod-dba'],
        state: 1,
        created: { seconds: 1795247909 },
        expires: { seconds: 1795287956 },
        expiry: { seconds: 1795287956 },
      },
    },
  ],
  [
    'access-requests/GetAccessRequestsV2',
    'response',
    TABLES.accessRequest,
    { spec: { state: 2, resolveReason: 'go on' } },
  ],
])('%s: the %s of the real program has what the table says, and nothing is lost', (name, side, table, fields) => {
  const call = recordedCall(name);
  const bytes = side === 'request' ? call.request : call.responses[0]!;
  const message = decode(table, bytes);
  expect(message).toMatchObject(fields);
  const again = encode(table, message);
  expect([decode(table, again), again.length]).toEqual([message, bytes.length]);
});

test('an SSH certificate of its authority is one, and says what tsh status shows', () => {
  const person = { name: 'alice', roles: ['access'], cluster: 'a', route: 'b', requests: [], resources: undefined };
  const now = new Date('2026-11-21T04:00:00Z');
  const authority = createSshCa();
  const line = authority.sign(authority.line, {
    keyId: person.name,
    principals: ['bob'],
    from: now,
    to: new Date(now.getTime() + 60_000),
    extensions: sshExtensions(person),
  });
  expect(readSshCertificate(line)).toMatchObject({ type: 'user', keyId: 'alice' }); // its signature is right
  expect(readUserSshCertificate(line)).toMatchObject({ roles: ['access'], logins: ['bob'], validAfter: now });
});
