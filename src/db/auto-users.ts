/**
 * Automatic users as this agent sees them: who is in a session as whom, in which order a user is changed, what is tried again. A
 * user is the server's, so everything goes by the server's endpoint and never by the name of a database resource. RFD 12.
 */
import { atOnce } from '../aws/at-once.js';
import { type ConnectContext, connectDatabase } from '../dbserver/connect.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import type { Logger } from '../log.js';
import { type PgSession, sessionOver } from '../pg/session.js';
import { adminDatabaseOf, adminUserOf, supportsAutoUsers } from '../rbac/auto-users.js';
import { splitUri } from '../resources/database-uri.js';
import { isRedshift } from '../resources/database-user.js';
import type { Database } from '../resources/types.js';
import { rest, withDeadline } from '../wait.js';
import { adminRefused } from './admin-refusal.js';
import type { Admin, AutoUser } from './auto-user.js';
import { admitUser, dialectOf, endUser, type UserEnd } from './user-change.js';
import { ADMIN_LIMITS, type UserDialect } from './user-dialect.js';
import type { HeldUser, UserLock } from './user-lock.js';

export interface AutoUsersOptions {
  connect: ConnectContext;
  lock: UserLock;
  log: Logger;
  /** Aborted when the service stops: nothing is tried again then. */
  signal: AbortSignal;
}

/** How a session gets in as a user that is made for it. */
export interface Entrance<T> {
  /** The user is there, with its roles. */
  onAdmitted: () => void;
  /** The session's own connection. */
  connect: () => Promise<T>;
}

/** The session's own connection, for its end. */
export interface OwnConnection {
  pid: number | undefined;
  cancel: () => Promise<void>;
}

/** What rights came to, or why they could not be taken away. */
export type EndReport = (end: Exclude<UserEnd, { how: 'in-use' }> | { how: 'failed'; error: unknown }) => void;

interface Use {
  /** One after the other: in and out. */
  inTurn: ReturnType<typeof atOnce>;
  /** Sessions that are on their way in, or in. */
  sessions: number;
  /** Those that are in. */
  standing: number;
  /** What those have, as a text. */
  roles: string;
}

const ADMINS_AT_ONCE = 8;
const ADMIN_LOGIN_MS = 15_000;
const LOCK_MS = 30_000;
/** Rights are taken away without the lock, too. */
const LOCK_TO_END_MS = 5_000;
/** From the first look to the person's own connection. */
const ENTER_MS = 75_000;
/** How long a server may take to see that the client of a session has gone. */
const OWN_END_WAITS_MS = [0, 50, 100, 200, 400, 800, 1600];
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const LEAVE_MS = 5_000;
const NOT_YET = 'Cannot take rights away yet.';

export class AutoUsers {
  readonly #options: AutoUsersOptions;
  readonly #uses = new Map<string, Use>();
  readonly #doors = new Map<string, ReturnType<typeof atOnce>>();
  /** Users whose rights are to be taken away later. */
  readonly #later = new Map<string, Promise<void>>();

  constructor(options: AutoUsersOptions) {
    this.#options = options;
  }

