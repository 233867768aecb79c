/** What one AWS identity is, and what is known of the person behind it. */
import type { AwsLogins, Principal } from '../../dbserver/aws-login.js';
import type { Logger } from '../../log.js';
import type { AwsIdentities, AwsIdentity } from '../../profile/aws-identity.js';
import type { AwsFiles } from './files.js';

export interface AwsContext {
  /** Of the login, or what stands for it when there is none. */
  name: string;
  /** What `tsh login --aws` stored. */
  identity: AwsIdentity | undefined;
  identities: AwsIdentities;
  principal: Principal;
  regions(): Promise<string[]>;
  /** Given with the command: a database of the same name elsewhere is not meant. */
  onlyRegions: readonly string[] | undefined;
  logins: AwsLogins;
  /** Who signs the databases' certificates, PEM; absent: Amazon. */
  caPem: string | undefined;
  files: AwsFiles;
  log: Logger;
  /** Environment. */
  vars: Record<string, string | undefined>;
  warn: (text: string) => void;
  waitingFor<T>(what: string, work: Promise<T>): Promise<T>;
}
