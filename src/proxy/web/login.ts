/** Login with password and one-time code: `begin`, `finish`. Shapes and texts: login-and-profile.md 2.3 to 2.5. */
import type { AuthClient } from '../../api/client.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { json, type WebAnswer } from './answer.js';
import type { WebRequest } from './request.js';

type Gateway = Pick<AuthClient['proxyGateway'], 'loginBegin' | 'loginFinish'>;

/** `POST /webapi/mfa/login/begin` */
export async function loginBegin(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const body = await request.body();
  if (body.flag('passwordless')) throw new TeleportError('BadParameter', 'passwordless requires WebAuthn');
  try {
    const { totpChallenge } = await gateway.loginBegin({
      user: body.text('user'),
      password: body.text('pass'),
      remoteAddr: request.address,
    });
    return json({ webauthn_challenge: null, totp_challenge: totpChallenge, sso_challenge: null });
  } catch (error) {
    // Unknown user, wrong password and locked user must look alike. An Auth Service that is away is something else.
    if (isTeleportError(error, 'ConnectionProblem')) throw error;
    throw new TeleportError('AccessDenied', 'invalid credentials', { cause: error });
  }
}

/** `POST /webapi/mfa/login/finish` */
export async function loginFinish(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const body = await request.body();
  const sshPublicKey = body.bytes('ssh_pub_key');
  const tlsPublicKey = body.bytes('tls_pub_key');
  if (!sshPublicKey && !tlsPublicKey) {
    throw new TeleportError('BadParameter', "'ssh_pub_key' or 'tls_pub_key' must be set");
  }
  const login = await gateway.loginFinish({
    user: body.text('user'),
    password: body.text('password'),
    totpCode: body.text('totp_code'),
    ...(sshPublicKey ? { sshPublicKey } : {}),
    ...(tlsPublicKey ? { tlsPublicKey } : {}),
    ttl: body.integer('ttl'),
    routeToCluster: body.text('RouteToCluster'),
    compatibility: body.text('compatibility'),
    remoteAddr: request.address,
    userAgent: request.userAgent,
  });
  return json({
    username: login.username,
    cert: base64OrNull(login.sshCert),
    tls_cert: base64OrNull(login.tlsCert),
    host_signers: login.hostSigners.map(({ domainName, checkingKeys, tlsCerts }) => ({
      domain_name: domainName,
      checking_keys: checkingKeys.map(base64),
      tls_certs: tlsCerts.map(base64),
    })),
    samlSingleLogoutEnabled: false,
    mfa_token: '',
    client_options: { default_relay_addr: '' },
  });
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function base64OrNull(bytes: Uint8Array): string | null {
  return bytes.length === 0 ? null : base64(bytes);
}
