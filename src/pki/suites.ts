/**
 * Which kind of key each purpose gets under each `signature_algorithm_suite` of `cluster_auth_preference`
 * (Teleport 18.3.0, lib/cryptosuites/suites.go, as a table).
 */
import type { KeyAlgorithm } from './keys.js';

export const SIGNATURE_SUITES = ['legacy', 'balanced-v1', 'fips-v1', 'hsm-v1'] as const;
export type SignatureSuite = (typeof SIGNATURE_SUITES)[number];

/** For a new cluster, as Teleport 18 does. */
export const DEFAULT_SUITE: SignatureSuite = 'balanced-v1';

/** The algorithm for a key of this purpose under this suite. */
export function keyFor(suite: SignatureSuite, purpose: KeyPurpose): KeyAlgorithm {
  return KEYS[purpose][SIGNATURE_SUITES.indexOf(suite)]!;
}

/** The suite behind the number in `cluster_auth_preference`; undefined for 0 (unspecified) and unknown ones. */
export function announcedSuite(value: number): SignatureSuite | undefined {
  return SIGNATURE_SUITES[value - 1];
}

/** The same for making keys: what is not announced counts as `legacy`. */
export function suiteOfNumber(value: number): SignatureSuite {
  return announcedSuite(value) ?? 'legacy';
}

/** The number of a suite in `cluster_auth_preference`. */
export function numberOfSuite(suite: SignatureSuite): number {
  return SIGNATURE_SUITES.indexOf(suite) + 1;
}

const RSA = 'rsa2048';
const P256 = 'ecdsa-p256';
const ED = 'ed25519';

/** Columns: legacy, balanced-v1, fips-v1, hsm-v1. */
const KEYS = {
  'user-ca-tls': [RSA, P256, P256, P256],
  'host-ca-tls': [RSA, P256, P256, P256],
  'user-ca-ssh': [RSA, ED, P256, P256],
  'host-ca-ssh': [RSA, ED, P256, P256],
  'openssh-ca-ssh': [RSA, ED, P256, P256],
  'db-ca-tls': [RSA, RSA, RSA, RSA],
  'db-client-ca-tls': [RSA, RSA, RSA, RSA],
  'jwt-ca': [RSA, P256, P256, P256],
  'oidc-idp-ca': [RSA, RSA, RSA, RSA],
  'saml-idp-ca': [RSA, RSA, RSA, RSA],
  'spiffe-ca-tls': [RSA, P256, P256, P256],
  'spiffe-ca-jwt': [RSA, RSA, RSA, RSA],
  'okta-ca': [P256, P256, P256, P256],
  'awsra-ca': [P256, P256, P256, P256],
  'bound-keypair-ca': [P256, ED, P256, P256],
  'user-ssh': [RSA, ED, P256, ED],
  'user-tls': [RSA, P256, P256, P256],
  /** `tsh db login`, the database service as a client, `tctl auth sign --format=db`. */
  'database-client': [RSA, RSA, RSA, RSA],
  /** What the Proxy makes for each connection to a database service. */
  'proxy-to-database': [RSA, P256, P256, P256],
  'host-ssh': [RSA, ED, P256, ED],
  'host-tls': [RSA, P256, P256, P256],
} as const satisfies Record<string, readonly [KeyAlgorithm, KeyAlgorithm, KeyAlgorithm, KeyAlgorithm]>;

export type KeyPurpose = keyof typeof KEYS;
