/**
 * Whom a TLS client of the public web trusts: Node's built-in roots, plus what SSL_CERT_FILE and SSL_CERT_DIR name, as Go
 * programs read them. Spec: Go's crypto/x509, "root_unix".
 */
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

/** A folder of roots holds about 150 files; beyond this it is another folder. Ours. */
const MOST_FILES = 4096;

/**
 * The `ca` option for web trust. Undefined (Node's own default, the fast one) when neither variable is set.
 * A file that cannot be read is skipped, as Go skips it.
 *
 * @returns PEM texts
 */
export function systemRoots(vars: Record<string, string | undefined>): string[] | undefined {
  const folders = (vars.SSL_CERT_DIR ?? '').split(':').filter((folder) => folder !== '');
  if (!vars.SSL_CERT_FILE && folders.length === 0) return undefined;
  const files = [...(vars.SSL_CERT_FILE ? [vars.SSL_CERT_FILE] : []), ...folders.flatMap(filesOf)];
  // The whole bundle of the system brings Node's roots along; a second copy would only cost time.
  const given = files.flatMap(certificatesOf);
  return given.length >= rootCertificates.length / 2 ? given : [...given, ...rootCertificates];
}

/** The roots of Amazon Trust Services, which sign the certificates of Redshift and RDS endpoints. PEM texts. */
export function amazonRoots(): string[] {
  return rootCertificates.filter((pem) => /\b(O=Amazon|Starfield Services)\b/.test(new X509Certificate(pem).subject));
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .slice(0, MOST_FILES)
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function certificatesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  } catch {
    return [];
  }
}
