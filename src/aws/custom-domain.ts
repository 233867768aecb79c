/**
 * A name of one's own in front of Redshift: which cluster or workgroup it stands for. Certificate and DNS are made in AWS
 * ("custom domain association"); the host name alone says neither flavour nor id.
 *
 * Source: Redshift API `DescribeCustomDomainAssociations`, Redshift Serverless API `ListCustomDomainAssociations`.
 */
import { isTeleportError } from '../errors.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';

export type CustomDomain = { clusterId: string } | { workgroup: string };

/**
 * @param host  without port; compared without regard to case
 * @returns undefined when the region knows no such name
 * @throws TeleportError from AWS when one of the two services could not be asked and the other does not know the name
 */
export async function findCustomDomain(options: ClientOptions, host: string): Promise<CustomDomain | undefined> {
  const name = host.toLowerCase();
  const asked = await Promise.allSettled([clusterOf(options, name), workgroupOf(options, name)]);
  const found = asked.find((one) => one.status === 'fulfilled' && one.value !== undefined);
  if (found?.status === 'fulfilled') return found.value;
  const failed = asked.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return undefined;
}

async function clusterOf(options: ClientOptions, name: string): Promise<CustomDomain | undefined> {
  const sdk = await import('./sdk/redshift.js');
  const client = new sdk.RedshiftClient(await clientConfig(options));
  try {
    const command = new sdk.DescribeCustomDomainAssociationsCommand({ CustomDomainName: name });
    const { Associations = [] } = await aws(() => client.send(command));
    const domains = Associations.flatMap(({ CertificateAssociations = [] }) => CertificateAssociations);
    const clusterId = domains.find(
      ({ CustomDomainName }) => CustomDomainName?.toLowerCase() === name,
    )?.ClusterIdentifier;
    return clusterId ? { clusterId } : undefined;
  } catch (error) {
    if (isTeleportError(error, 'NotFound')) return undefined;
    throw error;
  } finally {
    client.destroy();
  }
}

async function workgroupOf(options: ClientOptions, name: string): Promise<CustomDomain | undefined> {
  const sdk = await import('./sdk/redshift-serverless.js');
  const client = new sdk.RedshiftServerlessClient(await clientConfig(options));
  try {
    const command = new sdk.ListCustomDomainAssociationsCommand({ customDomainName: name });
    const { associations = [] } = await aws(() => client.send(command));
    const workgroup = associations.find(
      ({ customDomainName }) => customDomainName?.toLowerCase() === name,
    )?.workgroupName;
    return workgroup ? { workgroup } : undefined;
  } catch (error) {
    if (isTeleportError(error, 'NotFound')) return undefined;
    throw error;
  } finally {
    client.destroy();
  }
}
