import { beforeAll, describe, expect, test } from '@jest/globals';
import { bearerOf, checkUsage, isStillBelieved, type Trust } from '../../src/identity/bearer.js';
import { encodeSubject, type IdentitySeed, newIdentity } from '../../src/identity/identity.js';
import { certificateDer } from '../../src/pki/certificate.js';
import { createTestCa, type TestCa } from '../support/ca.js';

const CLUSTER = 'root.example.com';
const DAY_MS = 86_400_000;
const now = new Date('2026-11-21T04:00:00Z');
const inDays = (days: number) => new Date(now.getTime() + days * DAY_MS);

let hostCa: TestCa;
let userCa: TestCa;
beforeAll(() => {
  hostCa = authority();
  userCa = authority();
});

function authority({ from = -1, days = 2, clusterName = CLUSTER } = {}): TestCa {
  return createTestCa(clusterName, { from: inDays(from), to: inDays(from + days) });
}

interface Shown {
  ca?: TestCa;
  seed?: Partial<IdentitySeed>;
  from?: number;
  to?: number;
  usages?: ['serverAuth'];
}

function shown({ ca = userCa, seed = {}, from = -0.5, to = 0.5, ...more }: Shown = {}): Buffer {
  const identity = newIdentity({
    username: 'alice',
    groups: ['access'],
    teleportCluster: CLUSTER,
    expires: inDays(to),
    ...seed,
  });
  const subject = encodeSubject(identity);
  return certificateDer(ca.issue([], { subject, from: inDays(from), to: inDays(to), ...more }).cert);
}

const trust = (more: Partial<Trust> = {}): Trust => ({
  hostCas: [hostCa.certPem],
  userCas: [userCa.certPem],
  clusterName: CLUSTER,
  now,
  ...more,
});
const proxy = { username: `id.${CLUSTER}`, groups: ['Proxy'] };

test('H1 a person and a host, each by the authority of its kind', () => {
  expect(bearerOf(shown(), trust())).toMatchObject({ identity: { username: 'alice' }, role: undefined });
  expect(bearerOf(shown({ ca: hostCa, seed: proxy }), trust())).toMatchObject({ role: 'Proxy' });
});

describe('refused', () => {
  const refusal = (certificate: Buffer, more?: Partial<Trust>) => () => bearerOf(certificate, trust(more));

  test('H1 a host that the authority of people has signed, and the reverse', () => {
    expect(refusal(shown({ seed: proxy }))).toThrow('unknown authority');
    expect(refusal(shown({ ca: hostCa }))).toThrow('unknown authority');
  });

  test('H1 a kind of which no authority is believed', () => {
    expect(refusal(shown({ ca: hostCa, seed: proxy }), { hostCas: [] })).toThrow('unknown authority');
    expect(refusal(shown(), { userCas: [] })).toThrow('unknown authority');
  });

  test('R-A-M2 a host whose name is not of the cluster that signed for it', () => {
    for (const username of ['id.other.example.com', 'id', `id.${CLUSTER}.`]) {
      expect(refusal(shown({ ca: hostCa, seed: { ...proxy, username } }))).toThrow('of another cluster');
    }
  });

  test.each([
    ['has expired', -1, -0.1],
    ['is not valid yet', 0.1, 0.5],
  ])('H10 a certificate that %s', (reason, from, to) => {
    expect(refusal(shown({ from, to }))).toThrow(`the certificate ${reason}`);
  });

  test.each([
    ['has expired', -3, 2],
    ['is not valid yet', 1, 2],
  ])('H10 a certificate whose authority %s', (reason, from, days) => {
    const ca = authority({ from, days });
    expect(refusal(shown({ ca }), { userCas: [ca.certPem] })).toThrow(`certificate of the authority ${reason}`);
    const host = authority({ from, days });
    const der = shown({ ca: host, seed: proxy });
    expect(refusal(der, { hostCas: [host.certPem] })).toThrow(`certificate of the authority ${reason}`);
  });

  test('H1 another cluster, in the name of the authority or in the certificate', () => {
    const other = authority({ clusterName: 'other.example.com' });
    const seed = { teleportCluster: 'other.example.com' };
    expect(refusal(shown({ ca: other }), { userCas: [other.certPem] })).toThrow('of another cluster');
    expect(refusal(shown({ seed }))).toThrow('of another cluster');
    expect(refusal(shown({ ca: other, seed }), { userCas: [other.certPem] })).toThrow('of another cluster');
  });

  test('H1 a certificate for servers, and the authority itself', () => {
    expect(refusal(shown({ usages: ['serverAuth'] }))).toThrow('not for clientAuth');
    expect(refusal(certificateDer(userCa.certPem))).toThrow('access denied');
  });
});

test.each([
  [[], true, true],
  [['usage:db'], false, true],
  [['usage:kube'], false, false],
  [['usage:db', 'usage:db'], false, false],
])('H1 restricted to %j: everything %s, databases %s', (usage, everything, databases) => {
  const may = (purpose: 'everything' | 'databases') => {
    try {
      checkUsage({ usage }, purpose);
      return true;
    } catch {
      return false;
    }
  };
  expect([may('everything'), may('databases')]).toEqual([everything, databases]);
});

describe('another cluster', () => {
  const LEAF = 'leaf.example.com';
  const seed = { teleportCluster: LEAF };
  const remotes = (hosts: TestCa[], users: TestCa[]) => [
    { cluster: LEAF, hostCas: hosts.map(({ certPem }) => certPem), userCas: users.map(({ certPem }) => certPem) },
  ];

  test('is believed for its own, as far as it is known, and says which it is', () => {
    const ca = authority({ clusterName: LEAF });
    const known = trust({ remotes: remotes([], [ca]) });
    const bearer = bearerOf(shown({ ca, seed }), known);
    expect(bearer).toMatchObject({ identity: { username: 'alice' }, role: undefined, remote: LEAF });
    expect(isStillBelieved(bearer, known)).toBe(true);
    expect(isStillBelieved(bearer, trust())).toBe(false);
    expect(() => bearerOf(shown({ ca, seed }), trust())).toThrow('the certificate is of another cluster');
  });

  test('cannot make anybody of this cluster, whatever it writes into a certificate', () => {
    // Its authority bears our name, or its certificates do.
    const pretender = authority();
    const known = trust({ remotes: remotes([pretender], [pretender]) });
    expect(() => bearerOf(shown({ ca: pretender }), known)).toThrow('signed by an unknown authority');
    const ca = authority({ clusterName: LEAF });
    const honest = trust({ remotes: remotes([ca], [ca]) });
    expect(() => bearerOf(shown({ ca }), honest)).toThrow('the certificate is of another cluster');
    expect(() => bearerOf(shown({ ca: userCa, seed }), honest)).toThrow('the certificate is of another cluster');
  });

  test('whose users are not believed has none, and its hosts are no people', () => {
    const ca = authority({ clusterName: LEAF });
    const known = trust({ remotes: remotes([ca], []) });
    expect(() => bearerOf(shown({ ca, seed }), known)).toThrow('signed by an unknown authority');
    const host = { ...seed, username: `id.${LEAF}`, groups: ['Proxy'] };
    expect(bearerOf(shown({ ca, seed: host }), known)).toMatchObject({ role: 'Proxy', remote: LEAF });
  });
});
