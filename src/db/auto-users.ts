/**
 * Automatic users as this agent sees them: who is in a session as whom, in which order a user is changed, what is tried again. A
 * user is the server's, so everything goes by the server's endpoint and never by the name of a database resource. RFD 12.
 */
import { atOnce } from '../at-once.js';
import { type ConnectContext, connectDatabase } from '../dbserver/connect.js';
import { type ErrorCode, isTeleportError, messageOf, TeleportError, TimedOut } from '../errors.js';
import type { Logger } from '../log.js';
import { cutAfter } from '../net/hang-up.js';
import { isServerError } from '../pg/server-error.js';
import { type PgSession, sessionOver } from '../pg/session.js';
import { adminDatabaseOf, adminUserOf, supportsAutoUsers } from '../rbac/auto-users.js';
import { isAutoUserName } from '../resources/auto-user-name.js';
import { endpointOf } from '../resources/database-uri.js';
import { isRedshift } from '../resources/database-user.js';
import type { Database } from '../resources/types.js';
import { inTime, rest, unlessAborted, withDeadline } from '../wait.js';
import { adminRefused } from './admin-refusal.js';
import type { Admin, AutoUser } from './auto-user.js';
import { admitUser, dialectOf, endUser, terminateSessions, type UserEnd } from './user-change.js';
import { ADMIN_LIMITS, quoted, type UserDialect } from './user-dialect.js';
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
  /** For one that nobody waits for any more. */
  close: (connection: T) => void;
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
  /** Whose they are, and with which roles, as a text. */
  standingAs: string;
  /** The server may have let the user in since rights were last taken away: the last session does that, whatever came of it. */
  mayHaveRights: boolean;
  /** Of sessions that have ended since then, the latest: the server may still see them. */
  left: OwnConnection[];
  /** Ends what tries again to take the rights away. */
  later: AbortController | undefined;
}

const ADMINS_AT_ONCE = 8;
const ADMIN_LOGIN_MS = 15_000;
/** Those who hold or wait for a user of one server: each is a call at Auth, and these come before the administrators. */
const LOCKS_AT_ONCE = 64;
const LOCK_MS = 30_000;
/** Rights are taken away without the lock, too. */
const LOCK_TO_END_MS = 5_000;
/** Longer than Auth lets anybody hold a user for whom others wait. */
const LOCK_TO_SWEEP_MS = 15_000;
/** From the first look to the person's own connection. */
const ENTER_MS = 75_000;
/** What an administrator does from the login on; with everything around it still shorter than Auth lets anybody hold a user. */
const CHANGE_MS = 60_000;
const MOST_LEFT = 100;
/** Of one look at a server: others wait for theirs, and each user that it names is a record. */
const MOST_SWEPT = 100;
const SWEEP_MS = 60_000;
/** How long a server may take to see that the client of a session has gone. */
const OWN_END_WAITS_MS = [0, 50, 100, 200, 400, 800, 1600];
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
const LEAVE_MS = 5_000;
const NOT_YET = 'Cannot take rights away yet.';
const IN_USE = 'Rights stay: others than this agent have sessions as the user.';

export class AutoUsers {
  readonly #options: AutoUsersOptions;
  readonly #uses = new Map<string, Use>();
  readonly #doors = new Map<string, Doors>();
  /** What takes rights away later. */
  readonly #later = new Set<Promise<void>>();

  constructor(options: AutoUsersOptions) {
    this.#options = options;
  }

