/** At a root: what it says to the Auth Services of its leafs, and what it takes from them. */
import { toMessage } from '../api/convert.js';
import type { WatchRootResponseSchema } from '../api/gen/internal_pb.js';
import type { MessageInitShape } from '../api/protobuf.js';
import { TeleportError } from '../errors.js';
import type { CertAuthority } from '../resources/types.js';
import { type Change, keyOf } from '../store/store.js';
import { settledWithin } from '../wait.js';
import { checkedAuthorities } from './checked-authorities.js';
import { lockMessages } from './lock-messages.js';
import { recorded } from './recorded.js';
import { SECRETS, secretsOf } from './secrets.js';
import type { AuthState } from './state.js';
import { madeAt, type Who } from './who.js';

type Said = MessageInitShape<typeof WatchRootResponseSchema>;

/** A third of the silence after which a leaf dials again. */
const WORD_MS = 5_000;
const LOCKS = `${keyOf('lock')}/`;
const USERS = [`${keyOf('user')}/`, `${keyOf(SECRETS)}/`];

/** @throws TeleportError `AccessDenied` for everybody but the Auth Service of a leaf */
export function requireLeaf(who: Who): string {
  if (who.kind === 'leaf') return who.cluster;
  throw new TeleportError('AccessDenied', 'access denied');
}

/**
 * A leaf's authority of hosts as it is now.
 *
 * @throws TeleportError `AccessDenied` for one of another cluster, and for a leaf that was removed meanwhile; `LimitExceeded`
 *   where it is another one too often
 */
export async function takeHostAuthority(state: AuthState, leaf: string, given: CertAuthority): Promise<void> {
  const { cluster, authorities } = checkedAuthorities([given], ['host']);
  if (cluster !== leaf) throw new TeleportError('AccessDenied', 'the authority is of another cluster');
  const { remotes } = state.authorities;
  if (JSON.stringify(remotes.of(leaf)) === JSON.stringify(authorities)) return;
  state.leafLimits.changed(leaf);
  await recorded(state, ['cert_authority.rotate', { name: 'host', cluster: leaf }], () =>
    remotes.change(leaf, async (remote) => {
      // The record takes its time: what comes late must not bring back who was removed.
      if (!remote.known) throw new TeleportError('AccessDenied', 'access denied: the cluster was removed');
      await remote.put(authorities);
    }),
  );
}

/** Why a certificate of ours counts no more; as long as it does, since when its user has her name. */
export async function userBehind(
  state: AuthState,
  username: string,
  userGeneration: string,
): Promise<{ reason: string; madeAt: string }> {
  const [user, { generation = '' }] = await Promise.all([state.users.get(username), secretsOf(state, username)]);
  if (!user) return { reason: 'the user was deleted', madeAt: '' };
  if (generation !== userGeneration) return { reason: 'the user was reset, or made anew', madeAt: '' };
  return { reason: '', madeAt: madeAt(user).toISOString() };
}

/** Everything now, then each change, and a word every few seconds. */
export async function* rootFeed(state: AuthState, signal: AbortSignal, wordMs = WORD_MS): AsyncGenerator<Said> {
  const news = new News(state, signal);
  using _listening = state.authorities.onChange((changed) => {
    if (changed !== 'remote') news.add({ key: AUTHORITIES });
  });
  const first = await everything(state);
  // Another watch may have come meanwhile: what nobody hears is not worth its encoding.
  if (signal.aborted) return;
  yield first;
  let silentAt = performance.now() + wordMs;
  for (;;) {
    const key = await news.next(silentAt - performance.now());
    if (signal.aborted || news.isOver) return;
    const said = key === undefined ? { same: true } : await whatToSay(state, key);
    if (!said) continue;
    yield said;
    silentAt = performance.now() + wordMs;
  }
}

/** In place of a key of the store: authorities are in use a moment after they are stored. */
const AUTHORITIES = 'authorities';

/** Keys of the store that have changed, and what else is added, in order. */
class News {
  isOver = false;
  readonly #signal: AbortSignal;
  readonly #keys: string[] = [];
  #wake = () => {};

  constructor({ store }: AuthState, signal: AbortSignal) {
    this.#signal = signal;
    void this.#follow(store.watch('/', signal));
  }

  add({ key }: Pick<Change, 'key'>): void {
    this.#keys.push(key);
    this.#wake();
  }

  /** The next key; undefined when none has come in time. */
  async next(timeoutMs: number): Promise<string | undefined> {
    if (this.#keys.length === 0 && !this.isOver) {
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await settledWithin(rung, Math.max(0, timeoutMs), this.#signal);
    }
    return this.#keys.shift();
  }

  async #follow(changes: AsyncIterable<Change>): Promise<void> {
    try {
      for await (const change of changes) if (isHeard(change.key)) this.add(change);
    } catch {
      // The leaf dials again, and begins with everything.
    }
    this.isOver = true;
    this.#wake();
  }
}

const isHeard = (key: string) => [LOCKS, ...USERS].some((folder) => key.startsWith(folder));

async function everything(state: AuthState): Promise<Said> {
  const authorities = (['host', 'user'] as const).map((type) => state.authorities.get(type).resource);
  return {
    certificateAuthorities: authorities.map((authority) => toMessage('cert_authority', authority)),
    locks: lockMessages(await state.locks.list()),
  };
}

async function whatToSay(state: AuthState, key: string): Promise<Said | undefined> {
  if (key === AUTHORITIES || key.startsWith(LOCKS)) return await everything(state);
  const folder = USERS.find((one) => key.startsWith(one));
  return folder === undefined ? undefined : { changedUser: decodeURIComponent(key.slice(folder.length)) };
}
