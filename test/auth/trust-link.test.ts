/** Tests: src/auth/grpc/trust-link.ts, src/auth/lock-messages.ts */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { fromMessage, toMessage } from '../../src/api/convert.js';
import { lockMessages } from '../../src/auth/lock-messages.js';
import type { Lock } from '../../src/resources/types.js';
import { authorityFor } from '../support/authority.js';
import { createTestCa } from '../support/ca.js';
import { becomeLeaf, shown, TestAuth } from './test-auth.js';

const LEAF = 'leaf.example.com';
let root: TestAuth;
let leaf: TestAuth;
let link: AuthClient;

beforeAll(async () => {
  root = await TestAuth.start();
  leaf = await TestAuth.start({ clusterName: LEAF });
  await becomeLeaf(root, leaf);
  link = await root.as(await shown(leaf, 'RemoteProxy'));
});
afterAll(async () => {
  await link.close();
  await leaf.remove();
  await root.remove();
});

test('R-A-M3 a leaf follows its root on one watch: a new one ends the one before', async () => {
  const follow = () => link.trustLink.watchRoot({}, { timeoutMs: 0 })[Symbol.asyncIterator]();
  const first = follow();
  expect((await first.next()).value.certificateAuthorities).toHaveLength(2);
  const second = follow();
  expect((await second.next()).value.certificateAuthorities).toHaveLength(2);
  for (let said = await first.next(); !said.done; said = await first.next());
  const admin = await root.asHost('Admin');
  await admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target: { user: 'mallory' } } });
  for (;;) {
    const { value } = await second.next();
    if (value.locks.length > 0) break;
  }
});

test('R-A-M3 a leaf changes its authority ten times an hour, and says the same one as often as it wants', async () => {
  const own = (await (await leaf.asHost('Admin')).trust.getCertAuthority({ type: 'host' })) as never;
  const { cert } = fromMessage('cert_authority', own).spec.active_keys.tls![0]!;
  const mine = Buffer.from(cert, 'base64').toString();
  const other = createTestCa(LEAF).certPem;
  const offer = async (certs: string[]) => {
    const hostAuthority = toMessage('cert_authority', authorityFor(LEAF, { certs }));
    await link.trustLink.offerAuthority({ hostAuthority });
  };
  const orders = [
    [mine, other],
    [other, mine],
  ];
  await expect(
    (async () => {
      for (let at = 0; at < 11; at++) await offer(orders[at % 2]!);
    })(),
  ).rejects.toThrow('rate limit exceeded');
  for (let at = 0; at < 5; at++) await offer(orders[1]!);
});

test('R-A-M3 locks are made into messages once for all who hear of them', () => {
  const locks: Lock[] = [{ kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target: { user: 'u' } } }];
  expect(lockMessages(locks)).toMatchObject([{ metadata: { name: 'l' } }]);
  expect(lockMessages(locks)).toBe(lockMessages(locks));
  expect(lockMessages([...locks])).not.toBe(lockMessages(locks));
});