  /** A session wants to be this user. It has to leave, whatever comes of it. */
  begin(database: Database, user: AutoUser): UserStay {
    const key = keyOf(database, user.name);
    const use = this.#uses.get(key) ?? newUse();
    this.#uses.set(key, use);
    const forget = () => {
      if (use.sessions === 0 && !use.mayHaveRights && this.#uses.get(key) === use) this.#uses.delete(key);
    };
    return new UserStay(use, {
      admit: (given) => this.#admit(database, user, given),
      end: async () => {
        const end = await this.#end(database, user, use.left);
        if (end.how === 'in-use') this.#options.log.info(IN_USE, { user: user.name, processes: end.sessions });
        return end;
      },
      forget,
      endLater: (onEnd) =>
        this.#endLater(use, database, user, (end) => {
          forget();
          onEnd(end);
        }),
      as: JSON.stringify([user.owner, user.roles]),
    });
  }

  /** Disable or drop the users that nobody is in a session as, and that an agent has left as they were. @throws what the server says */
  async sweep(database: Database, onEnd: (user: string, end: { isDropped: boolean }) => void): Promise<void> {
    if (!supportsAutoUsers(database)) return;
    const admin = { name: adminUserOf(database)!, database: adminDatabaseOf(database) ?? usualDatabase(database) };
    const look = () => this.#asAdmin(database, admin, (session, dialect) => dialect.abandoned(session));
    const left = (await this.#doorsOf(database).admins(look)).filter(({ name }) => isAutoUserName(name, database));
    // Not always the same ones, where there are more than can be done.
    const from = Math.floor(Math.random() * left.length);
    const users = [...left.slice(from), ...left.slice(0, from)].slice(0, MOST_SWEPT);
    const until = performance.now() + SWEEP_MS;
    for (const user of users) {
      if (this.#options.signal.aborted || performance.now() > until) return;
      const use = this.#uses.get(keyOf(database, user.name));
      if (use) {
        // The last session of it does this; where none is left, it is being done.
        void use.inTurn(async () => {
          if (use.sessions > 0) use.mayHaveRights = true;
        });
        continue;
      }
      try {
        const { locks, admins } = this.#doorsOf(database);
        const { how } = await locks(async () => {
          // Without the lock it would take the user from somebody who is coming in through another agent.
          using held = await this.#hold(database, user.name, LOCK_TO_SWEEP_MS);
          return await admins(() => this.#endHeld(database, { ...user, admin }, { signal: held.lost }));
        });
        if (how === 'disabled' || how === 'dropped') onEnd(user.name, { isDropped: how === 'dropped' });
      } catch (error) {
        this.#options.log.warn(NOT_YET, { user: user.name, error: messageOf(error) });
      }
    }
  }

  /** Resolves when nothing is left to be tried again; after the signal soon. */
  async settled(): Promise<void> {
    await Promise.all(this.#later);
  }

  /** @returns what nobody else may have until the session's own connection stands */
  async #admit(database: Database, user: AutoUser, { onChanging, signal }: Admission): Promise<HeldUser> {
    const { locks, admins } = this.#doorsOf(database);
    return await locks(async () => {
      signal.throwIfAborted();
      const held = await this.#hold(database, user.name, LOCK_MS, { sameNames: isRedshift(database) });
      try {
        if (held.sameNames.some((name) => name !== user.owner)) throw sameUser([user.owner, ...held.sameNames]);
        const change = (session: PgSession, dialect: UserDialect) => {
          onChanging();
          return admitUser(session, dialect, { user: user.name, roles: user.roles, mode: user.mode });
        };
        const over = AbortSignal.any([signal, held.lost]);
        // Nobody else waits for this user because so many others are being changed.
        await unlessAborted(
          over,
          admins(() => this.#asAdmin(database, user.admin, change, over)),
        );
        return held;
      } catch (error) {
        held[Symbol.dispose]();
        throw error;
      }
    });
  }

  async #hold(database: Database, user: string, timeoutMs: number, { sameNames = false } = {}): Promise<HeldUser> {
    return await this.#options.lock({ endpoint: endpointOf(database), user, sameNames }, timeoutMs);
  }

  async #end(database: Database, user: AutoUser, left: readonly OwnConnection[]): Promise<UserEnd> {
    const { locks, admins } = this.#doorsOf(database);
    return await locks(async () => {
      using _held = await this.#hold(database, user.name, LOCK_TO_END_MS).catch((error: unknown) => {
        this.#options.log.warn('Taking rights away without a lock.', { user: user.name, error: messageOf(error) });
        return undefined;
      });
      return await admins(() => this.#endHeld(database, user, { left }));
    });
  }

  async #endHeld(
    database: Database,
    user: UserToEnd,
    { left = [], signal }: { left?: readonly OwnConnection[]; signal?: AbortSignal },
  ): Promise<UserEnd> {
    const work = async (session: PgSession, dialect: UserDialect) => {
      const look = () => endUser(session, dialect, user.name, user.mode);
      // A statement goes on although its client has gone.
      const cancelled = await endOwn(left, look, (own) =>
        Promise.all(own.map(({ cancel }) => cancel().catch(() => {}))),
      );
      if (cancelled.own.length === 0) return cancelled.end;
      // It may be one that catches the cancel.
      let cause: unknown;
      const terminate = (own: OwnConnection[]) =>
        terminateSessions(
          session,
          own.flatMap(({ pid }) => pid ?? []),
        ).catch((error: unknown) => {
          if (!isServerError(error)) throw error;
          cause = error;
        });
      const { end, own } = await endOwn(cancelled.own, look, terminate);
      if (own.length > 0) throw stillRunning(own, user.admin, cause);
      return end;
    };
    return await this.#asAdmin(database, user.admin, work, signal);
  }

  /** In place of what does so already. */
  #endLater(use: Use, database: Database, user: AutoUser, onEnd: EndReport): void {
    use.later?.abort();
    use.later = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, use.later.signal]);
    const work = this.#endAgain(use, database, user, onEnd, signal).finally(() => this.#later.delete(work));
    this.#later.add(work);
  }

  /** Until it is done, or the user is in use here again: then the last of those sessions does it. */
  async #endAgain(use: Use, database: Database, user: AutoUser, onEnd: EndReport, signal: AbortSignal): Promise<void> {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_RETRY_MS)) {
      await rest(waitMs, signal, { isIdle: true });
      const isOver = await use.inTurn(async () => {
        if (signal.aborted || use.sessions > 0 || !use.mayHaveRights) return true;
        try {
          const end = await this.#end(database, user, use.left);
          if (end.how === 'in-use') return false;
          hasEnded(use);
          onEnd(end);
          return true;
        } catch (error) {
          this.#options.log.warn(NOT_YET, { user: user.name, error: messageOf(error) });
          return false;
        }
      });
      if (isOver) return;
    }
  }

  /** Of one server. */
  #doorsOf(database: Database): Doors {
    const endpoint = endpointOf(database);
    const doors = this.#doors.get(endpoint) ?? { locks: atOnce(LOCKS_AT_ONCE), admins: atOnce(ADMINS_AT_ONCE) };
    this.#doors.set(endpoint, doors);
    return doors;
  }

  /**
   * @param signal  leaves the work where it is
   * @throws the server's words, with whose login it was where it is that which failed
   */
  async #asAdmin<T>(
    database: Database,
    admin: Admin,
    work: (session: PgSession, dialect: UserDialect) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    signal?.throwIfAborted();
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
      signal?.throwIfAborted();
      const late = () => new TimedOut('end of the change of a user', CHANGE_MS, { address: endpointOf(database) });
      return await inTime(work(session, dialectOf(database)), CHANGE_MS, late, signal);
    } catch (error) {
      // It may still be at work.
      if (!isServerError(error)) socket.destroy();
      throw error;
    } finally {
      session.close();
      cutAfter(socket, LEAVE_MS);
    }
  }
}

