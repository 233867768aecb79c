/**
 * AWS logins beside cluster profiles: who the person is at AWS, where databases are looked for, and the databases that the person is
 * logged into. No secret is in these files; temporary passwords are in the credential store.
 *
 *     ~/.tsh/aws-profiles/   0700
 *     ├── current            0600   name of the identity that commands use, while it is later than `current-profile`
 *     ├── NAME.json          0600   one identity
 *     └── amazon.pem         0600   Amazon's roots, for other programs
 *     ~/.tsh/aws/NAME/              secrets of one identity (`secret-store.ts`)
 */
import { lstat, lutimes, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import { readIfThere } from '../small-file.js';
import { assertNotEverybodys, tryBase, withBase, writeWithin } from './base-folder.js';
import { basePaths, SECRET_MODE } from './paths.js';
import type { CredentialStoreKind } from './secret.js';
import { wipe } from './wipe.js';

/** A database that the person is logged into, with the names chosen then. */
export interface StoredAwsDatabase {
  name: string;
  /** `host:port`. */
  uri: string;
  /** For TLS, where it is not the host. */
  serverName?: string;
  /** The `aws` member of a `db` resource. */
  aws: Record<string, unknown>;
  dbUser: string;
  dbName: string;
  autoCreate?: boolean;
  dbGroups?: string[];
}

export interface AwsIdentity {
  /** The AWS profile, or `default`; with an assumed role `PROFILE+ROLE`. */
  name: string;
  /** Profile of the shared files; absent: the default credential chain. */
  awsProfile?: string;
  regions: string[];
  assumeRole?: string;
  externalId?: string;
  /** Absolute path; absent: Amazon's roots. */
  caFile?: string;
  accountId: string;
  arn: string;
  /** Where temporary passwords are kept between commands; absent: files. */
  credentialStore?: CredentialStoreKind;
  databases: StoredAwsDatabase[];
}

export interface AwsIdentities {
  /** The folder, for files of other programs. */
  readonly folder: string;
  /** The identity of the last login, if that was one at AWS. One file and two facts of files are read. */
  currentName(): Promise<string | undefined>;
  /** The identity of the last login at AWS, whether or not a login at a cluster came since. */
  lastName(): Promise<string | undefined>;
  /** Commands go to the cluster again. */
  stepBack(): Promise<void>;
  /** @returns undefined when there is none. @throws BadParameter for a broken file, which stays whole */
  read(name: string): Promise<AwsIdentity | undefined>;
  /** Every identity that can be read, by name. */
  list(): Promise<AwsIdentity[]>;
  /** Names of all identities, of those too whose file is broken. */
  names(): Promise<string[]>;
  /** Before AWS is asked for anything. @throws AccessDenied when nothing can be kept here */
  prepare(): Promise<void>;
  /** Remember it as the one of the last login. If it is whom it was before, the databases of before stay. */
  save(identity: AwsIdentity): Promise<AwsIdentity>;
  /** Change the databases of a stored identity; concurrent changes are not lost. */
  changeDatabases(name: string, change: (databases: StoredAwsDatabase[]) => StoredAwsDatabase[]): Promise<void>;
  /** @returns false when there was none */
  delete(name: string): Promise<boolean>;
}

const LONG_AGO = new Date(0);

export function awsIdentities(base: string): AwsIdentities {
  const folder = join(base, 'aws-profiles');
  const current = join(folder, 'current');
  const fileOf = (name: string) => join(folder, `${fileName(name)}.json`);
  const locked = <T>(work: () => Promise<T>): Promise<T> => withBase(base, work);
  const readFrom = async (path: string): Promise<AwsIdentity | undefined> => {
    await assertNotEverybodys(base);
    const text = await readIfThere(path);
    return text === undefined ? undefined : parse(text, path);
  };
  const read = (name: string) => readFrom(fileOf(name));
  const files = async () => (await entriesOf(folder)).filter((name) => name.endsWith('.json')).sort();
  const lastName = async () => (await readIfThere(current))?.trim() || undefined;
  const currentName = async () => {
    const [own, cluster] = await Promise.all([
      changedAt(current, lstat),
      changedAt(basePaths(base).currentProfile, stat),
    ]);
    if (own === undefined || (cluster !== undefined && cluster > own)) return undefined;
    return await lastName();
  };
  const write = (identity: AwsIdentity) =>
    writeWithin(base, fileOf(identity.name), `${JSON.stringify(identity, undefined, 2)}\n`, SECRET_MODE);
  return {
    folder,
    currentName,
    lastName,
    async stepBack() {
      // Nothing is written where nothing would change: the folder may be one that cannot be written.
      if ((await currentName()) === undefined) return;
      await lutimes(current, LONG_AGO, LONG_AGO).catch((error: unknown) => {
        if (!isMissing(error)) throw fileError('write', current, error);
      });
    },
    read,
    async list() {
      const all = await Promise.all((await files()).map((name) => readFrom(join(folder, name)).catch(() => undefined)));
      return all.filter((one) => one !== undefined);
    },
    names: async () => (await files()).map((name) => nameOfFile(name.slice(0, -'.json'.length))),
    prepare: () => tryBase(base),
    async save(identity) {
      return await locked(async () => {
        // Read here: another command may have logged into a database while AWS was asked who this is.
        const before = await read(identity.name).catch(() => undefined);
        const saved = before?.arn === identity.arn ? { ...identity, databases: before.databases } : identity;
        await write(saved);
        await writeWithin(base, current, `${identity.name}\n`, SECRET_MODE);
        return saved;
      });
    },
    async changeDatabases(name, change) {
      await locked(async () => {
        const identity = await read(name);
        if (identity) await write({ ...identity, databases: change(identity.databases) });
      });
    },
    async delete(name) {
      return await withBase(
        base,
        async () => {
          if ((await readIfThere(current))?.trim() === name) await wipe(base, current);
          return await wipe(base, fileOf(name));
        },
        { isRemoval: true },
      );
    },
  };
}

/** Any name as the name of a file; AWS allows nearly anything in that of a profile. */
export function fileName(name: string): string {
  return encodeURIComponent(name).replace(/\./g, '%2E');
}

/** The other way; what nobody wrote so stays as it is. */
function nameOfFile(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parse(text: string, path: string): AwsIdentity {
  try {
    const value = JSON.parse(text) as Partial<AwsIdentity>;
    const isWhole =
      [value.name, value.accountId, value.arn].every((one) => typeof one === 'string') &&
      [value.regions, value.databases].every(Array.isArray);
    if (isWhole) return value as AwsIdentity;
  } catch {
    // told below
  }
  throw new TeleportError('BadParameter', `the AWS login ${path} cannot be read`, {
    hint: 'Remove the file and log in again with "tsh login --aws".',
  });
}

/** Nanoseconds, for two logins may come close upon each other. */
async function changedAt(path: string, look: typeof stat): Promise<bigint | undefined> {
  try {
    return (await look(path, { bigint: true })).mtimeNs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fileError('read', path, error);
  }
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw fileError('read', folder, error);
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(nodeCodeOf(error) ?? '');
}
