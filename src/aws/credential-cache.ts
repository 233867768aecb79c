/**
 * Temporary database credentials, each fetched once however many connections wait for it, and renewed ahead of its end.
 * The key says for whom and what; a failed fetch is not remembered. Memory only.
 */
export interface DatabaseCredential {
  /** As the database wants it: `IAM:analyst`, `IAMR:role`. */
  user: string;
  password: string;
  expiresAt: Date;
}

export interface CredentialCache {
  get(key: string, fetch: () => Promise<DatabaseCredential>): Promise<DatabaseCredential>;
  /** Forget one that the database refused. */
  drop(key: string): void;
}

export interface CredentialCacheOptions {
  now: () => Date;
  /** A new one is fetched behind the scenes when less than this is left. Default 5 min; AWS gives 15 min and more. */
  renewAheadMs?: number;
  /** One with less than this left is not handed out. Default 30 s. */
  leastLifeMs?: number;
  /** Keys remembered at the same time; the longest unused goes first. Default 10 000. */
  maxEntries?: number;
}

interface Entry {
  current?: DatabaseCredential | undefined;
  fetching?: Promise<DatabaseCredential> | undefined;
}

export function createCredentialCache(options: CredentialCacheOptions): CredentialCache {
  const { now, renewAheadMs = 5 * 60_000, leastLifeMs = 30_000, maxEntries = 10_000 } = options;
  const entries = new Map<string, Entry>();
  const refresh = (key: string, entry: Entry, fetch: () => Promise<DatabaseCredential>) => {
    entry.fetching ??= fetch().then(
      (credential) => {
        entry.current = credential;
        entry.fetching = undefined;
        return credential;
      },
      (error: unknown) => {
        entry.fetching = undefined;
        if (!entry.current && entries.get(key) === entry) entries.delete(key);
        throw error;
      },
    );
    return entry.fetching;
  };
  return {
    async get(key, fetch) {
      const entry = entries.get(key) ?? {};
      // Moved to the end: the first of the map is the longest unused.
      entries.delete(key);
      entries.set(key, entry);
      if (entries.size > maxEntries) entries.delete(entries.keys().next().value!);
      const left = entry.current ? entry.current.expiresAt.getTime() - now().getTime() : 0;
      if (!entry.current || left < leastLifeMs) return await refresh(key, entry, fetch);
      if (left < renewAheadMs) refresh(key, entry, fetch).catch(() => {}); // the present one is good for a while
      return entry.current;
    },
    drop: (key) => void entries.delete(key),
  };
}
