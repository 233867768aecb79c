/** What is used of the SDK's Redshift client, named, so that the bundle leaves the rest (nine tenths) out. */
export {
  DescribeClustersCommand,
  DescribeCustomDomainAssociationsCommand,
  DescribeEndpointAccessCommand,
  GetClusterCredentialsCommand,
  GetClusterCredentialsWithIAMCommand,
  RedshiftClient,
} from '@aws-sdk/client-redshift';
