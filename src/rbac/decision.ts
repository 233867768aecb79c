/** The question that `check.ts` decides, and its answer with everything that led to it. Types only. */
import type { AuthPreference, Database, Role, Traits } from '../resources/types.js';
import type { Check } from './match.js';

export interface DatabaseAccessRequest {
  /** Teleport user name. */
  username: string;
  /** Name of this cluster, where she is of another one, whose leaf it is: her name is the mapped one. */
  leaf?: string | undefined;
  /** What she is called there. */
  remoteUser?: string | undefined;
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
  by: 'no-auto-user' | 'own-name' | 'mfa' | 'deny' | 'no-allow' | 'problem' | 'db-roles';
  code: 'AccessDenied' | 'BadParameter' | 'NotImplemented';
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

/** An edit of those that together would let somebody in. */
export interface AccessChange {
  /**
   * `trait`: one value more for the user. `assign`: an existing role more for her. `label`: the database gets one. `admin-user`: it
   * gets somebody who makes users. `role`: an entry more in allow, or one less in deny. `own-name`: connect as oneself. `db-role`: do
   * not ask for it. `mfa`: use a second factor. `unlock`: a lock less.
   */
  kind: 'trait' | 'assign' | 'label' | 'admin-user' | 'role' | 'own-name' | 'db-role' | 'mfa' | 'unlock';
  /** What to add or take away; empty where something has to be written anew. */
  value: string;
  /** Of `trait` and `assign`: the whole list as it is then. */
  values: string[];
  /** Trait, role or label that is changed. */
  target: string;
  /** Of `role`: the block and its field; for `db_labels` of allow also the key. */
  side: 'allow' | 'deny' | '';
  field: Check['field'] | 'db_roles' | '';
  key: string;
}

/** What is said to whoever asks why. */
export interface AccessAnswer extends Omit<Decision, 'refusal'> {
  user: string;
  allowed: boolean;
  /** Text that the client of the database sees; empty where she may enter. */
  message: string;
  reasons: string[];
  changes: AccessChange[];
}
