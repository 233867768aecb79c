/**
 * The connections to Auth whose callers have shown a certificate. Each ends with its certificate, and is looked at again
 * when a lock, the user that it is for or an authority has changed: who is out does not keep a watch open, or wait for a next call.
 */
import type { Duplex } from 'node:stream';
import type { Caller } from '../api/caller.js';
import { coalesced } from '../coalesced.js';
import { isTeleportError, messageOf } from '../errors.js';
import { hostIdIn } from '../identity/host.js';
import { lockInForce } from '../rbac/limits.js';
import type { Lock } from '../resources/types.js';
import { type Change, keyOf } from '../store/store.js';
import { atMoment, rest } from '../wait.js';
import { storedValue } from './records.js';
import { SECRETS } from './secrets.js';
import type { AuthState } from './state.js';
import { REMOTE_LOCKS } from './trust.js';
import { lookAt } from './who.js';

/** How long a caller who is out may still hear why, in answer to a call. */
const REFUSALS_MS = 300;
/** Before the store is watched again, should that ever fail. */
const PAUSE_MS = 100;

export class OpenConnections {
  readonly #state: AuthState;
  readonly #callers = new Set<Caller>();
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  readonly #rotations: Disposable;
  readonly #endings: Disposable;

  constructor(state: AuthState) {
    this.#state = state;
    this.#watching = this.#watch();
    this.#rotations = state.authorities.onChange(() => void this.#checkAll());
    this.#endings = state.roots.onUserChanged((cluster) => void this.#lookAtUsersOf(cluster));
  }

  /** Somebody over there was ended. */
  async #lookAtUsersOf(cluster: string): Promise<void> {
    for (const caller of [...this.#callers]) if (caller.bearer?.remote === cluster) await this.#check(caller);
  }

  /** Until it is closed, or until `end` is called, which ends it. */
  keep(caller: Caller, socket: Duplex, end: () => void): void {
    const { bearer } = caller;
    if (!bearer) return;
    let isEnding = false;
    caller.end = () => {
      if (!isEnding) setTimeout(end, REFUSALS_MS).unref();
      isEnding = true;
    };
    this.#callers.add(caller);
    const forget = atMoment(bearer.identity.expires, this.#state.now, caller.end);
    socket.once('close', () => {
      forget();
      this.#callers.delete(caller);
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#rotations[Symbol.dispose]();
    this.#endings[Symbol.dispose]();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for await (const change of this.#state.store.watch('/', signal)) await this.#look(change);
      } catch (error) {
        // What was missed meanwhile is found out at the next call, or below.
        this.#state.log.error('Watching the store failed.', { error: messageOf(error) });
      }
      await rest(PAUSE_MS, signal);
      await this.#checkAll();
    }
  }

  /** Many authorities may change at once; one look at all is good for those that it finds changed. */
  readonly #checkAll = coalesced(async () => {
    for (const caller of [...this.#callers]) await this.#check(caller);
  });

  async #look(change: Change): Promise<void> {
    const hits = whomItConcerns(change, this.#state);
    if (hits === undefined) return;
    for (const caller of [...this.#callers]) if (hits(caller)) await this.#check(caller);
  }

  async #check(caller: Caller): Promise<void> {
    try {
      await lookAt(this.#state, caller);
    } catch (error) {
      // Not found: a role of the user's.
      if (isTeleportError(error, 'AccessDenied') || isTeleportError(error, 'NotFound')) caller.end?.();
      else this.#state.log.error('Cannot look at a connection.', { error: messageOf(error) });
    }
  }
}

const TRUSTED = `${keyOf('trusted_cluster')}/`;
const LOCKS = `${keyOf('lock')}/`;
const USERS = [`${keyOf('user')}/`, `${keyOf(SECRETS)}/`];

/** Whose right a change of the store may have ended; undefined: nobody's. */
function whomItConcerns(
  { key, item }: Change,
  { now, clusterName }: AuthState,
): ((caller: Caller) => boolean) | undefined {
  if (key.startsWith(LOCKS)) {
    if (item === undefined) return undefined;
    const lock = storedValue<Lock>(item);
    // The roles of a user are in the store: who has one is found out by the look.
    if (lock.spec.target.role !== undefined) return () => true;
    return ({ bearer }) => {
      const { identity, role, remote } = bearer!;
      // Its name here is another one.
      if (remote !== undefined) return true;
      const serverId = role && hostIdIn(identity.username, clusterName);
      return lockInForce([lock], { identity, serverId, now: now() }) !== undefined;
    };
  }
  // A root's locks, or the trust in it: users of other clusters.
  if (key.startsWith(REMOTE_LOCKS) || key.startsWith(TRUSTED)) return ({ bearer }) => bearer!.remote !== undefined;
  if (!USERS.some((folder) => key.startsWith(folder))) return undefined;
  return ({ bearer }) => {
    const name = keyOf(bearer!.identity.username).slice(1);
    return USERS.some((folder) => key === folder + name);
  };
}
