/** A host asks for its next certificate with the one it has, and a key of its own making. */
import { hostNamesOf } from '../identity/host.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../pki/keys.js';
import { splitPem } from '../pki/pem.js';
import type { AuthClient } from './client.js';
import type { HostIdentity } from './host-identity.js';

/** @throws TeleportError `AccessDenied` for a host that is locked, or whose certificate is over */
export async function renewHostIdentity(auth: Pick<AuthClient, 'auth'>, identity: HostIdentity): Promise<HostIdentity> {
  const { hostId, nodename, role, certPem } = identity;
  const key = await generateKey('ecdsa-p256');
  const { tls, tlsCaCerts } = await auth.auth.generateHostCerts({
    hostId,
    nodeName: nodename,
    role,
    additionalPrincipals: hostNamesOf(certPem),
    publicTlsKey: Buffer.from(publicKeyPem(key)),
  });
  return {
    ...identity,
    certPem: Buffer.from(tls).toString('utf8'),
    keyPem: privateKeyPem(key),
    hostCaPems: tlsCaCerts.flatMap((pem) => splitPem(Buffer.from(pem).toString('utf8'), 'CERTIFICATE')),
  };
}