/** So many at once. The lock comes first: who waits long for one keeps nobody else from the server. */
interface Doors {
  /** What needs a user to itself. */
  locks: ReturnType<typeof atOnce>;
  /** What administrators do. */
  admins: ReturnType<typeof atOnce>;
}

type UserToEnd = Pick<AutoUser, 'name' | 'mode' | 'admin'>;

function newUse(): Use {
  return {
    inTurn: atOnce(1),
    sessions: 0,
    standing: 0,
    standingAs: '',
    mayHaveRights: false,
    left: [],
    later: undefined,
  };
}

/**
 * Until the server sees none of these any more, or for as long as it may take to see it.
 *
 * @param stop  called once, with those that are there
 * @returns the last look, and those that it saw
 */
async function endOwn(
  left: readonly OwnConnection[],
  look: () => Promise<UserEnd>,
  stop: (own: OwnConnection[]) => Promise<unknown>,
): Promise<{ end: UserEnd; own: OwnConnection[] }> {
  let end: UserEnd = { how: 'gone' };
  let own: OwnConnection[] = [];
  for (const waitMs of OWN_END_WAITS_MS) {
    await rest(waitMs);
    end = await look();
    const seen = end.how === 'in-use' ? end.sessions : [];
    own = left.filter(({ pid }) => seen.includes(String(pid)));
    if (own.length === 0) break;
    if (waitMs === 0) await stop(own);
  }
  return { end, own };
}

