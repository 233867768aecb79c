/**
 * Whose right has ended, as Auth says it: locks, users who were deleted, reset or made anew, and our own host. What runs is
 * looked at again whenever Auth has said something, and ends with the first reason there is.
 *
 * A word of Auth's comes every few seconds. Without one for 15 s this service is cut off, whether Auth is silent or refuses
 * every attempt: what runs goes on with what was known last, unless its locking mode is `strict`. Source: database-service.md 2.
 */
import type { AuthClient } from '../api/client.js';
import { fromMessage, fromMessages } from '../api/convert.js';
import type { WatchLocksResponse } from '../api/gen/internal_pb.js';
import { CREDENTIALS_EXPIRED } from '../api/status.js';
import { inSeconds, isTeleportError, messageOf } from '../errors.js';
import type { Identity } from '../identity/identity.js';
import type { Logger } from '../log.js';
import { lockInForce, lockingMode, lockText, silentRootText } from '../rbac/limits.js';
import type { Database, Lock } from '../resources/types.js';
import { rest } from '../wait.js';

/** What has a right that can end. */
export interface RightHolder {
  /** Of a person, as the certificate says it, with the roles of now. */
  identity?: Identity | undefined;
  /** The user in the database. */
  login?: string | undefined;
  /** The database of the login. */
  database?: Database | undefined;
  /** A host at the other end; our own is always looked at. */
  serverId?: string | undefined;
  /** Whether the authority that signed the certificate is believed now; asked at each look. */
  isBelieved?: (() => boolean) | undefined;
  /** Why, where that is not the rotation of an authority. */
  ifNotBelieved?: string | undefined;
  /** It does not go on while we are cut off from Auth, or Auth from the root that the person is of. */
  isStrict?: boolean | undefined;
}

export interface RightsWatch {
  /**
   * Watch over something that runs until this is disposed of.
   *
   * @param onEnded  called with the reason as the audit event says it; at once when there is one already
   */
  during(holder: RightHolder, onEnded: (reason: string) => void): Disposable;
  /** Why this may not begin now; undefined: it may. */
  refusal(holder: RightHolder): string | undefined;
  /** Look again at what runs: an authority has changed. */
  look(): void;
  /** Auth has said nothing for too long. */
  readonly isCutOff: boolean;
  /** Resolves after the signal. */
  ended: Promise<void>;
}

export interface RightsWatchOptions {
  fetch: (signal: AbortSignal) => AsyncIterable<WatchLocksResponse>;
  /** Our own host id. */
  hostId: string;
  now: () => Date;
  log: Logger;
  signal: AbortSignal;
  /** Without it users are not looked at, their locks are. */
  ask?: AskAboutUser;
  /** Has the next stream come on another connection: one that is silent may be dead, whatever TCP believes. */
  reconnect?: () => void;
  /** Silence of Auth after which we are cut off. Default 15 s. */
  cutOffMs?: number;
}

/**
 * What Auth says about a user now. What is heard on the stream may be older than a login that has just been made, so
 * nobody is put out by it alone.
 *
 * @returns why the certificate counts no more, if it does not
 */
export type AskAboutUser = (identity: Identity) => Promise<string | undefined>;

/** Why a certificate counts no more although its time is not over. */
export const RESET = 'the password or the second factor of this user was reset, or the user was made anew';

/** Why a certificate counts no more after a rotation. */
const ROTATED = 'the authority that signed the certificate was rotated, and is not believed any more';

/** The same for what two clusters share: the authority was rotated, or the trust was taken back. */
export const trustEnded = (cluster: string): string =>
  `the trust between this cluster and ${JSON.stringify(cluster)} has ended, or an authority was rotated`;

export const CUT_OFF_MS = 15_000;
/** Why a session in `strict` does not go on: what Auth says about its user may be that the right is over. */
const UNASKED = 'the Auth Service cannot be asked about a user who has changed, and the locking mode is strict';
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

export function watchRights(options: RightsWatchOptions): RightsWatch {
  return new Watch(options);
}

class Watch implements RightsWatch {
  readonly ended: Promise<void>;
  readonly #options: RightsWatchOptions;
  readonly #cutOffMs: number;
  readonly #looks = new Set<() => void>();
  readonly #asking = new Map<string, Promise<Answer>>();
  #locks: Lock[] = [];
  /** Of roots of this cluster, about their users. */
  #remoteLocks = new Map<string, Lock[]>();
  /** Roots that Auth does not hear. */
  #silentRoots: readonly string[] = [];
  /** Generations by name, once all have been said. */
  #users: Map<string, string> | undefined;
  /** Those of a stream that has not said all yet. */
  #coming = new Map<string, string>();
  /** Auth's own words, while it takes nothing from this host. */
  #ownRefusal: string | undefined;
  #isCutOff = false;

  constructor(options: RightsWatchOptions) {
    this.#options = options;
    this.#cutOffMs = options.cutOffMs ?? CUT_OFF_MS;
    this.ended = this.#follow();
  }

  during(holder: RightHolder, onEnded: (reason: string) => void): Disposable {
    const { identity } = holder;
    const look = () => {
      const reason = this.refusal(holder);
      if (reason !== undefined) onEnded(reason);
      else if (identity && this.#looksEnded(identity)) {
        void this.#askOnce(identity).then((answer) => {
          const ended = answer === 'failed' ? (holder.isStrict ? UNASKED : undefined) : answer.ended;
          if (ended !== undefined && this.#looks.has(look)) onEnded(ended);
        });
      }
    };
    this.#looks.add(look);
    look();
    return { [Symbol.dispose]: () => void this.#looks.delete(look) };
  }

