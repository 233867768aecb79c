/** The single sign-on half of the cluster of the tests: connectors of every type, and an identity provider that is only an address. */
import { createCipheriv, randomBytes } from 'node:crypto';

export interface FakeSso {
  /** Bodies of `…/login/console`. */
  ssoLogins: Record<string, unknown>[];
  /** Instead of a redirect, the HTML of a form. */
  ssoForm?: string;
}

/** Where the identity provider stands. */
export const IDENTITY_PROVIDER = 'https://github.com/login/oauth/authorize?state=1';

/** Extensions of the SSH certificate of `octo`, as Teleport writes them. */
export const GITHUB_IDENTITY = { 'github-id@goteleport.com': '4711', 'github-login@goteleport.com': 'octo' };

type Route = (body: Record<string, unknown>) => [number, unknown];

/** `POST /webapi/TYPE/login/console`; a callback on example.com is refused. */
export function ssoRoutes(cluster: FakeSso): Record<string, Route> {
  const start: Route = (body) => {
    if (String(body.redirect_url).startsWith('http://example.com')) {
      return [403, { error: { message: 'Failed to login due to a disallowed callback URL.' } }];
    }
    cluster.ssoLogins.push(body);
    if (cluster.ssoForm === undefined) return [200, { redirect_url: IDENTITY_PROVIDER, post_form: '' }];
    return [200, { redirect_url: '', post_form: Buffer.from(cluster.ssoForm).toString('base64') }];
  };
  return Object.fromEntries(['github', 'oidc', 'saml'].map((type) => [`POST /webapi/${type}/login/console`, start]));
}

/** The address that ends the last login that was begun: a sealed answer for user `octo`. */
export function ssoCallback(
  { ssoLogins }: FakeSso,
  loginAnswer: (user: string, body: Record<string, unknown>, ttl: unknown) => unknown,
): string {
  const body = ssoLogins.at(-1)!;
  const url = new URL(String(body.redirect_url));
  const answer = JSON.stringify(loginAnswer('octo', body, body.cert_ttl));
  url.search = new URLSearchParams({ response: sealed(url.searchParams.get('secret_key')!, answer) }).toString();
  return url.href;
}

/** The seal of a single sign-on answer, as Teleport makes it. @param key  hex, 32 bytes */
export function sealed(key: string, plain: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'hex'), nonce);
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return JSON.stringify({ ciphertext: ciphertext.toString('base64'), nonce: nonce.toString('base64') });
}
