/**
 * Certificates around a database: the client certificate with which a Database Service enters a self-hosted database, the
 * server certificate of that database, and the certificate with which a Proxy reaches a Database Service.
 * Source: certificates.md 2 and 8.
 */
import { TeleportError } from '../errors.js';
import { decodeSubject, encodeSubject } from '../identity/identity.js';
import { issueLeaf, NAME_OID, readCsr } from '../pki/x509.js';
import { isAllowed } from './rules.js';
import { type AuthState, record } from './state.js';
import { nameOf, requireHost, standingUser, type Who } from './who.js';

export interface IssuedCertificate {
  /** PEM. */
  cert: string;
  /** PEM: whom the holder must trust at the other end. */
  caCerts: string[];
}

const MAX_TTL_MS = 3650 * 86_400_000;
/** What an agent asks for; one that was taken over gets no more. */
const MAX_AGENT_TTL_MS = 3_600_000;
const MAX_RECORDED_CHARS = 1_000;
const DEFAULT_TTL_MS = 3_600_000;

/**
 * `GenerateDatabaseCert`: for `tctl auth sign --format=db` a server certificate, otherwise a client certificate. An agent
 * enters databases and is none, so it gets client certificates only, of an hour.
 */
export async function databaseCertificate(
  state: AuthState,
  who: Who,
  request: { csr: Uint8Array; serverNames: readonly string[]; ttlMs: number; forServer: boolean },
): Promise<IssuedCertificate> {
  const { forServer } = request;
  const kind = forServer ? 'database_certificate' : 'database_client_certificate';
  const isAgent = who.kind === 'host' && who.role === 'Db';
  const isTrusted = who.kind === 'host' && (who.role === 'Admin' || (isAgent && !forServer));
  if (!isTrusted && !isAllowed(who, kind, 'create')) {
    throw new TeleportError(
      'AccessDenied',
      `access denied. User must have 'create' permission for '${kind}' kind to generate the certificate `,
    );
  }
  if (forServer && request.serverNames.length === 0) {
    throw new TeleportError('BadParameter', 'at least one hostname must be specified');
  }
  const { subject, publicKey } = readCsr(Buffer.from(request.csr).toString('utf8'));
  const now = state.now();
  const ttlMs = Math.min(request.ttlMs > 0 ? request.ttlMs : DEFAULT_TTL_MS, isAgent ? MAX_AGENT_TTL_MS : MAX_TTL_MS);
  const [commonName = ''] = subject.get(NAME_OID.commonName) ?? [];
  const serverNames = forServer ? [...new Set(request.serverNames)] : [];
  const notAfter = new Date(now.getTime() + ttlMs);
  const cert = issueLeaf({
    ca: forServer ? state.authorities.tlsOfDatabases() : state.authorities.tls('db_client'),
    publicKey,
    subject: [
      { oid: NAME_OID.organization, values: forServer ? (subject.get(NAME_OID.organization) ?? []) : [] },
      { oid: NAME_OID.commonName, values: commonName === '' ? [] : [commonName] },
    ],
    sans: serverNames,
    notBefore: new Date(now.getTime() - 60_000),
    notAfter,
    extendedKeyUsage: [forServer ? 'serverAuth' : 'clientAuth'],
  });
  await record(state, 'cert.create', 'ok', {
    cert_type: forServer ? 'database' : 'database_client',
    user: nameOf(who),
    common_name: commonName.slice(0, MAX_RECORDED_CHARS),
    ...(forServer ? { server_names: serverNames.join(',').slice(0, MAX_RECORDED_CHARS) } : {}),
    expires: notAfter.toISOString(),
  });
  return { cert, caCerts: state.authorities.trusted(forServer ? 'db_client' : 'db') };
}

/** `SignDatabaseCSR`: the identity of a user, as the Proxy verified it, signed by the Database CA. */
export async function signDatabaseCsr(
  state: AuthState,
  who: Who,
  request: { csr: Uint8Array; clusterName: string },
): Promise<IssuedCertificate> {
  requireHost(who, 'Proxy');
  if (request.clusterName !== '' && request.clusterName !== state.clusterName) {
    throw new TeleportError('NotFound', `key "${request.clusterName}" is not found`);
  }
  const { subject, publicKey } = readCsr(Buffer.from(request.csr).toString('utf8'));
  const now = state.now();
  const notAfter = new Date(now.getTime() + DEFAULT_TTL_MS);
  const identity = decodeSubject(subject, notAfter);
  await standingUser(state, identity);
  const cert = issueLeaf({
    ca: state.authorities.tls('db'),
    publicKey,
    subject: encodeSubject(identity),
    notBefore: new Date(now.getTime() - 60_000),
    notAfter,
  });
  await record(state, 'cert.create', 'ok', {
    cert_type: 'database_session',
    user: nameOf(who),
    common_name: identity.username.slice(0, MAX_RECORDED_CHARS),
    expires: notAfter.toISOString(),
  });
  return { cert, caCerts: state.authorities.trusted('host') };
}
