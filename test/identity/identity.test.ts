/** Tests: src/identity/attributes.ts, src/identity/host.ts, src/identity/traits.ts. */
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { hostIdentity, hostPrincipals, hostSans } from '../../src/identity/host.js';
import {
  decodeIdentity,
  decodeSubject,
  encodeSubject,
  type Identity,
  newIdentity,
} from '../../src/identity/identity.js';
import { decodeDer, membersOf, TAG } from '../../src/pki/der-reader.js';
import { generateKey } from '../../src/pki/keys.js';
import { createCa, issueLeaf, readCertificate, type SigningCa, verifyLeaf } from '../../src/pki/x509.js';
import { SYSTEM_ROLES, systemRoleOf } from '../../src/resources/system-role.js';

const captured = (name: string) => readFileSync(new URL(`../fixtures/certs/${name}`, import.meta.url), 'utf8');
const now = new Date('2026-11-21T04:00:00Z');
const expires = new Date('2026-11-21T16:00:00Z');
const NO_LOGIN = '-teleport-nologin-5e600ebb-810e-4770-b27e-bf47a7e8c465';

let key: KeyObject;
let ca: SigningCa;

beforeAll(async () => {
  key = await generateKey('ecdsa-p256');
  ca = { key, certPem: createCa({ clusterName: 'peer.local', key, now }).certPem };
});

const issue = (identity: Identity) =>
  issueLeaf({ ca, publicKey: key, subject: encodeSubject(identity), notBefore: now, notAfter: identity.expires });
const rdnsOf = (pem: string) =>
  membersOf(decodeDer(readCertificate(pem).subjectDer), TAG.sequence)
    .map(({ raw }) => raw.toString('hex'))
    .sort();

describe('captured certificates', () => {
  test('a database certificate says who, where to, and until when', () => {
    const identity = decodeIdentity(captured('user-db.pem'));
    const { traits, ...rest } = identity;
    expect(rest).toEqual({
      username: 'alice',
      groups: ['access', 'editor', 'auditor'],
      usage: ['usage:db'],
      principals: ['-teleport-internal-join', NO_LOGIN],
      routeToCluster: 'peer.local',
      teleportCluster: 'peer.local',
      systemRoles: [],
      routeToDatabase: { serviceName: 'pg', protocol: 'postgres', username: 'postgres', database: 'bench' },
      databaseNames: ['*'],
      databaseUsers: ['*'],
      activeRequests: [],
      loginIp: '127.0.0.1',
      userType: 'local',
      privateKeyPolicy: 'none',
      expires: new Date('2026-11-21T15:23:23Z'),
    });
    expect(Object.keys(traits)).toHaveLength(13);
    expect([traits.db_names, traits.db_roles, traits.host_user_gid]).toEqual([['*'], null, ['']]);
    expect(systemRoleOf(identity)).toBeUndefined();
  });

  test('a base certificate has neither route nor usage', () => {
    const identity = decodeIdentity(captured('user-tls.pem'));
    expect(identity.usage).toEqual([]);
    expect(identity.routeToDatabase).toBeUndefined();
  });

  test('host certificates name their system role', () => {
    expect(systemRoleOf(decodeIdentity(captured('host-auth-listener.pem')))).toBe('Admin');
    const proxy = decodeIdentity(captured('host-postgres-listener.pem'));
    expect(systemRoleOf(proxy)).toBe('Proxy');
    expect(proxy).toMatchObject({ routeToCluster: '', traits: {}, teleportCluster: 'peer.local' });
  });

  test.each(['user-tls.pem', 'user-db.pem', 'host-auth-listener.pem', 'host-postgres-listener.pem'])(
    '%s, encoded again, has the same RDNs byte for byte',
    (name) => {
      expect(rdnsOf(issue(decodeIdentity(captured(name))))).toEqual(rdnsOf(captured(name)));
    },
  );

  test('a host identity made from its parts equals the captured one', () => {
    const captive = decodeIdentity(captured('host-auth-listener.pem'));
    const made = hostIdentity({
      hostId: '356f3cc6-c216-43c9-ae29-490a0c6b6218',
      clusterName: 'peer.local',
      role: 'Admin',
      expires: captive.expires,
    });
    expect(made).toEqual(captive);
    expect(hostSans({ role: 'Admin', additionalPrincipals: ['peer', 'peer.peer.local'] })).toEqual([
      'peer',
      'peer.peer.local',
      '*.teleport.cluster.local',
      'teleport.cluster.local',
    ]);
    expect(hostPrincipals({ hostId: 'u', clusterName: 'c', role: 'Admin', nodeName: 'n' })).toEqual(['u.c']);
  });
});

