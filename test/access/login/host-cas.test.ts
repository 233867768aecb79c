/** Tests: src/api/authorities.ts. */
import { expect, test } from '@jest/globals';
import { fetchHostCas } from '../../../src/access/login/host-cas.js';
import { fetchTrust } from '../../../src/api/authorities.js';
import type { AuthClient } from '../../../src/api/client.js';
import { toMessage } from '../../../src/api/convert.js';
import { generateKey } from '../../../src/pki/keys.js';
import { sshLine } from '../../../src/pki/ssh/certificate.js';
import type { CertAuthority } from '../../../src/resources/types.js';
import { authorityFor } from '../../support/authority.js';
import { createTestCa } from '../../support/ca.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';

const apiWith = (authorities: readonly CertAuthority[]) => {
  const certAuthoritiesV2 = authorities.map((one) => toMessage('cert_authority', one));
  return { trust: { getCertAuthorities: async () => ({ certAuthoritiesV2 }) } } as unknown as AuthClient;
};

async function made() {
  const [root, leaf, evil] = [ROOT, LEAF, ROOT].map((name) => createTestCa(name).certPem);
  const ssh = sshLine(await generateKey('ed25519'));
  return { root: root!, leaf: leaf!, evil: evil!, ssh };
}

test('R-A-H1 an authority that cannot be read costs its own cluster only, and is named', async () => {
  const { root, leaf, ssh } = await made();
  const leftOut: string[] = [];
  const api = apiWith([
    authorityFor(ROOT, { certs: [root], ssh: [ssh] }),
    authorityFor(LEAF, { certs: [leaf], ssh: ['not a key', ssh] }),
    authorityFor('far', { certs: ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'] }),
    authorityFor('a,b', { certs: [createTestCa('a,b').certPem], ssh: [ssh] }),
  ]);
  const found = await fetchHostCas(api, 'proxy.example.com', (what) => leftOut.push(what));
  expect(found).toEqual([
    { cluster: ROOT, tlsPems: [root], knownHosts: [expect.stringContaining(`proxy.example.com,${ROOT},`)] },
    { cluster: LEAF, tlsPems: [leaf], knownHosts: [expect.stringContaining(`proxy.example.com,${LEAF},`)] },
  ]);
  expect(leftOut).toEqual([
    expect.stringContaining(`an authority of cluster ${LEAF} that cannot be read`),
    expect.stringContaining('an authority of cluster far that cannot be read'),
    expect.stringContaining('"a,b" cannot be the name of a cluster'),
  ]);
});

test('R-A-H2 what a leaf says is the authority of the root is the authority of nobody', async () => {
  const { root, leaf, evil, ssh } = await made();
  const api = apiWith([
    authorityFor(ROOT, { certs: [root], ssh: [ssh] }),
    authorityFor(LEAF, { certs: [`${leaf}${evil}`, evil], ssh: [ssh] }),
  ]);
  const leftOut: string[] = [];
  const found = await fetchHostCas(api, 'proxy.example.com', (what) => leftOut.push(what));
  expect(found.map(({ cluster, tlsPems }) => [cluster, tlsPems])).toEqual([
    [ROOT, [root]],
    [LEAF, [leaf]],
  ]);
  expect(leftOut).toEqual(Array.from({ length: 2 }, () => `an authority of cluster ${LEAF} under another name`));
  const { hostCas, remotes } = await fetchTrust(api, ROOT);
  expect(hostCas).toEqual([root]);
  expect(remotes).toEqual([{ cluster: LEAF, hostCas: [leaf], userCas: [leaf] }]);
});
