/** Single sign-on as a real Proxy 18.3.0 carries it out: what it answered to the real tsh, read by ours. */
import { readFileSync } from 'node:fs';
import { openSealed } from '../../src/access/login/sealed-answer.js';
import { ssoConnector } from '../../src/access/login/sign-in.js';
import { readUserSshCertificate } from '../../src/identity/ssh-cert.js';
import { readPublicKey, sameKey } from '../../src/pki/keys.js';
import { readAuthorizedKey, readSshCertificate } from '../../src/pki/ssh/certificate.js';
import { publicKeyOf } from '../../src/pki/x509.js';
import { profileOfPing } from '../../src/webapi/addresses.js';
import { webApiError } from '../../src/webapi/error.js';
import { loginAnswer } from '../../src/webapi/login-answer.js';

interface Recorded {
  request: { body: Record<string, string> };
  response: { status: number; body: never };
}
const recorded = (name: string) => JSON.parse(readFileSync(`test/fixtures/rest/${name}.json`, 'utf8')) as Recorded;

/** Where the Proxy's page sends the browser, and the key that the login began with. */
function callbackOf(page: string): URL {
  const html = (recorded(page).response.body as string).replaceAll('&#43;', '+').replaceAll('&amp;', '&');
  return new URL(/content="0;URL='([^']+)'"/.exec(html)![1]!);
}

test('the ping of a connector says how one logs in, and the profile keeps the host of the identity provider', () => {
  const ping = recorded('ping-connector-github').response.body;
  expect(ssoConnector(ping)).toEqual({ type: 'github', name: 'github-acme' });
  expect(profileOfPing(ping, 'proxy.example.com:443')).toMatchObject({ ssoHost: 'github.com' });
});

test('the sealed answer opens with the key of the login, and its certificates are for the keys asked for', () => {
  const { body } = recorded('sso-console').request;
  const key = new URL(body.redirect_url!).searchParams.get('secret_key')!;
  const callback = callbackOf('sso-callback');
  expect([...callback.searchParams.keys()]).toEqual(['response']);
  const plain = openSealed(Buffer.from(key, 'hex'), callback.searchParams.get('response')!);
  const answer = loginAnswer(JSON.parse(plain));
  expect(answer.username).toBe('octo');
  expect(answer.hostSigners.map(({ clusterName }) => clusterName)).toEqual(['sso.example.com']);
  const asked = (name: string) => Buffer.from(body[name]!, 'base64').toString();
  expect(sameKey(publicKeyOf(answer.tlsCertPem), readPublicKey(asked('tls_pub_key')))).toBe(true);
  expect(sameKey(readSshCertificate(answer.sshCert!).key, readAuthorizedKey(asked('ssh_pub_key')))).toBe(true);
  const facts = readUserSshCertificate(answer.sshCert!);
  expect(facts).toMatchObject({ username: 'octo', github: { id: '4711', login: 'octo' } });
  expect(facts.extensions.join()).not.toContain('github');
});

test('a refusal comes back in plain text, beside the key', () => {
  const { searchParams } = callbackOf('sso-callback-denied');
  expect([...searchParams.keys()]).toEqual(['err', 'secret_key']);
  expect(searchParams.get('err')).toMatch(/^GitHub returned error: The user has denied .*\n\tOAuth2 error code=/);
});

test('a callback on a host that the connector does not allow is refused at the start', () => {
  const { status, body } = recorded('sso-console-disallowed-callback').response;
  expect(webApiError(status, JSON.stringify(body))).toMatchObject({
    code: 'AccessDenied',
    message: "Failed to login due to a disallowed callback URL. Please check Teleport's log for more details.",
  });
});
