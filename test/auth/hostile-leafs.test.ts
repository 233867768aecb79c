/** What a leaf, or who holds a token for one, tries at its root. Tests: src/auth/trust-link.ts, src/auth/remote-clusters.ts */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { fetchHostCas } from '../../src/access/login/host-cas.js';
import type { AuthClient } from '../../src/api/client.js';
import { toMessage } from '../../src/api/convert.js';
import type { CertAuthorityV2 } from '../../src/api/gen/types_pb.js';
import type { AuditEvent } from '../../src/audit/events.js';
import { AuditLog } from '../../src/audit/writer.js';
import { keyOf } from '../../src/store/store.js';
import { authorityFor, type SaidKeys } from '../support/authority.js';
import { createTestCa } from '../support/ca.js';
import { becomeLeaf, shown, TestAuth } from './test-auth.js';

const LEAF = 'leaf.example.com';
let root: TestAuth;
let leaf: TestAuth;
let link: AuthClient;

beforeEach(async () => {
  root = await TestAuth.start();
  leaf = await TestAuth.start({ clusterName: LEAF });
  await becomeLeaf(root, leaf);
  link = await root.as(await shown(leaf, 'RemoteProxy'));
}, 600_000);

afterEach(async () => {
  jest.restoreAllMocks();
  await leaf.remove();
  await root.remove();
});

const said = (keys: SaidKeys, cluster = LEAF): CertAuthorityV2 =>
  toMessage('cert_authority', authorityFor(cluster, keys));
const offer = async (keys: SaidKeys) => await link.trustLink.offerAuthority({ hostAuthority: said(keys) });

/** A new connection of each kind that Auth answers. */
async function everybodyIsAnswered(): Promise<void> {
  for (const who of [await root.identity('Admin'), await root.identity('Db'), {}]) {
    await (await root.as(who)).auth.ping({});
  }
}

test('R-A-H1 a leaf whose authorities have long names is refused, and everybody else is answered', async () => {
  const unit = { oid: '2.5.4.11', values: ['x'.repeat(4_000)] };
  const certs = Array.from({ length: 4 }, () => createTestCa(LEAF, { subject: [unit] }).certPem);
  await expect(offer({ certs })).rejects.toMatchObject({ code: 'AccessDenied' });
  await everybodyIsAnswered();
  await root.stop();
  await root.open();
  await everybodyIsAnswered();
}, 600_000);

test('R-A-H1 what no client could read comes to no client: a login finds its authorities', async () => {
  const alice = await root.as(await root.login('alice', await root.invite('alice', ['access'])));
  const { certPem } = createTestCa(LEAF);
  const refusal = { code: 'AccessDenied' };
  await expect(offer({ certs: [certPem], ssh: ['not a key'] })).rejects.toMatchObject(refusal);
  const proxy = await root.asHost('Proxy');
  for (const name of ['our leaf', 'a,b', '*', 'x\u001b[2Jy', 'l'.repeat(200)]) {
    const keys = { certs: [createTestCa(name).certPem] };
    const asked = { token: 'for-a-leaf', certificateAuthorities: [said(keys, name)], remoteAddr: '203.0.113.9:1' };
    await expect(proxy.proxyGateway.validateTrustedCluster(asked)).rejects.toMatchObject(refusal);
  }
  const found = await fetchHostCas(alice, 'proxy.example.com');
  expect(found.map(({ cluster }) => cluster)).toEqual(['root.example.com', LEAF]);
}, 600_000);

test('R-C-M1 the name of a token that is for AWS identities makes nobody a leaf, whatever roles an older store has in it', async () => {
  const spec = { roles: ['Db', 'Trusted_cluster'], join_method: 'iam', allow: [{ aws_account: '123456789012' }] };
  const token = { kind: 'token', version: 'v2', metadata: { name: 'aws-agents' }, spec };
  await root.auth.store.put(keyOf('token', 'aws-agents'), JSON.stringify(token));
  const keys = { certs: [createTestCa('another.example.com').certPem] };
  const proxy = await root.asHost('Proxy');
  const asked = { token: 'aws-agents', certificateAuthorities: [said(keys, 'another.example.com')] };
  await expect(proxy.proxyGateway.validateTrustedCluster(asked)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: 'this token is for the join method "iam" only',
  });
}, 600_000);