function stillRunning(own: readonly OwnConnection[], admin: Admin, cause: unknown): TeleportError {
  const pids = own.map(({ pid }) => pid).join(', ');
  const why = cause === undefined ? '' : `: ${messageOf(cause)}`;
  return new TeleportError('AccessDenied', `rights not taken away: a session still runs (process ${pids})${why}`, {
    cause,
    hint: `The administrator ends it where it may: GRANT pg_signal_backend TO ${quoted(admin.name)};`,
  });
}

/** Rights were taken away, or there is nothing to take. */
function hasEnded(use: Use): void {
  use.mayHaveRights = false;
  use.left = [];
}

interface Admission {
  /** Called before the server hears anything. */
  onChanging: () => void;
  /** Ends it. */
  signal: AbortSignal;
}

/** What a stay needs of the agent's users. */
interface Steps {
  admit(given: Admission): Promise<HeldUser>;
  end(): Promise<UserEnd>;
  /** Where nobody needs it any more. */
  forget(): void;
  endLater(onEnd: EndReport): void;
  /** Whose user it is, and with which roles, as a text. */
  as: string;
}

/** One session as an automatic user, from its way in to its end. */
export class UserStay {
  readonly #use: Use;
  readonly #steps: Steps;
  /** Aborted when nobody waits for the way in any more. */
  readonly #over = new AbortController();
  #isIn = false;

  constructor(use: Use, steps: Steps) {
    this.#use = use;
    this.#steps = steps;
    use.sessions += 1;
  }

  /** @throws what kept the user out, or the session's own connection */
  async enter<T>(entrance: Entrance<T>): Promise<T> {
    return (await this.#asFirst(entrance)) ?? (await this.#besideOthers(entrance));
  }

  /** @returns undefined where others stand with the same roles: then it takes no administrator */
  async #asFirst<T>(entrance: Entrance<T>): Promise<T | undefined> {
    const first = this.#use.inTurn(async () => (this.#areOthersIn() ? undefined : await this.#admitted(entrance)));
    return await this.#inTime(first);
  }

