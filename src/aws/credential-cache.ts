/**
 * Temporary database credentials: each fetched once however many connections wait for it, renewed ahead of its end, and
 * judged by AWS's clock where ours is wrong. `tsh` and the Database Service share the rules; only `tsh` gives a storage.
 *
 *   none ── asked for ──▶ being fetched ──▶ good ── 5 min left ──▶ good, renewed behind ──▶ good
 *                              │                                        │
 *                              └─ refused: told to all who wait         └─ failed: the present one until 30 s before its
 *                                 and to whoever asks at once after        end, and tried again a minute later
 */
import { createHash } from 'node:crypto';
import { messageOf, TeleportError } from '../errors.js';
import { clockProblem } from './clock.js';

export interface DatabaseCredential {
  /** As the database wants it: `IAM:analyst`, `IAMR:role`. */
  user: string;
  password: string;
  /** By AWS's clock. */
  expiresAt: Date;
  /** AWS's clock when it made it. Undefined: it did not say. */
  answeredAt?: Date | undefined;
}

export interface CachedCredential {
  credential: DatabaseCredential;
  /** Made while this call waited, for it or for another. */
  isFresh: boolean;
}

type Mint = () => Promise<DatabaseCredential>;

/** Where credentials survive the process. Values are secret. Its failures go to `warn` and stop nobody. */
export interface CredentialStorage {
  read(key: string): Promise<string | undefined>;
  write(key: string, text: string): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface CredentialCacheOptions {
  now: () => Date;
  /** Default: none, memory only. Only for principals whose identity is part of the key. */
  storage?: CredentialStorage;
  /** Told, once each, that this machine's clock is wrong or that the storage failed. */
  warn?: (text: string) => void;
  /** A new one is fetched behind the scenes when less than this is left. Default 5 min; AWS gives 15 min and more. */
  renewAheadMs?: number;
  /** One with less than this left is not handed out. Default 30 s. */
  leastLifeMs?: number;
  /** Between two attempts to renew ahead. Default 1 min. */
  renewAgainMs?: number;
  /** How long a denial is repeated without asking AWS. Default 1 s: a flood of connections is one call. */
  denialMs?: number;
  /** Keys remembered at the same time; the longest unused goes first. Default 10 000. */
  maxEntries?: number;
}

interface Entry {
  current?: DatabaseCredential | undefined;
  /** By our clock, milliseconds. */
  endsAtMs: number;
  /** Password that the database refused: not taken from a storage that could not delete it. */
  refused?: string | undefined;
  fetching?: Promise<CachedCredential> | undefined;
  renewAtMs?: number | undefined;
  denied?: { error: TeleportError; untilMs: number } | undefined;
}

/** AWS gives a database password 15 minutes, or up to an hour when asked. */
const SHORTEST_LIFE_MS = 15 * 60_000;
/** With a minute for what two clocks may differ by: AWS tells its own in whole seconds. */
const LONGEST_LIFE_MS = 61 * 60_000;
/** Answers of AWS that asking again at once would not change. */
const FINAL = new Set(['AccessDenied', 'NotFound', 'BadParameter']);

/** One name for everything that a credential depends on; nothing can be read from it. */
export function credentialKey(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

const DEFAULTS = {
  warn: (_text: string) => {},
  renewAheadMs: 5 * 60_000,
  leastLifeMs: 30_000,
  renewAgainMs: 60_000,
  denialMs: 1_000,
  maxEntries: 10_000,
};

export class CredentialCache {
  readonly #options: typeof DEFAULTS & CredentialCacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #said = new Set<'clock' | 'storage'>();

  constructor(options: CredentialCacheOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /**
   * @param key  of `credentialKey`
   * @param mint  asks AWS; its refusals are passed on
   */
  async get(key: string, mint: Mint): Promise<CachedCredential> {
    const { leastLifeMs, renewAheadMs } = this.#options;
    const entry = this.#used(key);
    const nowMs = this.#nowMs();
    const leftMs = entry.current ? entry.endsAtMs - nowMs : 0;
    if (!entry.current || leftMs < leastLifeMs) {
      if (!entry.fetching && entry.denied && nowMs < entry.denied.untilMs) throw entry.denied.error;
      return await this.#fetch(key, entry, mint, false);
    }
    const isTime = leftMs < renewAheadMs && nowMs >= (entry.renewAtMs ?? 0);
    // The one that is here is still good; a renewal that fails is tried again later.
    if (isTime) this.#fetch(key, entry, mint, true).catch(() => {});
    return { credential: entry.current, isFresh: false };
  }

  /**
   * Forget one that the database refused; a newer one that took its place stays. Without `refused`: forget whatever is
   * there, in the storage as well.
   */
  async drop(key: string, refused?: { password: string }): Promise<void> {
    const entry = this.#entries.get(key);
    if (!refused) {
      this.#entries.delete(key);
      return void (await this.#stored((where) => where.delete(key)));
    }
    if (entry?.current?.password !== refused.password) return;
    entry.current = undefined;
    entry.refused = refused.password;
    await this.#stored((where) => where.delete(key));
  }

  #used(key: string): Entry {
    const entries = this.#entries;
    const entry: Entry = entries.get(key) ?? { endsAtMs: 0 };
    // Moved to the end: the first of the map is the longest unused.
    entries.delete(key);
    entries.set(key, entry);
    if (entries.size > this.#options.maxEntries) entries.delete(entries.keys().next().value!);
    return entry;
  }

  #fetch(key: string, entry: Entry, mint: Mint, isRenewal: boolean): Promise<CachedCredential> {
    const { renewAgainMs, denialMs } = this.#options;
    entry.fetching ??= (async () => {
      try {
        const known = isRenewal || entry.current ? undefined : await this.#fromStorage(key, entry);
        return known ?? (await this.#fromAws(key, entry, mint));
      } catch (error) {
        entry.renewAtMs = this.#nowMs() + renewAgainMs;
        if (error instanceof TeleportError && FINAL.has(error.code)) {
          entry.denied = { error, untilMs: this.#nowMs() + denialMs };
        }
        throw error;
      } finally {
        entry.fetching = undefined;
      }
    })();
    return entry.fetching;
  }

  async #fromStorage(key: string, entry: Entry): Promise<CachedCredential | undefined> {
    const text = await this.#stored((where) => where.read(key));
    if (text === undefined) return undefined;
    const { credential, skewMs = 0 } = readCredential(text) ?? {};
    const leftMs = credential ? credential.expiresAt.getTime() - skewMs - this.#nowMs() : 0;
    // More than AWS ever gives: the clock has been turned back since.
    const isUsable = leftMs >= this.#options.leastLifeMs && leftMs <= LONGEST_LIFE_MS;
    if (credential && credential.password !== entry.refused && isUsable) {
      this.#keep(entry, credential, skewMs);
      return { credential, isFresh: false };
    }
    await this.#stored((where) => where.delete(key));
    return undefined;
  }

  async #fromAws(key: string, entry: Entry, mint: Mint): Promise<CachedCredential> {
    const credential = await mint();
    const skewMs = skewOf(credential, this.#nowMs());
    this.#keep(entry, credential, skewMs);
    const { user, password, expiresAt } = credential;
    for (const [other, { endsAtMs, fetching }] of this.#entries) {
      if (!fetching && endsAtMs <= this.#nowMs()) this.#entries.delete(other); // a dead password is not kept in memory
    }
    await this.#stored((where) => where.write(key, JSON.stringify({ user, password, expiresAt, skewMs })));
    return { credential, isFresh: true };
  }

  /** @param skewMs  AWS's clock minus ours */
  #keep(entry: Entry, credential: DatabaseCredential, skewMs: number): void {
    const problem = clockProblem(skewMs);
    if (problem) this.#say(problem, 'clock');
    else this.#said.delete('clock');
    entry.current = credential;
    entry.endsAtMs = credential.expiresAt.getTime() - skewMs;
    entry.renewAtMs = undefined;
    entry.denied = undefined;
  }

  /** Storage is a convenience: nobody waits for a repaired one. */
  async #stored<T>(work: (storage: CredentialStorage) => Promise<T>): Promise<T | undefined> {
    const { storage } = this.#options;
    if (!storage) return undefined;
    try {
      return await work(storage);
    } catch (error) {
      this.#say(`Database credentials are not kept between commands: ${messageOf(error)}`, 'storage');
      return undefined;
    }
  }

  #say(text: string, what: 'clock' | 'storage'): void {
    if (this.#said.has(what)) return;
    this.#said.add(what);
    this.#options.warn(text);
  }

  #nowMs(): number {
    return this.#options.now().getTime();
  }
}

/** Where AWS did not say the time, a password that is over or too good to be true on arrival tells it. */
function skewOf({ expiresAt, answeredAt }: DatabaseCredential, nowMs: number): number {
  if (answeredAt) return answeredAt.getTime() - nowMs;
  const leftMs = expiresAt.getTime() - nowMs;
  return leftMs > 0 && leftMs <= LONGEST_LIFE_MS ? 0 : leftMs - SHORTEST_LIFE_MS;
}

/** Undefined for what this program did not write. */
function readCredential(text: string): { credential: DatabaseCredential; skewMs: number } | undefined {
  try {
    const { user, password, expiresAt, skewMs } = JSON.parse(text) as Record<string, unknown>;
    const end = new Date(String(expiresAt));
    if (typeof user !== 'string' || typeof password !== 'string' || typeof skewMs !== 'number') return undefined;
    return Number.isNaN(end.getTime()) ? undefined : { credential: { user, password, expiresAt: end }, skewMs };
  } catch {
    return undefined;
  }
}
