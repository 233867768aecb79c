/**
 * Authorities that another cluster says are its own. They go on to every host and every person, so nothing of what was
 * said is kept as it came: each certificate and key is taken apart and written anew, and has a bound.
 */
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { type Certificate, isSignedBy } from '../pki/certificate.js';
import { readAuthorizedKey, sshLine } from '../pki/ssh/certificate.js';
import { isAuthority } from '../pki/verify.js';
import { decodePem, encodePem, NAME_OID, publicKeyOf, readCertificate } from '../pki/x509.js';
import { isClusterName } from '../resources/cluster-name.js';
import type { CaKeySet, CaType, CertAuthority } from '../resources/types.js';

/** Keys of one kind that an authority may have: those of a rotation, and some more. Our own limit. */
const MOST_KEYS = 8;
/** DER of one with RSA of 4,096 bits has 1,500 bytes. Our own limit. */
const MOST_CERTIFICATE_BYTES = 4096;
/** Of a cluster's name twice, and a serial number. Our own limit. */
const MOST_SUBJECT_BYTES = 512;
/** Of the authorities of one cluster, as JSON. Our own limit. */
const MOST_CLUSTER_BYTES = 32 * 1024;

/**
 * What another cluster says its authorities are: exactly one of each type, all of one cluster, by their names and their
 * certificates. Private keys and whatever else came with them are left out.
 *
 * @returns the cluster and its authorities, in the order of `types`
 * @throws TeleportError `AccessDenied` for anything else
 */
export function checkedAuthorities(
  given: readonly CertAuthority[],
  types: readonly CaType[],
): { cluster: string; authorities: CertAuthority[] } {
  const cluster = given[0]?.spec.cluster_name ?? '';
  const authorities = types.map((type) => {
    const ofType = given.filter(({ spec }) => spec.type === type);
    const [one] = ofType;
    if (!one || ofType.length > 1) throw refused(`expected exactly one ${type} authority, received ${ofType.length}`);
    return checkedAuthority(one, cluster);
  });
  if (bytesOf(authorities) > MOST_CLUSTER_BYTES) {
    throw refused(`the authorities of ${cluster} are larger than ${MOST_CLUSTER_BYTES} bytes`);
  }
  return { cluster, authorities };
}

/** As JSON. */
export const bytesOf = (authorities: readonly CertAuthority[]): number =>
  Buffer.byteLength(JSON.stringify(authorities));

function checkedAuthority({ spec }: CertAuthority, cluster: string): CertAuthority {
  const { type, cluster_name: name, active_keys: active, additional_trusted_keys: additional = {} } = spec;
  if (name !== cluster) throw refused('the authorities are of different clusters');
  if (!isClusterName(name)) throw refused(`${JSON.stringify(name.slice(0, 200))} cannot be the name of a cluster`);
  const publicHalves = ({ tls = [], ssh = [] }: CaKeySet) => {
    if (tls.length + ssh.length > 2 * MOST_KEYS) throw refused('an authority has too many keys');
    return {
      ssh: ssh.map(({ public_key }) => ({ public_key: rewritten(public_key, 'an SSH key', sshKey) })),
      tls: tls.map(({ cert }) => ({ cert: rewritten(cert, 'a CA certificate', (pem) => caCertificate(pem, cluster)) })),
    };
  };
  const activeKeys = publicHalves(active);
  if (activeKeys.tls.length === 0) throw refused(`the ${type} authority has no certificate`);
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: cluster },
    spec: { type, cluster_name: cluster, active_keys: activeKeys, additional_trusted_keys: publicHalves(additional) },
  };
}

/** Base64 in and out. */
function rewritten(base64: string, what: string, anew: (text: string) => string): string {
  try {
    return Buffer.from(anew(Buffer.from(base64, 'base64').toString('utf8'))).toString('base64');
  } catch (cause) {
    if (isTeleportError(cause, 'AccessDenied')) throw cause;
    throw refused(`${what} of the other cluster cannot be read: ${messageOf(cause)}`, cause);
  }
}

const sshKey = (line: string): string => sshLine(readAuthorizedKey(line));

function caCertificate(pem: string, cluster: string): string {
  const blocks = decodePem(pem);
  const [block] = blocks;
  if (block?.type !== 'CERTIFICATE' || blocks.length > 1)
    throw refused('a CA certificate is not exactly one PEM block');
  if (block.der.length > MOST_CERTIFICATE_BYTES) {
    throw refused(`a CA certificate is larger than ${MOST_CERTIFICATE_BYTES} bytes`);
  }
  const certificate = readCertificate(block.der);
  checkSubject(certificate, cluster);
  const isOwn = certificate.issuerDer.equals(certificate.subjectDer);
  if (!isOwn || !isAuthority(certificate) || !isSignedBy(certificate, publicKeyOf(block.der))) {
    throw refused('a CA certificate is not the self-signed certificate of an authority');
  }
  return encodePem('CERTIFICATE', certificate.der);
}

/** Clients find an authority by it, and each handshake may name it. */
function checkSubject({ subject, subjectDer }: Certificate, cluster: string): void {
  const { organization, commonName, serialNumber } = NAME_OID;
  if ([organization, commonName].some((oid) => subject.get(oid)?.[0] !== cluster)) {
    throw refused('the subject of a CA certificate does not match the cluster name of the CA');
  }
  const known: readonly string[] = [organization, commonName, serialNumber];
  const isPlain = [...subject].every(([oid, values]) => known.includes(oid) && values.length === 1);
  if (!isPlain || subjectDer.length > MOST_SUBJECT_BYTES) {
    throw refused('the subject of a CA certificate has more than the name of the cluster and a serial number');
  }
}

function refused(why: string, cause?: unknown): TeleportError {
  return new TeleportError('AccessDenied', why, { cause });
}