/** Holds the changes whose record of this kind is durable until `letOn`; `held` resolves with the first. */
function holdBehindRecord(kind: string) {
  let letOn = () => {};
  let reached = () => {};
  const gate = new Promise<void>((resolve) => (letOn = resolve));
  const held = new Promise<void>((resolve) => (reached = resolve));
  const append = AuditLog.prototype.append;
  jest.spyOn(AuditLog.prototype, 'append').mockImplementation(async function (this: AuditLog, events) {
    await append.call(this, events);
    if (!events.some((one) => (one as AuditEvent).event === kind)) return;
    reached();
    await gate;
  });
  return { held, letOn };
}

test('R-A-H3 a leaf that was removed does not come back by what it said before', async () => {
  const admin = await root.asHost('Admin');
  const { held, letOn } = holdBehindRecord('cert_authority.rotate');
  // Past the look at who calls, and past its record.
  const offered = offer({ certs: [createTestCa(LEAF).certPem] }).catch((error: unknown) => error);
  await held;
  await admin.presence.deleteRemoteCluster({ name: LEAF });
  letOn();
  await offered;
  const { certAuthoritiesV2: believed } = await admin.trust.getCertAuthorities({ type: 'host' });
  expect(believed.map(({ spec }) => spec!.clusterName)).toEqual(['root.example.com']);
  const again = root.as(await shown(leaf, 'RemoteProxy'));
  await expect(again.then((client) => client.trustLink.getEnding({ user: 'a' }))).rejects.toThrow();
}, 600_000);

test('R-A-H3 an authority without a record of its cluster lets nobody in, and can be removed', async () => {
  const admin = await root.asHost('Admin');
  await root.auth.store.delete(keyOf('remote_cluster', LEAF));
  await expect(link.trustLink.getEnding({ user: 'a' })).rejects.toMatchObject({ code: 'AccessDenied' });
  await admin.presence.deleteRemoteCluster({ name: LEAF });
  const { certAuthoritiesV2: believed } = await admin.trust.getCertAuthorities({ type: 'host' });
  expect(believed).toHaveLength(1);
  await expect(admin.presence.deleteRemoteCluster({ name: LEAF })).rejects.toMatchObject({ code: 'NotFound' });
}, 600_000);

test('R-A-L3 a lock on the host of a leaf ends what its Auth Service asks, and so does the end of its certificate', async () => {
  const admin = await root.asHost('Admin');
  await link.trustLink.getEnding({ user: 'a' });
  const lock = {
    kind: 'lock',
    version: 'v2',
    metadata: { name: 'l' },
    spec: { target: { serverId: leaf.auth.hostId } },
  };
  await admin.auth.upsertLock(lock);
  const asked = async () => await link.trustLink.getEnding({ user: 'a' });
  await expect(asked()).rejects.toMatchObject({ code: 'AccessDenied' });
  await admin.auth.deleteLock({ name: 'l' });
  link = await root.as(await shown(leaf, 'RemoteProxy'));
  await asked();
  root.ahead = 31 * 86_400_000;
  await expect(asked()).rejects.toMatchObject({ code: 'AccessDenied' });
}, 600_000);

test('R-C-L1 no leaf has the name of this cluster or of a leaf in other letters', async () => {
  const proxy = await root.asHost('Proxy');
  const ask = async (name: string) => {
    const certificateAuthorities = [said({ certs: [createTestCa(name).certPem] }, name)];
    await proxy.proxyGateway.validateTrustedCluster({ token: 'for-a-leaf', certificateAuthorities });
  };
  await expect(ask('Root.Example.com')).rejects.toThrow('remote cluster has same name as this cluster');
  await expect(ask('LEAF.example.com')).rejects.toThrow(`leaf cluster name "${LEAF}" is taken`);
  const both = await Promise.allSettled([ask('other.example.com'), ask('OTHER.example.com')]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
}, 600_000);
