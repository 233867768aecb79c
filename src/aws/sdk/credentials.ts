/** What is used of the SDK's ways to credentials, named, so that the bundle leaves the rest out. */
export { fromIni, fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
