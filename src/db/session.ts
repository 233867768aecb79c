/**
 * What is known of one connection once its certificate has been believed: who, to which database, as whom in it. Filled
 * by `authorize.ts`, read by the engine, the audit and the monitor.
 */
import type { TeleportError } from '../errors.js';
import type { Identity } from '../identity/identity.js';
import type { AuthPreference, ClusterNetworkingConfig, Database, Lock, Role, Traits } from '../resources/types.js';
import type { AutoUser } from './auto-user.js';

export interface DatabaseSession {
  /** UUID; `sid` in the audit log. */
  id: string;
  identity: Identity;
  /** Whether the authority behind the certificate is believed now. */
  isBelieved?: () => boolean;
  database: Database;
  dbUser: string;
  dbName: string;
  /** The user is made for this session, and others of the same person. */
  autoUser?: AutoUser | undefined;
  /** `application_name` of the client, kept for audit and not sent on. */
  userAgent: string;
  /** Startup parameters for the database: everything but user, database and application_name. */
  startupParameters: [string, string][];
  roles: Role[];
  traits: Traits;
  locks: Lock[];
  authPreference: AuthPreference | undefined;
  networking: ClusterNetworkingConfig | undefined;
  /** `ip:port` of the person's end. */
  clientAddr: string;
  startedAt: Date;
  /** Why it must not begin: a lock, an address, a certificate that was ended, a user that cannot be made. */
  refusal: TeleportError | undefined;
}

/** What the tunnel says about a new connection. */
export interface SessionCaller {
  certificateDer: Buffer;
  clientAddr: string;
}
