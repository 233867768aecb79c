/** The tests have one throw-away authority: test/support/ca.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes of certificates and of keys for them: ours, node-forge's, Node's, OpenSSL's. */
const MAKES =
  /\b(?:createCa|issueLeaf|selfSignedWebCertificate|createCertificate|generateKeyPair(?:Sync)?)\(|['"`]req['"`],.*-x509/;

/** Files that make certificates. */
const HOMES: Record<string, string> = {
  'test/support/ca.ts': 'the authority',
  'test/support/fake-cluster/ssh-ca.ts': 'its counterpart for SSH',
  'test/attacks/identities.test.ts': 'forgeries, signed by who is no authority',
  'test/pki/x509.test.ts': 'what our writer of certificates makes',
  'test/identity/identity.test.ts': "the bytes of a subject as ours, against Teleport's",
};

const tests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(?:ts|mjs|cjs)$/.test(path))
  .map((path) => join('test', path))
  .filter((path) => path !== 'test/house/ca.test.ts');

test('H11 no second file of the tests makes certificates', () => {
  const makers = tests.filter((path) => MAKES.test(readFileSync(path, 'utf8')));
  expect(makers.sort()).toEqual(Object.keys(HOMES).sort());
});

test.each([
  "const ca = createCa({ clusterName: 'a', key, now });",
  'const certificate = forge.pki.createCertificate();',
  "const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });",
  "execFileSync('openssl', ['req', '-x509', '-nodes']);",
])('a second one is seen in %s', (text) => {
  expect(MAKES.test(text)).toBe(true);
});
