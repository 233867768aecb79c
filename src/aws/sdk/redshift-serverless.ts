/** What is used of the SDK's Redshift Serverless client, named, so that the bundle leaves the rest out. */

export type { EndpointAccess, Workgroup } from '@aws-sdk/client-redshift-serverless';
export {
  GetCredentialsCommand,
  GetEndpointAccessCommand,
  GetWorkgroupCommand,
  ListCustomDomainAssociationsCommand,
  ListEndpointAccessCommand,
  ListTagsForResourceCommand,
  ListWorkgroupsCommand,
  RedshiftServerlessClient,
} from '@aws-sdk/client-redshift-serverless';
