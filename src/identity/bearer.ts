/**
 * Who stands behind a TLS certificate that a client presented. Auth, the Proxy and the Database Service ask here, each with
 * the authorities that it believes. Attributes: certificates.md 4 and 7.1; checks: 2.2.
 */
import { TeleportError } from '../errors.js';
import { isSignedBy } from '../pki/certificate.js';
import { issuingCluster } from '../pki/cluster-name.js';
import { NAME_OID, publicKeyOf, readCertificate, verifyLeaf } from '../pki/x509.js';
import { type SystemRole, systemRoleOf } from '../resources/system-role.js';
import { DATABASE_USAGE, decodeIdentity, type Identity } from './identity.js';

/** What is believed; without authorities of one kind nobody of that kind is. */
export interface Trust {
  /** PEM texts. */
  hostCas: readonly string[];
  /** PEM texts. */
  userCas: readonly string[];
  clusterName: string;
  now: Date;
}

export interface Bearer {
  certificateDer: Buffer;
  identity: Identity;
  /** Of a host; undefined for a person. */
  role: SystemRole | undefined;
}

/**
 * Verify one certificate: signed for a client by the authority of its kind of holder, valid now, of this cluster.
 *
 * @throws TeleportError `AccessDenied` with the reason; `Protocol` for what cannot be read
 */
export function bearerOf(certificateDer: Buffer, { hostCas, userCas, clusterName, now }: Trust): Bearer {
  const { subject } = readCertificate(certificateDer);
  // A host must not be able to pass for a person, nor a person for a host: each has its own authority.
  const role = systemRoleOf({ groups: subject.get(NAME_OID.organization) ?? [] });
  const { leaf } = verifyLeaf(certificateDer, { cas: role ? hostCas : userCas, now, usage: 'clientAuth' });
  const identity = decodeIdentity(leaf);
  const issuer = issuingCluster(certificateDer);
  if (issuer !== clusterName || (identity.teleportCluster || issuer) !== clusterName) {
    throw new TeleportError('AccessDenied', 'access denied: the certificate is of another cluster');
  }
  return { certificateDer, identity, role };
}

const looks = new WeakMap<Bearer, { cas: readonly string[]; isBelieved: boolean }>();

/**
 * Whether a certificate that was verified before is of an authority that is believed now: a rotation may have dropped it. Cheap
 * as long as the authorities are the same.
 */
export function isStillBelieved(bearer: Bearer, { hostCas, userCas }: Pick<Trust, 'hostCas' | 'userCas'>): boolean {
  const cas = bearer.role ? hostCas : userCas;
  const last = looks.get(bearer);
  if (last && last.cas.length === cas.length && last.cas.every((pem, at) => pem === cas[at])) return last.isBelieved;
  const certificate = readCertificate(bearer.certificateDer);
  const isBelieved = cas.some((pem) => isSignedBy(certificate, publicKeyOf(pem)));
  looks.set(bearer, { cas, isBelieved });
  return isBelieved;
}

/**
 * A certificate without restriction is good for everything, one for databases for them alone.
 *
 * @throws TeleportError `AccessDenied`
 */
export function checkUsage({ usage }: Pick<Identity, 'usage'>, purpose: 'everything' | 'databases'): void {
  const isForDatabases = purpose === 'databases' && usage.length === 1 && usage[0] === DATABASE_USAGE;
  if (usage.length > 0 && !isForDatabases) {
    throw new TeleportError('AccessDenied', 'access denied: invalid client certificate');
  }
}
