/** Host certificates for a token: `POST /webapi/host/credentials` (auth-grpc-and-routing.md 6.1 A). */
import type { AuthClient } from '../../api/client.js';
import { json, type WebAnswer } from './answer.js';
import { base64 } from './login.js';
import type { WebRequest } from './request.js';

export async function hostCredentials(
  join: Pick<AuthClient['join'], 'registerUsingToken'>,
  request: WebRequest,
): Promise<WebAnswer> {
  const body = await request.body();
  const publicTlsKey = body.bytes('public_tls_key');
  const publicSshKey = body.bytes('public_ssh_key');
  const certs = await join.registerUsingToken({
    hostId: body.text('hostID'),
    nodeName: body.text('node_name'),
    role: body.text('role'),
    token: body.text('token'),
    additionalPrincipals: body.texts('additional_principals'),
    dnsNames: body.texts('dns_names'),
    ...(publicTlsKey ? { publicTlsKey } : {}),
    ...(publicSshKey ? { publicSshKey } : {}),
    remoteAddr: request.address,
  });
  return json({
    ssh: base64(certs.ssh),
    tls: base64(certs.tls),
    tls_ca_certs: certs.tlsCaCerts.map(base64),
    ssh_ca_certs: certs.sshCaCerts.map(base64),
  });
}
