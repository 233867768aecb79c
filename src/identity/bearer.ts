/**
 * Who stands behind a TLS certificate that a client presented. Auth, the Proxy and the Database Service ask here, each with
 * the authorities that it believes. Attributes: certificates.md 4 and 7.1; checks: 2.2.
 */
import { TeleportError } from '../errors.js';
import { isSignedBy } from '../pki/certificate.js';
import { issuingCluster } from '../pki/cluster-name.js';
import { NAME_OID, publicKeyOf, readCertificate, verifyLeaf } from '../pki/x509.js';
import { type SystemRole, systemRoleOf } from '../resources/system-role.js';
import { hostIdIn } from './host.js';
import { DATABASE_USAGE, decodeIdentity, type Identity } from './identity.js';

/** What is believed; without authorities of one kind nobody of that kind is. */
export interface Trust {
  /** PEM texts. */
  hostCas: readonly string[];
  /** PEM texts. */
  userCas: readonly string[];
  clusterName: string;
  /** Whose certificates are believed beside those of this cluster; none without it. */
  remotes?: readonly RemoteTrust[];
  now: Date;
}

/** Another cluster, and what is believed of it: its authorities verify its own certificates and no others. */
export interface RemoteTrust {
  cluster: string;
  /** PEM texts. */
  hostCas: readonly string[];
  /** PEM texts. */
  userCas: readonly string[];
}

export interface Bearer {
  certificateDer: Buffer;
  identity: Identity;
  /** Of a host; undefined for a person. */
  role: SystemRole | undefined;
  /** The other cluster that it is of; undefined: this one. */
  remote?: string | undefined;
}

/**
 * Verify one certificate: signed for a client by the authority of its kind of holder, valid now, of this cluster or of one
 * of the `remotes`.
 *
 * @throws TeleportError `AccessDenied` with the reason; `Protocol` for what cannot be read
 */
export function bearerOf(certificateDer: Buffer, trust: Trust): Bearer {
  const { subject } = readCertificate(certificateDer);
  const issuer = issuingCluster(certificateDer);
  const remote = issuer === trust.clusterName ? undefined : issuer;
  const { hostCas, userCas } = authoritiesFor(remote, trust);
  // A host must not be able to pass for a person, nor a person for a host: each has its own authority.
  const role = systemRoleOf({ groups: subject.get(NAME_OID.organization) ?? [] });
  const { leaf } = verifyLeaf(certificateDer, { cas: role ? hostCas : userCas, now: trust.now, usage: 'clientAuth' });
  const identity = decodeIdentity(leaf);
  const isOfIssuer = role === undefined || hostIdIn(identity.username, issuer ?? trust.clusterName) !== undefined;
  if ((identity.teleportCluster || issuer) !== issuer || !isOfIssuer) throw ofAnotherCluster();
  return { certificateDer, identity, role, ...(remote === undefined ? {} : { remote }) };
}

function authoritiesFor(
  remote: string | undefined,
  trust: Pick<Trust, 'hostCas' | 'userCas' | 'remotes'>,
): Pick<Trust, 'hostCas' | 'userCas'> {
  if (remote === undefined) return trust;
  const found = trust.remotes?.find(({ cluster }) => cluster === remote);
  if (found) return found;
  throw ofAnotherCluster();
}

function ofAnotherCluster(): TeleportError {
  return new TeleportError('AccessDenied', 'access denied: the certificate is of another cluster');
}

const looks = new WeakMap<Bearer, { cas: readonly string[]; isBelieved: boolean }>();

/**
 * Whether a certificate that was verified before is of an authority that is believed now: a rotation may have dropped it. Cheap
 * as long as the authorities are the same.
 */
export function isStillBelieved(bearer: Bearer, trust: Pick<Trust, 'hostCas' | 'userCas' | 'remotes'>): boolean {
  const { remote } = bearer;
  const known = remote === undefined ? trust : trust.remotes?.find(({ cluster }) => cluster === remote);
  const cas = (bearer.role ? known?.hostCas : known?.userCas) ?? [];
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
