/** Tests: src/access/login/args.ts. */
import { get } from 'node:http';
import type { BrowserArgs } from '../../../src/access/login/args.js';
import type { AskedProxy } from '../../../src/access/login/session.js';
import { signInBySso } from '../../../src/access/login/sso.js';
import type { ProxyClient, SsoLoginRequest, SsoLoginStart } from '../../../src/webapi/client.js';
import { memoryEnv } from '../../support/env.js';

const WISH = { sshPublicKey: 'ssh-ed25519 AAAA', tlsPublicKeyPem: 'PEM', ttlMs: 0, routeToCluster: '' };

let asked: SsoLoginRequest[];
beforeEach(() => {
  asked = [];
});

/** A proxy that answers the start of a login with this. */
function proxy(start: unknown): AskedProxy {
  const startSso = async (request: SsoLoginRequest) => {
    asked.push(request);
    return start as SsoLoginStart;
  };
  const client = { startSso } as unknown as ProxyClient;
  return { client, ping: {}, profile: { webProxyAddr: 'proxy.example.com:443' } };
}
const signIn = (env = memoryEnv(), start: unknown = { redirect_url: 'https://idp' }, args: BrowserArgs = {}) =>
  signInBySso(
    env,
    proxy(start),
    { type: 'oidc', name: 'corp' },
    WISH,
    { browser: 'none', ...args },
    { timeoutMs: 500 },
  );

test('nobody comes back: after the time is over the listener is closed', async () => {
  const env = memoryEnv();
  await expect(signIn(env)).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: 'timed out waiting for callback',
  });
  const closed = new Promise((_, reject) => get(/http:\S+/.exec(env.err())![0]).on('error', reject));
  await expect(closed).rejects.toThrow('ECONNREFUSED');
});

test.each([
  ['nothing', {}],
  ['empty texts', { redirect_url: '', post_form: '' }],
  ['no text', { redirect_url: 7 }],
  ['a script', { redirect_url: 'javascript:alert(1)' }],
  ['a file', { redirect_url: 'file:///etc/passwd' }],
  ['half an address', { redirect_url: 'idp.example.com/start' }],
])('a proxy that answers the start with %s is refused, and no link is shown', async (_, start) => {
  const env = memoryEnv();
  await expect(signIn(env, start)).rejects.toMatchObject({
    code: 'Protocol',
    message: 'the proxy did not say where to log in',
  });
  expect(env.err()).toBe('');
});

test('a callback on another host is agreed to first; without a scheme it is https', async () => {
  const env = memoryEnv({ input: 'y\n' });
  await expect(
    signIn(env, undefined, { bindAddr: '127.0.0.1:0', callback: 'me.example.com:8443/' }),
  ).rejects.toMatchObject({ message: 'timed out waiting for callback' });
  expect(asked[0]!.callbackUrl).toMatch(/^https:\/\/me\.example\.com:8443\/callback\?secret_key=[0-9a-f]{64}$/);
  expect(env.err()).toMatch(/Continue\? \[y\/N\]: Use the .*\n https:\/\/me\.example\.com:8443\/[0-9a-f-]{36}\n$/);
});

test.each(['', 'ftp://me.example.com', 'http://', 'a b'])('refused as a callback: %j', async (callback) => {
  const refused = signIn(memoryEnv({ input: 'y\n' }), undefined, { bindAddr: '127.0.0.1:0', callback });
  await expect(refused).rejects.toThrow(callback === '' ? 'timed out' : `invalid callback address: "${callback}"`);
});

test('on a machine without a browser the link is there', async () => {
  const env = memoryEnv({ vars: { PATH: '/none' } });
  await expect(signIn(env, undefined, { browser: '' })).rejects.toThrow('timed out');
  expect(env.err()).toMatch(/^If browser window does not open automatically, open it by clicking on the link:\n http:/);
});
