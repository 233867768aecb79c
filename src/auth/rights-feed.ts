/**
 * What services hear of rights that end, on one stream (`WatchLocks`): all locks and users now, then each change, and a
 * word every few seconds, so that silence means that the line is broken.
 */
import { toMessage } from '../api/convert.js';
import type { UserGenerationSchema, WatchLocksResponseSchema } from '../api/gen/internal_pb.js';
import type { MessageInitShape } from '../api/protobuf.js';
import { type Change, keyOf } from '../store/store.js';
import { inTime } from '../wait.js';
import { lockMessages } from './lock-messages.js';
import { SECRETS, secretsOf } from './secrets.js';
import type { AuthState } from './state.js';
import { REMOTE_LOCKS } from './trust.js';
import { remoteLocks } from './who.js';

type Said = MessageInitShape<typeof WatchLocksResponseSchema>;

/** A third of the silence after which a service is cut off. */
export const WORD_MS = 5_000;
const PAGE = 500;

const LOCKS = `${keyOf('lock')}/`;
const USERS = `${keyOf('user')}/`;
const GENERATIONS = `${keyOf(SECRETS)}/`;

/** Locks alone, when they change: what older services ask for. */
export async function* locksFeed(state: AuthState, signal: AbortSignal): AsyncGenerator<Said> {
  const changes = state.store.watch(LOCKS, signal);
  yield { locks: await ownLocks(state) };
  for await (const _ of changes) yield { locks: await ownLocks(state) };
}

export async function* rightsFeed(state: AuthState, signal: AbortSignal, wordMs = WORD_MS): AsyncGenerator<Said> {
  for await (const said of news(state, signal, wordMs)) yield { ...said, silentRoots: silentRoots(state) };
}

async function* news(state: AuthState, signal: AbortSignal, wordMs: number): AsyncGenerator<Said> {
  // Watched before it is read, so that nothing falls between.
  const changes = state.store.watch('/', signal)[Symbol.asyncIterator]();
  // Another watch may have come meanwhile: what nobody hears is not worth its encoding.
  for await (const said of all(state)) {
    signal.throwIfAborted();
    yield said;
  }
  // What is heard and not passed on must not put the word off: a cluster's store is never still.
  let silentAt = performance.now() + wordMs;
  for (let next = changes.next(); ; ) {
    const leftMs = silentAt - performance.now();
    const heard = leftMs > 0 ? await inTime(next, leftMs, () => SILENCE, signal).catch(unlessSilent) : undefined;
    if (heard?.done) return;
    let said: Said | undefined = { sameLocks: true };
    if (heard) {
      next = changes.next();
      said = await whatToSay(state, heard.value);
    }
    if (!said) continue;
    yield said;
    silentAt = performance.now() + wordMs;
  }
}

async function* all(state: AuthState): AsyncGenerator<Said> {
  yield { first: true, ...(await locksOf(state)) };
  let start = '';
  do {
    const { items, next } = await state.users.page(PAGE, start);
    start = next;
    const users = await Promise.all(items.map(({ metadata }) => generationOf(state, metadata.name)));
    yield { sameLocks: true, users, whole: start === '' };
  } while (start !== '');
}

async function whatToSay(state: AuthState, { key }: Change): Promise<Said | undefined> {
  if (key.startsWith(LOCKS) || key.startsWith(REMOTE_LOCKS)) return await locksOf(state);
  const folder = [USERS, GENERATIONS].find((one) => key.startsWith(one));
  if (folder === undefined) return undefined;
  return { sameLocks: true, users: [await generationOf(state, nameIn(key, folder))] };
}

const SILENCE = Symbol('silence');

function unlessSilent(error: unknown): undefined {
  if (error !== SILENCE) throw error;
}

const ownLocks = async (state: AuthState) => lockMessages(await state.locks.list());

const silentRoots = ({ authorities, roots }: AuthState) =>
  authorities.remotes.trusts.map(({ cluster }) => cluster).filter((cluster) => roots.isSilent(cluster));

/** Ours, and those of each root. */
async function locksOf(state: AuthState): Promise<Said> {
  const clusters = state.authorities.remotes.trusts.map(({ cluster }) => cluster);
  const ofRoots = clusters.map(async (cluster) => ({
    cluster,
    locks: (await remoteLocks(state, cluster)).map((lock) => toMessage('lock', lock)),
  }));
  return { locks: await ownLocks(state), remoteLocks: await Promise.all(ofRoots) };
}

async function generationOf(state: AuthState, name: string): Promise<MessageInitShape<typeof UserGenerationSchema>> {
  const [user, { generation = '' }] = await Promise.all([state.users.get(name), secretsOf(state, name)]);
  return { name, generation, isGone: user === undefined };
}

/** The last part of a key, as it was before `keyOf`. */
const nameIn = (key: string, folder: string) => decodeURIComponent(key.slice(folder.length));
