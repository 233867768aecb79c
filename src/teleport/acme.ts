/** The Proxy's certificate from an ACME authority, as `proxy_service.acme` says it. */
import { join } from 'node:path';
import { KeptCertificate } from '../acme/kept-certificate.js';
import { TeleportError } from '../errors.js';
import { type HostPort, joinHostPort } from '../host-port.js';
import type { Logger } from '../log.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import { readIfThere } from '../small-file.js';
import type { AcmeConfig } from './config-proxy.js';

/** Where authorities ask, whatever port people use. */
const CHALLENGE_PORT = 443;

interface Surroundings {
  dataDir: string;
  /** Environment. */
  vars: Record<string, string | undefined>;
  now: () => Date;
  log: Logger;
}

/** @throws TeleportError for a file of the section that cannot be used */
export async function openAcmeCertificate(
  { directory, names, email, ...files }: AcmeConfig,
  listen: HostPort,
  { dataDir, ...surroundings }: Surroundings,
): Promise<KeptCertificate> {
  if (listen.port !== CHALLENGE_PORT) {
    surroundings.log.warn(
      `An ACME authority asks at port ${CHALLENGE_PORT}: something must lead from there to this Proxy, and must not end TLS.`,
      { addr: joinHostPort(listen.host, listen.port) },
    );
  }
  return await KeptCertificate.open({
    dir: join(dataDir, 'acme'),
    authority: { directory, ...(await readAcmeFiles(files)) },
    ...{ names, email },
    ...surroundings,
  });
}

/** What the files of the section hold. @throws TeleportError for one that cannot be used */
export async function readAcmeFiles({ caFile, binding }: Pick<AcmeConfig, 'caFile' | 'binding'>) {
  return {
    ca: caFile ? readCertificateFile(caFile, 'proxy_service.acme.ca_file') : undefined,
    binding: binding && { keyId: binding.keyId, hmacKey: await hmacKeyIn(binding.hmacKeyFile) },
  };
}

async function hmacKeyIn(file: string): Promise<string> {
  const key = (await readIfThere(file))?.trim() ?? '';
  if (/^[\w-]+$/.test(key)) return key;
  throw new TeleportError('BadParameter', `proxy_service.acme.eab: ${file} does not hold a key in base64url`, {
    hint: 'Write what the authority gave you for external account binding into that file, and nothing else.',
  });
}
