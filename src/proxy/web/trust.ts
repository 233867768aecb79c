/** A cluster wants to become a leaf: `POST /webapi/trustedclusters/validate`. Shape: Teleport 18.3.0, lib/auth/authclient/clt.go. */
import type { AuthClient } from '../../api/client.js';
import { fromMessages, toMessage } from '../../api/convert.js';
import { TeleportError } from '../../errors.js';
import type { CertAuthority } from '../../resources/types.js';
import { json, type WebAnswer } from './answer.js';
import { base64 } from './login.js';
import type { WebRequest } from './request.js';

/** @throws TeleportError `BadParameter` for authorities that cannot be read, `AccessDenied` as Auth says it */
export async function validateTrust(
  gateway: Pick<AuthClient['proxyGateway'], 'validateTrustedCluster'>,
  request: WebRequest,
): Promise<WebAnswer> {
  const body = await request.body();
  const given = body.texts('certificate_authorities').map(readAuthority);
  const { certificateAuthorities } = await gateway.validateTrustedCluster({
    token: body.text('token'),
    certificateAuthorities: given.map((authority) => toMessage('cert_authority', authority)),
    remoteAddr: request.address,
  });
  const ours = fromMessages('cert_authority', certificateAuthorities);
  return json({ certificate_authorities: ours.map((one) => base64(Buffer.from(JSON.stringify(one)))) });
}

function readAuthority(text: string): CertAuthority {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as CertAuthority;
  } catch {
    // said below
  }
  throw new TeleportError('BadParameter', 'request: certificate_authorities is not a list of authorities');
}