test.each(SYSTEM_ROLES.filter((role) => !['Auth', 'Admin', 'Proxy'].includes(role)))(
  'A-H2 a host of role %s has no name and no principal of its own choice, whatever it asks for',
  (role) => {
    const asked = { role, additionalPrincipals: ['teleport.cluster.local', 'db1'], dnsNames: ['proxy.example.com'] };
    expect(hostSans(asked)).toEqual([]);
    expect(hostPrincipals({ ...asked, hostId: 'u', clusterName: 'c', nodeName: 'auth' })).toEqual(['u.c', 'u']);
  },
);

const FULL = newIdentity({
  username: 'alice@example.com',
  groups: ['access', 'db_admin'],
  usage: ['usage:db'],
  principals: ['root', '-teleport-internal-join'],
  routeToCluster: 'leaf.example.com',
  traits: { db_users: ['reader', 'ключ'], logins: null, '<&>': [''] },
  teleportCluster: 'root.example.com',
  routeToDatabase: {
    serviceName: 'redshift-1',
    protocol: 'postgres',
    username: 'a',
    database: 'dev',
    roles: ['r', 's'],
  },
  databaseNames: ['*', 'dev'],
  databaseUsers: ['reader'],
  mfaVerified: 'd-1',
  previousIdentityExpires: new Date('2026-11-21T15:00:00Z'),
  loginIp: '10.0.0.1',
  pinnedIp: '::1',
  impersonator: 'bot',
  activeRequests: ['r-1', 'r-2'],
  disallowReissue: true,
  renewable: true,
  generation: 3,
  botName: 'b',
  botInstanceId: 'bi',
  joinToken: 'jt',
  userType: 'sso',
  allowedResources: ['/root/db/redshift-1'],
  privateKeyPolicy: 'hardware_key',
  expires,
});

describe('round trips', () => {
  test('every attribute comes back from an issued, verified certificate', () => {
    const pem = issue(FULL);
    const { leaf } = verifyLeaf(readCertificate(pem).der, { cas: [ca.certPem], now, usage: 'clientAuth' });
    const read = decodeIdentity(leaf);
    const sorted = ({ groups, principals, ...rest }: Identity) => ({
      ...rest,
      groups: [...groups].sort(),
      principals: [...principals].sort(),
    });
    expect(sorted(read)).toEqual(sorted(FULL));
    expect(decodeIdentity(readCertificate(pem).der)).toEqual(read);
  });

  test('whatever text a person may have as name, roles, traits and database, it comes back', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((value) => !value.includes('\0'));
    fc.assert(
      fc.property(
        text,
        fc.uniqueArray(text, { minLength: 1 }),
        fc.dictionary(text, fc.array(text)),
        (name, list, traits) => {
          const made = newIdentity({
            username: name,
            groups: list,
            teleportCluster: name,
            traits,
            routeToDatabase: { serviceName: name, protocol: 'postgres', roles: list },
            databaseNames: list,
            expires,
          });
          const read = decodeIdentity(issue(made));
          expect({ ...read, groups: new Set(read.groups) }).toEqual({ ...made, groups: new Set(list) });
        },
      ),
      { numRuns: 100 },
    );
  });

  test('the subject has the order of the official build, street and traits always', () => {
    const subject = encodeSubject(newIdentity({ username: 'a', groups: ['r'], teleportCluster: 'c', expires }));
    const written = subject.filter(({ values }) => values.length > 0);
    expect(written).toEqual([
      { oid: '2.5.4.10', values: ['r'] },
      { oid: '2.5.4.9', values: [''] },
      { oid: '2.5.4.17', values: ['null'] },
      { oid: '2.5.4.3', values: ['a'] },
      { oid: '1.3.9999.1.7', values: ['c'] },
    ]);
  });
});

test('a subject that lacks or doubles what counts is refused', () => {
  const decode = (entries: [string, string[]][]) => () => decodeSubject(new Map(entries), expires);
  expect(decode([['2.5.4.10', ['r']]])).toThrow('missing identity username');
  expect(decode([['2.5.4.3', ['a']]])).toThrow('missing identity groups or scope pin');
  const least: [string, string[]][] = [
    ['2.5.4.3', ['a']],
    ['2.5.4.10', ['r']],
  ];
  expect(decode([...least, ['1.3.9999.99.1', ['unknown']]])()).toMatchObject({ username: 'a', traits: {} });
  expect(decode([...least, ['1.3.9999.1.7', ['x', 'y']]])).toThrow('more than once');
  expect(decode([...least, ['2.5.4.17', ['{"a":1}']]])).toThrow('traits');
  expect(decode([...least, ['2.5.4.17', ['\n\x03a']]])).toThrow('traits');
  expect(decode([...least, ['1.3.9999.2.12', ['soon']]])).toThrow('time');
});