  refusal(holder: RightHolder): string | undefined {
    if (this.#ownRefusal !== undefined) return this.#ownRefusal;
    const { hostId, now } = this.#options;
    const at = now();
    const ofRoot = this.#remoteLocks.get(holder.identity?.remote?.cluster ?? '') ?? [];
    const lock =
      lockInForce([...this.#locks, ...ofRoot], { ...holder, now: at }) ??
      lockInForce(this.#locks, { serverId: hostId, now: at });
    if (lock) return lockText(lock);
    if (holder.isBelieved?.() === false) return holder.ifNotBelieved ?? ROTATED;
    if (!holder.isStrict) return undefined;
    const root = holder.identity?.remote?.cluster;
    if (root !== undefined && this.#silentRoots.includes(root)) return silentRootText(root);
    if (!this.#isCutOff) return undefined;
    return `the Auth Service has said nothing for ${inSeconds(this.#cutOffMs)}, and the locking mode is strict`;
  }

  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  look(): void {
    for (const look of [...this.#looks]) look();
  }

  #looksEnded({ username, userGeneration = '', remote }: Identity): boolean {
    // A user of another cluster is not among ours; the Proxy over there ends what she has.
    return remote === undefined && this.#users !== undefined && this.#users.get(username) !== userGeneration;
  }

  /** One question for all that run for the same user. Never rejects. */
  #askOnce(identity: Identity): Promise<Answer> {
    const { ask, log } = this.#options;
    if (!ask) return Promise.resolve({});
    const key = JSON.stringify([identity.username, identity.userGeneration]);
    const asked =
      this.#asking.get(key) ??
      ask(identity)
        .then(
          (ended) => ({ ended }),
          (error: unknown) => {
            log.warn('Cannot ask about a user.', { user: identity.username, error: messageOf(error) });
            return 'failed' as const;
          },
        )
        .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #follow(): Promise<void> {
    const { signal, reconnect } = this.#options;
    let attempt = new AbortController();
    // One for all attempts, and only a word of Auth's puts it off: an Auth that is down fails each attempt at once.
    const silence = setTimeout(() => {
      this.#setCutOff(true);
      attempt.abort();
      reconnect?.();
    }, this.#cutOffMs).unref();
    const stop = () => attempt.abort();
    signal.addEventListener('abort', stop);
    try {
      for (let failures = 0; !signal.aborted; failures++) {
        attempt = new AbortController();
        // Cut off already: this attempt has its time, too.
        if (this.#isCutOff) silence.refresh();
        if (await this.#listen(attempt.signal, silence)) failures = 0;
        await rest(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10)), signal);
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', stop);
    }
  }

  /** To one stream until it ends. @returns whether anything was heard */
  async #listen(signal: AbortSignal, silence: NodeJS.Timeout): Promise<boolean> {
    let hasHeard = false;
    try {
      for await (const message of this.#options.fetch(signal)) {
        silence.refresh();
        hasHeard = true;
        this.#hear(message);
      }
    } catch (error) {
      if (this.#options.signal.aborted) return hasHeard;
      if (isRefusal(error)) this.#setOwnRefusal(messageOf(error));
      this.#options.log.warn('Watching locks failed, trying again.', { error: messageOf(error) });
    }
    return hasHeard;
  }

  #hear(message: WatchLocksResponse): void {
    if (message.first) this.#coming = new Map();
    if (!message.sameLocks) {
      this.#locks = fromMessages('lock', message.locks);
      this.#remoteLocks = new Map(
        message.remoteLocks.map(({ cluster, locks }) => [cluster, fromMessages('lock', locks)]),
      );
    }
    this.#silentRoots = message.silentRoots;
    for (const { name, generation, isGone } of message.users) {
      if (isGone) this.#coming.delete(name);
      else this.#coming.set(name, generation);
    }
    if (message.whole) this.#users = this.#coming;
    this.#ownRefusal = undefined;
    this.#isCutOff = false;
    this.look();
  }

  #setOwnRefusal(text: string): void {
    this.#ownRefusal = text;
    this.look();
  }

  #setCutOff(isCutOff: boolean): void {
    this.#isCutOff = isCutOff;
    this.look();
  }
}

/** What became of a question. */
type Answer = { ended?: string | undefined } | 'failed';

export interface Standing {
  /** Why the certificate counts no more; undefined: it does. */
  ended: string | undefined;
  /** Locking mode of the user's roles. */
  isStrict: boolean;
}

/** What Auth says of one of our users now. @throws what Auth says */
export async function standingOf(
  { databaseAgent }: Pick<AuthClient, 'databaseAgent'>,
  { username, userGeneration = '' }: Identity,
): Promise<Standing> {
  const said = await databaseAgent.getSessionAccess({ user: username, userGeneration });
  const { userExists, certificateEnded, authPreference } = said;
  const preference = authPreference && fromMessage('cluster_auth_preference', authPreference);
  const isStrict = lockingMode(fromMessages('role', said.roles), preference) === 'strict';
  if (!userExists) return { ended: `user ${JSON.stringify(username)} was deleted`, isStrict };
  return { ended: certificateEnded ? RESET : undefined, isStrict };
}

/** The question of a Database Service. */
export function askAboutUser(auth: Pick<AuthClient, 'databaseAgent'>): AskAboutUser {
  return async (identity) => (await standingOf(auth, identity)).ended;
}

/** Said about this host, and not about the call: an older Auth Service does not let a Proxy ask. */
function isRefusal(error: unknown): boolean {
  if (!isTeleportError(error, 'AccessDenied')) return false;
  return error.message === CREDENTIALS_EXPIRED || error.message.startsWith('lock targeting ');
}
