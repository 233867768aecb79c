/** Where Teleport looks for its configuration and keeps its data when nothing else is said; files in there that two programs know. */
import { join } from 'node:path';

export const DEFAULT_CONFIG_FILE = '/etc/teleport.yaml';
export const DEFAULT_DATA_DIR = '/var/lib/teleport';

/** The self-signed web certificate's files, named as Teleport names them. */
export function webCertFiles(dataDir: string): { keyFile: string; certFile: string } {
  return { keyFile: join(dataDir, 'webproxy_key.pem'), certFile: join(dataDir, 'webproxy_cert.pem') };
}
