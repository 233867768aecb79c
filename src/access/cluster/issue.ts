/**
 * A certificate for one database, signed by Auth for the person who is logged in: a key, a question (is a second factor
 * wanted?) and a request. Works the same on our clusters and Teleport's.
 *
 * Source: auth-grpc-and-routing.md 3.4, 7.1 and 7.6.
 */
import type { AuthClient } from '../../api/client.js';
import { TeleportError } from '../../errors.js';
import { generateKey, privateKeyPem, publicKeyPem, readPrivateKey } from '../../pki/keys.js';
import type { DatabaseKeys } from '../../profile/store.js';
import type { Database } from '../../resources/types.js';
import type { Route } from '../access.js';
import type { Login } from '../login/login.js';

/** Requesters that Auth knows (`UserCertsRequest.requester_name`). */
export const REQUESTER = { none: 0, localProxyTunnel: 1, dbExec: 5 } as const;

/** Usage `database` and the purpose of certificates made after a second factor. */
const USAGE_DATABASE = 3;

/** A new certificate and its key. @throws AccessDenied where each session wants a second factor, or with Auth's text */
export async function issueCertificate(
  login: Pick<Login, 'withAuth' | 'session' | 'credentials'>,
  route: Route,
  requester: number,
): Promise<DatabaseKeys> {
  return await login.withAuth(async (auth, root) => {
    // Read here and not before: a login in between sets another end and may bring another key.
    const { user, cluster, facts } = login.session;
    const { expires, tlsKeyPem } = await login.credentials();
    const key = await databaseKey(tlsKeyPem);
    const request: DatabaseCertificateWish = {
      username: user,
      clusterName: cluster,
      database: route.database,
      dbUser: route.dbUser,
      dbName: route.dbName,
      dbRoles: route.dbRoles,
      tlsPublicKey: publicKeyPem(key),
      expires,
      requester,
      accessRequests: facts?.activeRequests ?? [],
    };
    if (await isMfaRequired(auth, request)) throw mfaRequired(route);
    const certPem = await generateDatabaseCertificate(root, request);
    return { certPem, keyPem: privateKeyPem(key) };
  });
}

/** A login with an RSA key uses it for databases too (as tsh does); otherwise a quick key of its own. */
async function databaseKey(tlsKeyPem: string) {
  const own = readPrivateKey(tlsKeyPem);
  return own.asymmetricKeyType === 'rsa' ? own : await generateKey('ecdsa-p256');
}

function mfaRequired({ database }: Route): TeleportError {
  return new TeleportError(
    'AccessDenied',
    `MFA is required to access Database "${database.metadata.name}": only WebAuthn and SSO MFA methods are supported with per-session MFA`,
    { hint: 'Ask an administrator for a role without "require_session_mfa" for this database.' },
  );
}

export interface DatabaseCertificateWish {
  username: string;
  clusterName: string;
  database: Database;
  dbUser: string;
  dbName: string;
  dbRoles: string[];
  /** PEM of the public key. */
  tlsPublicKey: string;
  /** The end of the login certificate; the server cuts it further. */
  expires: Date;
  requester: number;
  accessRequests: string[];
}

/** Whether this database wants a second factor for each session. */
export async function isMfaRequired(auth: AuthClient, request: DatabaseCertificateWish): Promise<boolean> {
  const answer = await auth.auth.isMFARequired({ target: { case: 'database', value: routeOf(request) } });
  return answer.required;
}

/** A certificate for one database, PEM. Nothing is checked at issuance; refusals come with the connection. */
export async function generateDatabaseCertificate(auth: AuthClient, request: DatabaseCertificateWish): Promise<string> {
  const seconds = Math.floor(request.expires.getTime() / 1000);
  const { tls } = await auth.auth.generateUserCerts({
    username: request.username,
    expires: { seconds: BigInt(seconds), nanos: 0 },
    routeToCluster: request.clusterName,
    accessRequests: request.accessRequests,
    routeToDatabase: routeOf(request),
    usage: USAGE_DATABASE,
    routeToApp: {},
    routeToWindowsDesktop: {},
    requesterName: request.requester,
    tlsPublicKey: Buffer.from(request.tlsPublicKey),
  });
  return Buffer.from(tls).toString();
}

function routeOf({ database, dbUser, dbName, dbRoles }: DatabaseCertificateWish) {
  return {
    serviceName: database.metadata.name,
    protocol: database.spec.protocol,
    username: dbUser,
    database: dbName,
    roles: dbRoles,
  };
}