  /** A session wants to be this user. It has to leave, whatever comes of it. */
  begin(database: Database, user: AutoUser): UserStay {
    const key = keyOf(database, user.name);
    const use = this.#uses.get(key) ?? { inTurn: atOnce(1), sessions: 0, standing: 0, roles: '' };
    this.#uses.set(key, use);
    return new UserStay(use, {
      admit: (onChanging) => this.#admit(database, user, onChanging),
      end: (own) => this.#end(database, user, own),
      forget: () => void (use.sessions === 0 && this.#uses.get(key) === use && this.#uses.delete(key)),
      endLater: (onEnd) => this.#endLater(key, database, user, onEnd),
      roles: JSON.stringify(user.roles),
    });
  }

  /** Disable or drop the users that nobody is in a session as, and that an agent has left as they were. @throws what the server says */
  async sweep(database: Database, onEnd: (user: string, end: { isDropped: boolean }) => void): Promise<void> {
    if (!supportsAutoUsers(database)) return;
    const admin = { name: adminUserOf(database)!, database: adminDatabaseOf(database) ?? usualDatabase(database) };
    const users = await this.#asAdmin(database, admin, (session, dialect) => dialect.abandoned(session));
    for (const user of users) {
      if (this.#uses.has(keyOf(database, user.name))) continue;
      try {
        // Without the lock it would take the user from somebody who is coming in through another agent.
        using _held = await this.#hold(database, user.name, LOCK_TO_END_MS);
        const { how } = await this.#endHeld(database, { ...user, admin });
        if (how === 'disabled' || how === 'dropped') onEnd(user.name, { isDropped: how === 'dropped' });
      } catch (error) {
        this.#options.log.warn(NOT_YET, { user: user.name, error: messageOf(error) });
      }
    }
  }

  /** Resolves when nothing is left to be tried again; after the signal soon. */
  async settled(): Promise<void> {
    await Promise.all(this.#later.values());
  }

  /** @returns what nobody else may have until the session's own connection stands */
  async #admit(database: Database, user: AutoUser, onChanging: () => void): Promise<HeldUser> {
    const held = await this.#hold(database, user.name, LOCK_MS, { sameNames: isRedshift(database) });
    try {
      if (held.sameNames.length > 1) throw sameUser(held.sameNames);
      await this.#asAdmin(database, user.admin, (session, dialect) => {
        onChanging();
        return admitUser(session, dialect, { user: user.name, roles: user.roles, mode: user.mode });
      });
      return held;
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  async #hold(database: Database, user: string, timeoutMs: number, { sameNames = false } = {}): Promise<HeldUser> {
    return await this.#options.lock({ endpoint: endpointOf(database), user, sameNames }, timeoutMs);
  }

  async #end(database: Database, user: AutoUser, own?: OwnConnection): Promise<UserEnd> {
    using _held = await this.#hold(database, user.name, LOCK_TO_END_MS).catch((error: unknown) => {
      this.#options.log.warn('Taking rights away without a lock.', { user: user.name, error: messageOf(error) });
      return undefined;
    });
    return await this.#endHeld(database, user, own);
  }

  async #endHeld(database: Database, user: UserToEnd, own?: OwnConnection): Promise<UserEnd> {
    return await this.#asAdmin(database, user.admin, async (session, dialect) => {
      let end: UserEnd = { how: 'gone' };
      for (const waitMs of OWN_END_WAITS_MS) {
        await rest(waitMs);
        end = await endUser(session, dialect, user.name, user.mode);
        if (end.how !== 'in-use' || !own || !end.sessions.includes(String(own.pid))) break;
        // A statement goes on although its client has gone.
        if (waitMs === 0) await own.cancel().catch(() => {});
      }
      return end;
    });
  }

  #endLater(key: string, database: Database, user: AutoUser, onEnd: EndReport): void {
    if (this.#later.has(key)) return;
    const work = this.#endAgain(key, database, user, onEnd).finally(() => this.#later.delete(key));
    this.#later.set(key, work);
  }

  /** Until it is done, or the user is in use here again: then the last of those sessions does it. */
  async #endAgain(key: string, database: Database, user: AutoUser, onEnd: EndReport): Promise<void> {
    const { signal, log } = this.#options;
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_RETRY_MS)) {
      await rest(waitMs, signal, { isIdle: true });
      if (signal.aborted || this.#uses.has(key)) return;
      try {
        const end = await this.#end(database, user);
        if (end.how !== 'in-use') return onEnd(end);
      } catch (error) {
        log.warn(NOT_YET, { user: user.name, error: messageOf(error) });
      }
    }
  }

  /** @throws the server's words, with whose login it was where it is that which failed */
  async #asAdmin<T>(
    database: Database,
    admin: Admin,
    work: (session: PgSession, dialect: UserDialect) => Promise<T>,
  ): Promise<T> {
    const endpoint = endpointOf(database);
    const door = this.#doors.get(endpoint) ?? atOnce(ADMINS_AT_ONCE);
    this.#doors.set(endpoint, door);
    return await door(async () => {
      const { socket, loggedIn } = await connectDatabase(this.#options.connect, {
        database,
        dbUser: admin.name,
        dbName: admin.database,
        startupParameters: [],
        timeoutMs: ADMIN_LOGIN_MS,
      }).catch((error: unknown) => {
        throw adminRefused(error, admin, database);
      });
      const session = sessionOver(socket, loggedIn, ADMIN_LIMITS);
      try {
        return await work(session, dialectOf(database));
      } finally {
        session.close();
        socket.setTimeout(LEAVE_MS, () => socket.destroy());
      }
    });
  }
}

