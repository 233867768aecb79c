/** What a database certificate says about itself. Attribute types: certificates reference, 4.2. */
import { readCertificate } from '../pki/x509.js';
import { type ActiveDatabase, LEAST_LIFE_MS } from './store.js';

const ROUTE = {
  name: '1.3.9999.2.1',
  protocol: '1.3.9999.2.2',
  dbUser: '1.3.9999.2.3',
  dbName: '1.3.9999.2.4',
  dbRoles: '1.3.9999.2.19',
} as const;

/** The login that a certificate stands for; undefined when it names no database or ends within five seconds. */
export function activeDatabase(certPem: string, now: Date): ActiveDatabase | undefined {
  const { subject, notAfter } = readCertificate(certPem);
  const name = subject.get(ROUTE.name)?.[0];
  if (name === undefined || notAfter.getTime() - now.getTime() < LEAST_LIFE_MS) return undefined;
  return {
    certPem,
    name,
    protocol: subject.get(ROUTE.protocol)?.[0] ?? '',
    dbUser: subject.get(ROUTE.dbUser)?.[0] ?? '',
    dbName: subject.get(ROUTE.dbName)?.[0] ?? '',
    dbRoles: subject.get(ROUTE.dbRoles) ?? [],
    expiresAt: notAfter,
  };
}
