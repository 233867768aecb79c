/** What is used of the SDK's STS client, named, so that the bundle leaves the rest out. */
export { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
