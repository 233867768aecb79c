/**
 * Client certificates for self-hosted databases: CN = database user, signed by the cluster's db_client authority through
 * Auth (`GenerateDatabaseCert`). One key for the life of the process and one certificate per user, used again until it
 * is near its end: a new key and a round trip for each connection is where others lose their time.
 *
 * Source: certificates.md 8.
 */
import type { AuthClient } from '../api/client.js';
import type { ClientCertificate, ClientCertificates } from '../dbserver/connect.js';
import { nanosOfMs } from '../duration.js';
import { generateKey, privateKeyPem } from '../pki/keys.js';
import { createCsr, NAME_OID, readCertificate } from '../pki/x509.js';

/** Lifetime asked for; renewed when less than a quarter is left. */
const TTL_MS = 60 * 60 * 1000;
const RENEW_BEFORE_MS = TTL_MS / 4;
/** Users remembered at the same time; the oldest goes first. */
const MAX_USERS = 1000;

export function createClientCertificates(
  auth: () => Promise<AuthClient>,
  now: () => Date,
): ClientCertificates & {
  /** An authority has changed: what it signed, and whom it says to trust, is asked for anew. */
  forget(): void;
} {
  let key: ReturnType<typeof generateKey> | undefined;
  const issued = new Map<string, { until: number; certificate: Promise<ClientCertificate> }>();

  const issue = async (dbUser: string): Promise<ClientCertificate> => {
    key ??= generateKey('ecdsa-p256');
    const privateKey = await key;
    const csr = createCsr({ subject: [{ oid: NAME_OID.commonName, values: [dbUser] }], key: privateKey });
    const client = await auth();
    const answer = await client.auth.generateDatabaseCert({
      csr: Buffer.from(csr),
      ttl: nanosOfMs(TTL_MS),
    });
    return {
      certPem: Buffer.from(answer.cert).toString(),
      keyPem: privateKeyPem(privateKey),
      databaseCaPems: answer.caCerts.map((pem) => Buffer.from(pem).toString()),
    };
  };
  return {
    forget: () => issued.clear(),
    get(dbUser) {
      const at = now().getTime();
      const known = issued.get(dbUser);
      if (known && known.until > at) return known.certificate;
      const certificate = issue(dbUser);
      const entry = { until: at + TTL_MS - RENEW_BEFORE_MS, certificate };
      issued.set(dbUser, entry);
      if (issued.size > MAX_USERS) issued.delete(issued.keys().next().value!);
      certificate.then(
        ({ certPem }) => {
          // Auth may give less than was asked for.
          const end = readCertificate(certPem).notAfter.getTime();
          entry.until = Math.min(entry.until, end - (end - at) / 4);
        },
        // A failed request must not be remembered.
        () => issued.get(dbUser) === entry && issued.delete(dbUser),
      );
      return certificate;
    },
  };
}