type UserToEnd = Pick<AutoUser, 'name' | 'mode' | 'admin'>;

/** What a stay needs of the agent's users. */
interface Steps {
  /** @param onChanging  called before the server hears anything */
  admit(onChanging: () => void): Promise<HeldUser>;
  end(own?: OwnConnection): Promise<UserEnd>;
  forget(): void;
  endLater(onEnd: EndReport): void;
  roles: string;
}

/** One session as an automatic user, from its way in to its end. */
export class UserStay {
  readonly #use: Use;
  readonly #steps: Steps;
  #isIn = false;
  #isLeaving = false;
  /** The server may have let the user in. */
  #isOpen = false;

  constructor(use: Use, steps: Steps) {
    this.#use = use;
    this.#steps = steps;
    use.sessions += 1;
  }

  /** @throws what kept the user out, or the session's own connection */
  async enter<T>({ onAdmitted, connect }: Entrance<T>): Promise<T> {
    const use = this.#use;
    const { roles } = this.#steps;
    const enter = async () => {
      onAdmitted();
      const connection = await connect();
      this.#isIn = true;
      use.standing += 1;
      return { connection };
    };
    const first = use.inTurn(async () => {
      if (this.#isLeaving || (use.standing > 0 && use.roles === roles)) return undefined;
      using _held = await this.#admitted();
      if (this.#isLeaving) return undefined;
      use.roles = roles;
      return await enter();
    });
    const entered = await withDeadline(first, ENTER_MS, 'the user of the database to be made');
    this.#isOpen = true;
    return (entered ?? (await enter())).connection;
  }

  /** The session's own connection is closed: whoever comes now cannot rely on it. */
  out(): void {
    if (this.#isIn) this.#use.standing -= 1;
    this.#isIn = false;
  }

  /** Take the rights away where this was the last session here. Never throws. */
  async leave(own: OwnConnection | undefined, onEnd: EndReport): Promise<void> {
    const use = this.#use;
    this.#isLeaving = true;
    use.sessions -= 1;
    this.out();
    await use.inTurn(async () => {
      if (use.sessions > 0) return;
      if (this.#isOpen) await this.#end(own, onEnd);
      this.#steps.forget();
    });
  }

  async #admitted(): Promise<HeldUser> {
    try {
      return await this.#steps.admit(() => {
        this.#isOpen = true;
      });
    } catch (error) {
      // A connection that broke may have done so behind the COMMIT; whoever refused has changed nothing.
      if (!isTeleportError(error, 'ConnectionProblem')) this.#isOpen = false;
      throw error;
    }
  }

  async #end(own: OwnConnection | undefined, onEnd: EndReport): Promise<void> {
    try {
      const end = await this.#steps.end(own);
      if (end.how !== 'in-use') return onEnd(end);
    } catch (error) {
      onEnd({ how: 'failed', error });
    }
    this.#steps.endLater(onEnd);
  }
}

/** Which server a database is on: a user is the server's. */
export const endpointOf = ({ spec }: Database): string => joinHostPort(...splitUri(spec.uri)).toLowerCase();
const keyOf = (database: Database, user: string): string => JSON.stringify([endpointOf(database), user]);

/** There from the start. */
const usualDatabase = (database: Database): string => (isRedshift(database) ? 'dev' : 'postgres');

function sameUser(names: readonly string[]): TeleportError {
  const all = names.map((name) => JSON.stringify(name)).join(', ');
  return new TeleportError(
    'AlreadyExists',
    `${all} would be one user of Redshift, which does not tell capital letters apart`,
    {
      hint: 'Rename or remove one of them: tctl users rm NAME.',
    },
  );
}
