import { beforeAll, expect, test } from '@jest/globals';
import { checkedAuthorities } from '../../src/auth/checked-authorities.js';
import { generateKey } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import type { CaType, CertAuthority } from '../../src/resources/types.js';
import { authorityFor } from '../support/authority.js';
import { createTestCa } from '../support/ca.js';

const LEAF = 'leaf.example.com';
const ORGANIZATIONAL_UNIT = '2.5.4.11';
let pem: string;
let foreign: string;
let ssh: string;
beforeAll(async () => {
  pem = createTestCa(LEAF).certPem;
  foreign = createTestCa('root.example.com').certPem;
  ssh = authorizedKeyLine(await generateKey('ed25519'));
});

const refusal =
  (given: CertAuthority[], types: CaType[] = ['host']) =>
  () =>
    checkedAuthorities(given, types);
const refusalOf = (cert: string, more: { ssh?: string[]; cluster?: string } = {}) =>
  refusal([authorityFor(more.cluster ?? LEAF, { certs: [cert], ssh: more.ssh ?? [] })]);

test('of the authorities of another cluster the public halves are kept, and nothing that came with them', () => {
  const given = (['user', 'host'] as const).map((type) => authorityFor(LEAF, { certs: [pem], type }));
  const { cluster, authorities } = checkedAuthorities(given, ['host', 'user']);
  expect(cluster).toBe(LEAF);
  expect(authorities.map(({ spec }) => spec.type)).toEqual(['host', 'user']);
  expect(JSON.stringify(authorities)).not.toContain('secret');
  expect(authorities[0]!.metadata).toEqual({ name: LEAF });
});

test('authorities that are not exactly those of one cluster are refused', () => {
  const own = () => authorityFor(LEAF, { certs: [pem] });
  const other = authorityFor('x', { certs: [foreign], type: 'user' });
  expect(refusal([])).toThrow('expected exactly one host authority, received 0');
  expect(refusal([own(), own()])).toThrow('expected exactly one host authority, received 2');
  expect(refusal([own(), other], ['host', 'user'])).toThrow('the authorities are of different clusters');
  expect(refusalOf(foreign)).toThrow('does not match the cluster name');
  expect(refusal([authorityFor(LEAF, { certs: [] })])).toThrow('the host authority has no certificate');
  expect(refusal([authorityFor(LEAF, { certs: Array.from({ length: 20 }, () => pem) })])).toThrow('too many keys');
});

test('R-A-H1 certificates and keys are written anew: nothing that stood beside them is kept', () => {
  const padded = `${'#'.repeat(100_000)}\n${pem.replaceAll('\n', '\r\n')}${'#'.repeat(100_000)}\n`;
  const given = authorityFor(LEAF, { certs: [padded], ssh: [`  ${ssh} ${'comment '.repeat(1000)}`] });
  const { active_keys: kept } = checkedAuthorities([given], ['host']).authorities[0]!.spec;
  const text = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');
  expect(kept.tls!.map(({ cert }) => text(cert))).toEqual([pem]);
  expect(kept.ssh!.map(({ public_key }) => text(public_key))).toEqual([`${ssh}\n`]);
});

test('R-A-H1 a subject with more than the name of the cluster and a serial number is refused', () => {
  const withUnits = (count: number, length: number) =>
    createTestCa(LEAF, {
      subject: Array.from({ length: count }, () => ({ oid: ORGANIZATIONAL_UNIT, values: ['x'.repeat(length)] })),
    }).certPem;
  expect(refusalOf(withUnits(250, 64))).toThrow('a CA certificate is larger than 4096 bytes');
  const more = 'has more than the name of the cluster and a serial number';
  expect(refusalOf(withUnits(1, 4))).toThrow(more);
  const withSerial = (length: number, values = 1) => {
    const serials = Array.from({ length: values }, (_, i) => `${i}`.padEnd(length, '7'));
    return createTestCa(LEAF, { subject: [{ oid: '2.5.4.5', values: serials }] }).certPem;
  };
  expect(refusalOf(withSerial(20, 2))).toThrow(more);
  expect(refusalOf(withSerial(600))).toThrow(more);
  expect(refusalOf(withSerial(40))).not.toThrow();
});

test('R-A-H1 what is not the certificate of an authority, or not a key, is refused', () => {
  const ca = createTestCa(LEAF);
  const subject = ['2.5.4.10', '2.5.4.3'].map((oid) => ({ oid, values: [LEAF] }));
  expect(refusalOf(ca.issue('x', { subject }).cert)).toThrow('not the self-signed certificate of an authority');
  expect(refusalOf('not a certificate')).toThrow('not exactly one PEM block');
  expect(refusalOf(pem.replace(/[A-Za-z0-9]{8}/, 'AAAAAAAA'))).toThrow('of the other cluster cannot be read');
  expect(refusalOf(pem, { ssh: ['not a key'] })).toThrow('an SSH key of the other cluster cannot be read');
  expect(refusalOf(pem, { ssh: [`${ssh}\nssh-rsa !`] })).not.toThrow();
});

test.each(['our leaf', 'a,b', '*', 'x\u001b[2Jy', 'l'.repeat(200), '', '../x'])(
  'R-A-H1 %j is not taken as the name of a cluster',
  (name) => {
    expect(refusalOf(createTestCa(name).certPem, { cluster: name })).toThrow('cannot be the name of a cluster');
  },
);

test('R-A-H2 a certificate with a second block behind it is refused, whosever it is', () => {
  expect(refusalOf(`${pem}${foreign}`)).toThrow('a CA certificate is not exactly one PEM block');
  expect(refusalOf(`${pem}${pem}`)).toThrow('a CA certificate is not exactly one PEM block');
});

test('R-A-H1 the authorities of one cluster have a bound', () => {
  const given = (['host', 'user'] as const).map((type) => ({
    ...authorityFor(LEAF, { certs: Array.from({ length: 16 }, () => pem), type }),
  }));
  for (const { spec } of given) spec.additional_trusted_keys = spec.active_keys;
  expect(refusal(given, ['host', 'user'])).toThrow('larger than 32768 bytes');
});
