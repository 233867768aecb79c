/** AWS logins as `tsh status` shows them, beside the profiles of clusters. */
import { personalIdentities } from '../access/aws/identities.js';
import type { Env } from '../cli/env.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { type Fact, printBlock } from './status-block.js';

export interface AwsStatus {
  identities: AwsIdentity[];
  /** The one that commands use. */
  current: string | undefined;
}

export const NO_AWS: AwsStatus = { identities: [], current: undefined };

export async function awsStatus(env: Env): Promise<AwsStatus> {
  const identities = personalIdentities(env);
  const [all, current] = await Promise.all([identities.list(), identities.currentName()]);
  return { identities: all, current };
}

export function printAwsIdentities(env: Env, identities: readonly AwsIdentity[], current: string | undefined): void {
  for (const one of identities) {
    const facts: Fact[] = [
      ['AWS profile:', one.name],
      ['Logged in as:', one.arn, true],
      ['Account:', one.accountId, true],
      ['Regions:', one.regions.join(', '), true],
      ['Databases:', one.databases.map(({ name }) => name).join(', '), true],
      ['Valid until:', 'as long as the AWS credentials'],
      ['Credential store:', one.credentialStore === 'keychain' ? one.credentialStore : '', true],
    ];
    printBlock(env, facts, one.name === current);
  }
}

/** For JSON and YAML. */
export function awsRecord(one: AwsIdentity, current: string | undefined): Record<string, unknown> {
  return {
    profile: one.name,
    active: one.name === current,
    arn: one.arn,
    account_id: one.accountId,
    regions: one.regions,
    ...(one.assumeRole ? { assume_role: one.assumeRole } : {}),
    ...(one.databases.length > 0 ? { databases: one.databases.map(({ name }) => name) } : {}),
    credential_store: one.credentialStore ?? 'file',
  };
}
