/** What a database certificate says about itself. Attribute types: certificates.md 4.2. */
import { ATTRIBUTE_OID as OID } from '../identity/attributes.js';
import { readCertificate } from '../pki/x509.js';
import { LEAST_LIFE_MS, type StoredDatabase } from './store.js';

/** The login that a certificate stands for; undefined when it names no database or ends within five seconds. */
export function activeDatabase(certPem: string, now: Date): StoredDatabase | undefined {
  const { subject, notAfter } = readCertificate(certPem);
  const name = subject.get(OID.databaseServiceName)?.[0];
  if (name === undefined || notAfter.getTime() - now.getTime() < LEAST_LIFE_MS) return undefined;
  return {
    certPem,
    name,
    protocol: subject.get(OID.databaseProtocol)?.[0] ?? '',
    dbUser: subject.get(OID.databaseUsername)?.[0] ?? '',
    dbName: subject.get(OID.databaseName)?.[0] ?? '',
    dbRoles: subject.get(OID.databaseRoles) ?? [],
    expiresAt: notAfter,
  };
}
