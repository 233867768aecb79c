/** Tests: src/identity/identity-file.ts, src/identity/known-hosts.ts. */
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { decodeIdentity, newIdentity } from '../../src/identity/identity.js';
import { decodeIdentityFile, encodeIdentityFile } from '../../src/identity/identity-file.js';
import { knownHostsLine } from '../../src/identity/known-hosts.js';
import {
  hostSshCertificate,
  readUserSshCertificate,
  userPrincipals,
  userSshCertificate,
} from '../../src/identity/ssh-cert.js';
import { generateKey, privateKeyPem } from '../../src/pki/keys.js';
import { readAuthorizedKey, readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { splitPem } from '../../src/pki/x509.js';

const captured = (name: string) => readFileSync(new URL(`../fixtures/certs/${name}`, import.meta.url), 'utf8');
const now = new Date('2026-11-21T03:27:43Z');

let key: KeyObject;
let caKey: KeyObject;

beforeAll(async () => {
  [key, caKey] = (await Promise.all([generateKey('ecdsa-p256'), generateKey('ed25519')])) as [KeyObject, KeyObject];
});

describe('user certificates', () => {
  test('made from the captured TLS identity, everything but keys equals the captured SSH certificate', () => {
    const captive = readSshCertificate(captured('user-ssh-cert.pub'));
    const identity = { ...decodeIdentity(captured('user-tls.pem')), principals: captive.principals };
    const permit = { portForwarding: true, agentForwarding: true };
    const ours = readSshCertificate(userSshCertificate({ identity, publicKey: key, caKey, now, permit }));
    expect({ ...ours, key: 0, signatureKey: 0 }).toEqual({ ...captive, key: 0, signatureKey: 0 });
  });

  test('tsh status reads roles, traits, logins and the plain extensions', () => {
    const facts = readUserSshCertificate(captured('user-ssh-cert.pub'));
    expect(facts).toMatchObject({
      username: 'alice',
      roles: ['access', 'editor', 'auditor'],
      logins: [],
      extensions: ['login-ip', 'permit-agent-forwarding', 'permit-port-forwarding', 'permit-pty', 'private-key-policy'],
      validBefore: new Date('2026-11-21T15:27:43Z'),
    });
    expect(facts.traits.db_users).toEqual(['*']);
  });

  test('the old format leaves out roles, traits, route and requests; a pinned address is a critical option', () => {
    const identity = newIdentity({
      username: 'alice',
      groups: ['access'],
      teleportCluster: 'c',
      routeToCluster: 'c',
      principals: userPrincipals(['root']),
      pinnedIp: '2001:db8::1',
      activeRequests: ['r'],
      mfaVerified: 'd',
      expires: new Date('2026-11-21T05:00:00Z'),
    });
    const make = (format: 'standard' | 'oldssh') =>
      readSshCertificate(userSshCertificate({ identity, publicKey: key, caKey, now, format }));
    expect(make('oldssh').extensions).toEqual({ 'mfa-verified': 'd', 'permit-pty': '' });
    expect(make('oldssh').criticalOptions).toEqual({ 'source-address': '2001:db8::1/128' });
    expect(make('standard').extensions['teleport-active-requests']).toBe('{"access_requests":["r"]}');
    expect(make('standard').principals).toEqual(['root', '-teleport-internal-join']);
    expect(userPrincipals([])[0]).toMatch(/^-teleport-nologin-[0-9a-f-]{36}$/);
  });
});

test('a host certificate has its names, its role and no end', () => {
  const line = hostSshCertificate({
    hostId: 'uuid',
    clusterName: 'root.example.com',
    role: 'Proxy',
    nodeName: 'db1',
    additionalPrincipals: ['db1.example.com', 'localhost'],
    publicKey: key,
    caKey,
    now,
  });
  const certificate = readSshCertificate(line);
  expect(certificate.type).toBe('host');
  expect(certificate.principals).toEqual([
    'uuid.root.example.com',
    'uuid',
    'db1.root.example.com',
    'db1',
    'localhost',
    '127.0.0.1',
    '::1',
    'db1.example.com',
  ]);
  expect(certificate.extensions).toEqual({ 'x-teleport-authority': 'root.example.com', 'x-teleport-role': 'Proxy' });
  expect(certificate.validBefore).toBeUndefined();
});

test('authority lines are those that tctl printed', () => {
  const hostKey = readAuthorizedKey(captured('host-ca-ssh.pub'));
  const line = captured('identity-file.txt')
    .split('\n')
    .find((each) => each.startsWith('@cert-authority'));
  expect(knownHostsLine({ cluster: 'peer.local', key: hostKey })).toBe(line);
  expect(knownHostsLine({ proxyHost: 'localhost', cluster: 'peer.local', key: hostKey })).toMatch(
    /^@cert-authority localhost,peer\.local,\*\.peer\.local ssh-ed25519 /,
  );
});

describe('identity files', () => {
  // The recorded file has a line in braces where its private key was.
  const fileText = () =>
    captured('identity-file.txt')
      .replace(/^#.*\n/gm, '')
      .replace(/^\{.*\}\n/m, privateKeyPem(key));

  test('a recorded file is taken apart by position and comes out the same', () => {
    const file = decodeIdentityFile(fileText());
    expect(file.privateKeyPem).toBe(privateKeyPem(key));
    expect(decodeIdentity(file.tlsCertPem)).toMatchObject({ username: 'alice', userType: 'local' });
    expect(readUserSshCertificate(file.sshCertLine!).roles).toEqual(['access', 'editor', 'auditor']);
    expect(file.sshCaLines).toHaveLength(1);
    expect(file.tlsCaPems).toEqual(splitPem(captured('host-ca.pem')));
    expect(encodeIdentityFile(file)).toBe(fileText());
  });

  test('the last SSH certificate wins, other lines are ignored, white space does not matter', () => {
    const other = captured('user-ssh-cert.pub').trim();
    const messy = `hello\r\n${fileText().replaceAll('\n', ' \r\n')}  ${other}\r\nssh-ed25519 AAAA\r\n`;
    const file = decodeIdentityFile(messy);
    expect(file.sshCertLine).toBe(other);
    expect({ ...file, sshCertLine: '' }).toEqual({ ...decodeIdentityFile(fileText()), sshCertLine: '' });
  });

  test('an unfinished block, a missing key or certificate is an error', () => {
    expect(() => decodeIdentityFile(fileText().trimEnd().slice(0, -5))).toThrow('does not end');
    expect(() => decodeIdentityFile('')).toThrow('private key');
    expect(() => decodeIdentityFile(privateKeyPem(key))).toThrow('TLS certificate');
  });

  test('S16 an identity file without authorities, or with something else in their place, is refused by its path', () => {
    const [start] = fileText().split('@cert-authority');
    const read = (text: string) => () => decodeIdentityFile(text, '/home/me/id');
    expect(read(start!)).toThrow('could not find certificates of authorities in the identity file /home/me/id');
    expect(read(fileText() + privateKeyPem(key))).toThrow(/found .*PRIVATE KEY in place of .* \/home\/me\/id/);
    expect(read(fileText().replace('-----END', '***\n-----END'))).toThrow(
      /line \d+: .*in the identity file \/home\/me\/id/,
    );
    expect(read(privateKeyPem(key) + privateKeyPem(key))).toThrow('could not find a TLS certificate');
  });
});

test.each(['', '*', 'a,b', 'a b', 'a\n@cert-authority *', '!a'])(
  'no cluster is called %j: known_hosts would take it for more than its name',
  (cluster) => {
    expect(() => knownHostsLine({ cluster, key: caKey })).toThrow('cannot be the name of a cluster');
  },
);
