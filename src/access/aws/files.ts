/**
 * What other programs read to reach a database with a person's own IAM identity: a password file of libpq that is good
 * for minutes, Amazon's roots, and a section of `~/.pg_service.conf`. Where secrets are in the keychain none is written.
 */

import { join } from 'node:path';
import type { DatabaseCredential } from '../../aws/credential-cache.js';
import { TeleportError } from '../../errors.js';
import { LOOPBACK_NAMES } from '../../ip.js';
import { amazonRoots } from '../../net/roots.js';
import { fileName, type StoredAwsDatabase } from '../../profile/aws-identity.js';
import { writeWithin } from '../../profile/base-folder.js';
import { SECRET_MODE } from '../../profile/paths.js';
import { deletePgServices, pgServiceName, putPgService } from '../../profile/pg-service-file.js';
import type { SecretStore } from '../../profile/secret.js';
import { splitUri } from '../../resources/database-uri.js';
import { shellWord } from '../../shell-word.js';
import type { ConnectionInfo } from '../access.js';

export interface AwsFiles {
  /** Put the password where libpq finds it. @throws BadParameter when secrets are not kept in files */
  write(identity: string, database: StoredAwsDatabase, credential: DatabaseCredential): Promise<ConnectionInfo>;
  /** Whether passwords may be in files at all. */
  arePossible(): Promise<boolean>;
  remove(identity: string, names: readonly string[]): Promise<void>;
}

export interface AwsFilesOptions {
  /** `~/.tsh`. */
  base: string;
  /** Where libpq reads services, and the other places where sections of ours may be. */
  servicePaths: string[];
  /** For what is not secret. */
  folder: string;
  /** Instead of Amazon's roots. */
  caFile: string | undefined;
  secrets: () => Promise<SecretStore>;
  /** Says what a person should know and nothing else depends on. */
  warn: (text: string) => void;
}

export function awsFiles({ base, servicePaths, folder, caFile, secrets, warn }: AwsFilesOptions): AwsFiles {
  const account = (identity: string, name: string) => `aws/${fileName(identity)}/${fileName(name)}.pgpass`;
  const said = new Set<string>();
  /** A password is renewed every few minutes, and the same thing stands in the way each time. */
  const warnOnce = (text: string) => {
    if (!said.has(text)) warn(text);
    said.add(text);
  };
  return {
    async write(identity, database, { user, password }) {
      const store = await secrets();
      if (store.kind !== 'file') {
        throw new TeleportError('BadParameter', 'the password is in the system keychain and is not written to a file', {
          hint: `Use: tsh db connect ${shellWord(database.name)}, or for other programs: tsh proxy db --tunnel ${shellWord(database.name)}`,
        });
      }
      const passFile = account(identity, database.name);
      const [host, port] = splitUri(database.uri);
      // `tsh proxy db` listens on this machine. libpq gives the password to these hosts and to no other.
      const lines = [host, ...LOOPBACK_NAMES].map((one) => `${[one, '*', '*', user, password].map(field).join(':')}\n`);
      await store.set(passFile, lines.join(''));
      const ca = caFile ?? join(folder, 'amazon.pem');
      if (!caFile) await writeWithin(base, ca, `${amazonRoots().join('\n')}\n`, SECRET_MODE);
      const info: ConnectionInfo = {
        host,
        port,
        caFile: ca,
        passFile: join(base, ...passFile.split('/')),
        dbUser: user,
        // A VPC endpoint has the certificate of its workgroup, and libpq knows one name only.
        sslMode: database.serverName ? 'verify-ca' : 'verify-full',
      };
      const service = {
        host,
        port,
        user,
        dbName: database.dbName,
        sslMode: info.sslMode,
        sslRootCert: ca,
        passFile: info.passFile,
      };
      await putPgService(servicePaths[0]!, pgServiceName(identity, database.name), service, warnOnce);
      return info;
    },
    arePossible: async () => (await secrets()).kind === 'file',
    async remove(identity, names) {
      const store = await secrets();
      if (store.kind === 'file') for (const name of names) await store.delete(account(identity, name));
      const sections = names.map((name) => pgServiceName(identity, name));
      await deletePgServices(servicePaths, sections, warn);
    },
  };
}

/** A field of a password file. Source: PostgreSQL manual, "The Password File". */
function field(text: string): string {
  return text.replace(/[\\:]/g, '\\$&');
}
