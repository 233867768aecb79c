import { chooseRoute, classify } from '../../src/proxy/alpn-route.js';

const cluster = { clusterName: 'example.cluster' };
const HEX = '6578616d706c652e636c7573746572.teleport.cluster.local';
const OTHER = '6f74686572.teleport.cluster.local';

test.each([
  ['1603010200010001', 'tls'],
  ['0000000804d2162f', 'postgres'],
  ['0000000804d21630', 'postgres'],
  ['0000001004d2162e', 'postgres'],
  ['50524f5859205443', 'proxy-header'],
  ['0d0a0d0a000d0a51', 'proxy-header'],
  [Buffer.from('GET / HT').toString('hex'), 'other'],
  [Buffer.from('SSH-2.0-').toString('hex'), 'other'],
  ['0000002300030000', 'postgres'],
  ['0000002300030002', 'postgres'],
  ['0000002300020000', 'other'],
  ['0100002300030000', 'other'],
])('first bytes %s are %s', (hex, kind) => {
  expect(classify(Buffer.from(hex, 'hex'))).toBe(kind);
});

test.each([
  ['no name at all is the web', [], 'localhost', 'web'],
  ['http/1.1', ['http/1.1'], 'localhost', 'web'],
  ['h2', ['h2', 'http/1.1'], 'localhost', 'web'],
  ['ACME among others', ['acme-tls/1', 'http/1.1'], undefined, 'web'],
  ['PostgreSQL', ['teleport-postgres-ping', 'teleport-postgres'], 'localhost', 'postgres'],
  ['transport', ['teleport-proxy-ssh-grpc', 'h2'], HEX, 'transport'],
  ['join', ['teleport-proxy-grpc', 'h2'], 'localhost', 'join'],
  ['the test for load balancers', ['teleport-reversetunnel'], 'localhost', 'reverse-tunnel'],
  ['an unknown name in front is passed over', ['x', 'teleport-postgres'], undefined, 'postgres'],
  ['an agent', ['teleshift-tunnel'], HEX, 'tunnel'],
  ['h2 in front of teleport-auth@', ['h2', `teleport-auth@${HEX}`], HEX, 'web'],
  ['tctl at another cluster', ['h2'], OTHER, 'web'],
])('%s', (_name, alpn, serverName, service) => {
  expect(chooseRoute({ serverName, alpn }, cluster)).toEqual({ action: 'serve', service });
});

test('an ACME authority asks with one name alone', () => {
  const serverName = 'teleport.example.com';
  expect(chooseRoute({ serverName, alpn: ['acme-tls/1'] }, cluster)).toEqual({ action: 'challenge', name: serverName });
});

test.each([
  ['auth by name', [`teleport-auth@${HEX}`, 'h2'], HEX],
  ['auth by name alone; what can be negotiated is Auth’s business', [`teleport-auth@${HEX}`], undefined],
  ['tctl gRPC', ['h2'], HEX],
  ['tctl REST', ['http/1.1'], HEX],
  ['API client for Go', ['h2'], 'teleport.cluster.local'],
])('forwarded to Auth: %s', (_name, alpn, serverName) => {
  expect(chooseRoute({ serverName, alpn }, cluster)).toEqual({ action: 'forward', cluster: 'example.cluster' });
});

test('forwarded to the Auth Service of another cluster, which may be a leaf', () => {
  const asked = { serverName: HEX, alpn: [`teleport-auth@${OTHER}`, 'h2'] };
  expect(chooseRoute(asked, cluster)).toEqual({ action: 'forward', cluster: 'other' });
});

test.each([
  ['only unknown names', ['x', 'y'], undefined],
  ['the name of the cluster not in first place', ['x', `teleport-auth@${HEX}`], HEX],
  ['no hex', ['teleport-auth@zz.teleport.cluster.local'], undefined],
  ['Kubernetes', ['h2'], 'kube-teleport-proxy-alpn.localhost'],
])('closed without alert: %s', (_name, alpn, serverName) => {
  expect(chooseRoute({ serverName, alpn }, cluster)).toEqual({ action: 'close' });
});
