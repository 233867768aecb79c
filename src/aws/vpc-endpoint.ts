/**
 * A Redshift-managed VPC endpoint of a provisioned cluster: its host name has the endpoint's name where a cluster's own
 * has the cluster's, so AWS is asked which cluster is behind it. Source: Redshift API `DescribeEndpointAccess`.
 */
import { isTeleportError } from '../errors.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';

/** `NAME-endpoint-HASH`, as AWS makes the first label; a cluster may be called so too. */
const LABEL = /^(.+)-endpoint-[a-z0-9]+$/i;

/**
 * @param host  without port
 * @returns the cluster; undefined when the host is of no endpoint, or when AWS does not let us ask: the name is a cluster's then
 * @throws TeleportError from AWS for anything else
 */
export async function clusterOfVpcEndpoint(options: ClientOptions, host: string): Promise<string | undefined> {
  const EndpointName = LABEL.exec(host.split('.')[0]!)?.[1];
  if (EndpointName === undefined) return undefined;
  const sdk = await import('./sdk/redshift.js');
  const client = new sdk.RedshiftClient(await clientConfig(options));
  try {
    const { EndpointAccessList = [] } = await aws(() =>
      client.send(new sdk.DescribeEndpointAccessCommand({ EndpointName })),
    );
    const found = EndpointAccessList.find(({ Address }) => Address?.toLowerCase() === host.toLowerCase());
    return found?.ClusterIdentifier;
  } catch (error) {
    if (isTeleportError(error, 'NotFound') || isTeleportError(error, 'AccessDenied')) return undefined;
    throw error;
  } finally {
    client.destroy();
  }
}