  /** Others were in when this session was sent here. If nobody is left once it is connected, the server is asked after all. */
  async #besideOthers<T>(entrance: Entrance<T>): Promise<T> {
    const connection = await this.#connected(entrance).catch((error: unknown) => {
      // Somebody may have disabled the user when the others had left.
      if (!isServerError(error) || this.#areOthersIn()) throw error;
      return undefined;
    });
    if (connection !== undefined && this.#areOthersIn()) return this.#stand(connection, entrance);
    return await this.#inTime(this.#use.inTurn(() => this.#admitted(entrance, connection)));
  }

  #areOthersIn(): boolean {
    return this.#use.standing > 0 && this.#use.standingAs === this.#steps.as;
  }

  async #inTime<T>(entering: Promise<T>): Promise<T> {
    return await withDeadline(entering, ENTER_MS, 'the user of the database to be made').catch((error: unknown) => {
      this.#over.abort(error);
      throw error;
    });
  }

  /** The session's own connection is closed: whoever comes now cannot rely on it. */
  out(): void {
    if (this.#isIn) this.#use.standing -= 1;
    this.#isIn = false;
  }

  /** Take the rights away where this was the last session here. Never throws. */
  async leave(own: OwnConnection | undefined, onEnd: EndReport): Promise<void> {
    const use = this.#use;
    this.#over.abort(tooLate());
    use.sessions -= 1;
    this.out();
    if (own) use.left = [...use.left, own].slice(-MOST_LEFT);
    await use.inTurn(async () => {
      if (use.sessions > 0) return;
      if (use.mayHaveRights) await this.#end(onEnd);
      this.#steps.forget();
    });
  }

  /** @param connection  where it is there already; closed when the user is not let in */
  async #admitted<T>(entrance: Entrance<T>, connection?: T): Promise<T> {
    const { signal } = this.#over;
    const held = await this.#held().catch((error: unknown) => {
      if (connection !== undefined) entrance.close(connection);
      throw error;
    });
    let own = connection;
    try {
      this.#use.standingAs = this.#steps.as;
      if (connection !== undefined) return this.#stand(connection, entrance);
      signal.throwIfAborted();
      own = await this.#connected(entrance);
      if (!held.lost.aborted) return this.#stand(own, entrance);
    } finally {
      held[Symbol.dispose]();
    }
    // Another agent may have changed the user before it could see this connection.
    return await this.#admitted(entrance, own);
  }

  /** Lets the user in. @returns what nobody else may have until the session's own connection stands */
  async #held(): Promise<HeldUser> {
    const use = this.#use;
    const before = use.mayHaveRights;
    const onChanging = () => {
      use.mayHaveRights = true;
    };
    return await this.#steps.admit({ onChanging, signal: this.#over.signal }).catch((error: unknown) => {
      if (hasChangedNothing(error)) use.mayHaveRights = before;
      throw error;
    });
  }

  async #connected<T>({ onAdmitted, connect }: Entrance<T>): Promise<T> {
    onAdmitted();
    return await connect();
  }

  /** Counts it, unless nobody waits for it any more. */
  #stand<T>(connection: T, { close }: Entrance<T>): T {
    if (this.#over.signal.aborted) {
      close(connection);
      throw tooLate();
    }
    this.#isIn = true;
    this.#use.standing += 1;
    return connection;
  }

  async #end(onEnd: EndReport): Promise<void> {
    try {
      const end = await this.#steps.end();
      if (end.how !== 'in-use') {
        hasEnded(this.#use);
        return onEnd(end);
      }
    } catch (error) {
      onEnd({ how: 'failed', error });
    }
    this.#steps.endLater(onEnd);
  }
}

/** A connection that broke may have done so behind the COMMIT; whoever refuses has changed nothing. */
const UNCERTAIN = new Set<ErrorCode>(['ConnectionProblem', 'Protocol', 'LimitExceeded']);
const hasChangedNothing = (error: unknown): boolean =>
  isServerError(error) ? error.code !== 'ConnectionProblem' : isTeleportError(error) && !UNCERTAIN.has(error.code);

const tooLate = () => new TeleportError('ConnectionProblem', 'the session has ended before it could begin');

/** A user of one server, under whatever names the server is registered. */
const keyOf = (database: Database, user: string): string => JSON.stringify([endpointOf(database), user]);

/** There from the start. */
const usualDatabase = (database: Database): string => (isRedshift(database) ? 'dev' : 'postgres');

function sameUser(names: readonly string[]): TeleportError {
  const all = [...new Set(names)]
    .sort()
    .map((name) => JSON.stringify(name))
    .join(', ');
  return new TeleportError(
    'AlreadyExists',
    `${all} would be one user of Redshift, which does not tell capital letters apart`,
    {
      hint: 'Rename or remove one of them: tctl users rm NAME.',
    },
  );
}
