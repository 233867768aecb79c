/** What was wrong with a server's certificate, known by Node's and OpenSSL's codes, so that nobody has to look at text. */
import { causesOf, nodeCodeOf } from './errors.js';

export type CertificateProblem = 'unknown-authority' | 'name' | 'expired';

const PROBLEMS: Record<string, CertificateProblem> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown-authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown-authority',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-authority',
  CERT_SIGNATURE_FAILURE: 'unknown-authority',
  INVALID_CA: 'unknown-authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'name',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'expired',
};

/** Of one error, without its causes: the property that `net` leaves there, or the code. */
export function ownCertificateProblem(error: unknown): CertificateProblem | undefined {
  const said = (error as { certificateProblem?: CertificateProblem } | null | undefined)?.certificateProblem;
  return said ?? PROBLEMS[nodeCodeOf(error) ?? ''];
}

/** Wherever in the chain of causes it is said; undefined when nothing was wrong with it. */
export function certificateProblem(error: unknown): CertificateProblem | undefined {
  return causesOf(error)
    .map(ownCertificateProblem)
    .find((problem) => problem !== undefined);
}
