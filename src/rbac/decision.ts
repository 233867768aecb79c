/** The question that `check.ts` decides, and its answer with everything that led to it. Types only. */
import type { AuthPreference, Database, Role, Traits } from '../resources/types.js';
import type { Check } from './match.js';

export interface DatabaseAccessRequest {
  /** Teleport user name. */
  username: string;
  /** Templates expanded. */
  roles: readonly Role[];
  traits: Traits;
  database: Database;
  /** Undefined: is there any? */
  dbUser: string | undefined;
  dbName: string | undefined;
  /** `--db-roles` of an automatic user; default all. */
  dbRoles?: readonly string[];
  /** The certificate was made after a second factor. */
  mfaVerified: boolean;
  authPreference?: AuthPreference | undefined;
}

/** One block of one role: allow applies when all its checks hold, deny when one does. */
export interface RoleBlock {
  role: string;
  side: 'allow' | 'deny';
  applies: boolean;
  /** Its labels select the database. */
  selects: boolean;
  checks: Check[];
  /** Why its label expression cannot be evaluated; that refuses everybody who has the role. */
  problem: string | undefined;
}

export interface AccessRefusal {
  by: 'own-name' | 'mfa' | 'deny' | 'no-allow' | 'problem' | 'db-roles';
  code: 'AccessDenied' | 'BadParameter';
  /** Teleport's text. */
  message: string;
}

export interface Decision {
  /** Undefined: she may enter. */
  refusal: AccessRefusal | undefined;
  /** The database user is made for her and bears her own name. */
  automatic: boolean;
  /** A second factor is asked for at each session. */
  asksMfa: boolean;
  /** Deny before allow, each in the order of the roles; deny blocks that say nothing of databases are left out. */
  blocks: RoleBlock[];
}
