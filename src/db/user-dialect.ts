/**
 * How one kind of server looks up, makes, enables, disables and drops automatic users: its statements, as data. What is done with
 * them, in which transaction, is in `user-change.ts`; why these, in RFD 12.
 */
import type { PgSession, StatementLimits } from '../pg/session.js';

/** Whoever is a member, without the right to make others one, is ours. */
export const BOOKKEEPING_ROLE = 'teleport-auto-user';

/** Given with the database roles to whoever is to be dropped at the end: what an agent that died can say to the next one. */
export const DROP_ROLE = 'teleport-auto-user-drop';

export const OWN_ROLES: readonly string[] = [BOOKKEEPING_ROLE, DROP_ROLE];

export type KeptMode = 'keep' | 'best_effort_drop';

/** A user of ours without a session that is not disabled. */
export interface AbandonedUser {
  name: string;
  mode: KeptMode;
}

/** What the server tells the administrator's statements: they end there before we stop waiting. */
export const SERVER_TIMEOUT_MS = 10_000;

/** What each of the administrator's statements may take: longer than the server's own limit, which says more, and of any catalogue's size. */
export const ADMIN_LIMITS: StatementLimits = {
  timeoutMs: SERVER_TIMEOUT_MS + 5_000,
  maxBodyBytes: 2 ** 16,
  maxResultBytes: 2 ** 22,
  maxRows: 10_000,
};

export interface HeldRole {
  name: string;
  /** Who gave it, where that counts. */
  grantor?: string | undefined;
}

/** One user as the server has it now. */
export interface UserFacts {
  exists: boolean;
  /** A member of the bookkeeping role. */
  isOurs: boolean;
  /** All but the bookkeeping role, sorted: who changes several takes the server's locks in one order. */
  roles: HeldRole[];
  /** Processes of the user's sessions, in all databases. */
  sessions: string[];
  /** Of the wanted roles, and the bookkeeping role, those that are not there. */
  missing: string[];
  /** What somebody has to say to the server before the administrator can do this. */
  grants: string[];
}

export interface UserDialect {
  /** Begins the transaction. */
  begin: string;
  makeRole(role: string): string;
  facts(session: PgSession, user: string, wanted: readonly string[]): Promise<UserFacts>;
  create(user: string, roles: readonly string[]): string[];
  enable(user: string, roles: { revoke: readonly HeldRole[]; grant: readonly string[] }): string[];
  /** The lock of the user comes first. */
  disable(user: string, roles: readonly HeldRole[]): string[];
  drop(user: string): string;
  /** Whether the server only remarks that a role was not taken away. */
  revokesQuietly: boolean;
  abandoned(session: PgSession): Promise<AbandonedUser[]>;
  /** Whether two names of roles are one. */
  isSameRole(one: string, other: string): boolean;
}

export const modeOf = (isToBeDropped: boolean): KeptMode => (isToBeDropped ? 'best_effort_drop' : 'keep');

export const byName = (one: HeldRole, other: HeldRole): number => (one.name < other.name ? -1 : 1);

/** A name in SQL; in double quotes nothing but the quote has a meaning. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const listed = (names: readonly string[]): string => names.map(quoted).join(', ');

/** `$2, $3` for parameters that begin behind others. */
export const placesAfter = (count: number, values: readonly string[]): string =>
  values.map((_, at) => `$${count + 1 + at}`).join(', ');
