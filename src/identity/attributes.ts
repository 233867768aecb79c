/**
 * Attribute types of a Teleport subject beyond the standard ones: text values under 1.3.9999, in the order in which
 * Teleport 18.3.0 writes them (lib/tlsca/ca.go). Only those that concern people, hosts and databases; others are ignored
 * when read and never written.
 */
export const ATTRIBUTE_OID = {
  systemRoles: '1.3.9999.2.11',
  renewable: '1.3.9999.1.13',
  teleportCluster: '1.3.9999.1.7',
  mfaVerified: '1.3.9999.1.8',
  previousIdentityExpires: '1.3.9999.2.12',
  loginIp: '1.3.9999.1.9',
  pinnedIp: '1.3.9999.2.15',
  databaseServiceName: '1.3.9999.2.1',
  databaseProtocol: '1.3.9999.2.2',
  databaseUsername: '1.3.9999.2.3',
  databaseName: '1.3.9999.2.4',
  databaseRoles: '1.3.9999.2.19',
  databaseNames: '1.3.9999.2.5',
  databaseUsers: '1.3.9999.2.6',
  impersonator: '1.3.9999.2.7',
  activeRequests: '1.3.9999.2.8',
  disallowReissue: '1.3.9999.2.9',
  generation: '1.3.9999.1.14',
  botName: '1.3.9999.2.18',
  botInstanceId: '1.3.9999.2.20',
  joinToken: '1.3.9999.2.23',
  userType: '1.3.9999.1.20',
  allowedResources: '1.3.9999.2.10',
  privateKeyPolicy: '1.3.9999.1.15',
  /** This product's own; Teleport's programs pass over what they do not know. */
  userGeneration: '1.3.9999.99.1',
  loginDevice: '1.3.9999.99.2',
} as const;
