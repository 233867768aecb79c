/**
 * Authorities of other clusters, without their private keys: of a leaf the one of hosts, of a root those of hosts and of
 * users. What is believed is in memory; the store has it for the next start.
 */
import { messageOf, TeleportError } from '../errors.js';
import type { RemoteTrust } from '../identity/bearer.js';
import type { Logger } from '../log.js';
import { isSameCluster } from '../resources/cluster-name.js';
import type { CaType, CertAuthority } from '../resources/types.js';
import { keyOf, type Store } from '../store/store.js';
import { bytesOf, checkedAuthorities } from './checked-authorities.js';
import { storedValue } from './records.js';
import { inTurn } from './turns.js';

interface Remote {
  cluster: string;
  /** One that is switched off is kept and not believed. */
  isOn: boolean;
  authorities: CertAuthority[];
}

/** One cluster while nobody else changes it. */
export interface RemoteChange {
  /** As it is now; undefined: there is none. */
  readonly known: Readonly<Remote> | undefined;
  /** @param options.isOn  default: as it was, of a new one true @throws TeleportError `LimitExceeded` */
  put(authorities: CertAuthority[], options?: { isOn?: boolean }): Promise<void>;
  /** From now on nothing of it is believed. */
  drop(): Promise<void>;
}

interface RemoteOptions {
  /** Called when what is believed has changed. */
  changed: () => void;
  log: Logger;
}

const FOLDER = 'remote_authority';
/**
 * Of all clusters together, as JSON: hosts and people get all authorities in one message (`MAX_MESSAGE_BYTES`). New clusters
 * leave room for the rotations of those that are there. Our own limits.
 */
const MOST_BYTES_FOR_NEW = 2 * 1024 * 1024;
const MOST_BYTES = 3 * 1024 * 1024;

export class RemoteAuthorities {
  readonly #store: Store;
  readonly #all: Map<string, Remote>;
  readonly #bytes = new Map<string, number>();
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #changed: () => void;
  #trusts: readonly RemoteTrust[] = [];

  private constructor(store: Store, all: readonly Remote[], changed: () => void) {
    this.#store = store;
    this.#all = new Map(all.map((one) => [one.cluster, one]));
    for (const { cluster, authorities } of all) this.#bytes.set(cluster, bytesOf(authorities));
    this.#changed = changed;
    this.#remember();
  }

  static async open(store: Store, { changed, log }: RemoteOptions): Promise<RemoteAuthorities> {
    const items = await store.range(`${keyOf(FOLDER)}/`);
    const all = items.map((item) => asChecked(storedValue<Remote>(item), log));
    return new RemoteAuthorities(store, all, changed);
  }

  /** What is believed of whom. The same array until something changes. */
  get trusts(): readonly RemoteTrust[] {
    return this.#trusts;
  }

  /** Of every cluster that is believed. */
  ofType(type: string): CertAuthority[] {
    return this.#believed().flatMap(({ authorities }) => authorities.filter(({ spec }) => spec.type === type));
  }

  /** As they were put. */
  of(cluster: string): CertAuthority[] | undefined {
    return this.#all.get(cluster)?.authorities;
  }

  has(cluster: string): boolean {
    return this.#all.has(cluster);
  }

  /** Whoever has this name, in whatever case of its letters. */
  nameLike(cluster: string): string | undefined {
    return [...this.#all.keys()].find((name) => isSameCluster(name, cluster));
  }

  isOn(cluster: string): boolean {
    return this.#all.get(cluster)?.isOn ?? false;
  }

  /**
   * The only way to change one: those of one cluster, and of all that have its name in other letters, go one after the other, so
   * that what was removed meanwhile does not come back. `work` looks at `known`, and must not change the same cluster by another call.
   */
  async change<T>(cluster: string, work: (remote: RemoteChange) => Promise<T>): Promise<T> {
    const all = this.#all;
    return await inTurn(this.#turns, cluster.toLowerCase(), () =>
      work({
        get known() {
          return all.get(cluster);
        },
        put: (authorities, { isOn = all.get(cluster)?.isOn ?? true } = {}) => this.#put({ cluster, isOn, authorities }),
        drop: () => this.#drop(cluster),
      }),
    );
  }

  async #put(next: Remote): Promise<void> {
    const { cluster, authorities } = next;
    const known = this.#all.get(cluster);
    if (JSON.stringify(known) === JSON.stringify(next)) return;
    this.#makeRoom(cluster, bytesOf(authorities), known ? MOST_BYTES : MOST_BYTES_FOR_NEW);
    await this.#store.put(keyOf(FOLDER, cluster), JSON.stringify(next));
    this.#all.set(cluster, next);
    this.#bytes.set(cluster, bytesOf(authorities));
    this.#announce();
  }

  async #drop(cluster: string): Promise<void> {
    await this.#store.delete(keyOf(FOLDER, cluster));
    this.#all.delete(cluster);
    this.#bytes.delete(cluster);
    this.#announce();
  }

  #makeRoom(cluster: string, bytes: number, most: number): void {
    const before = this.#bytes.get(cluster) ?? 0;
    const all = [...this.#bytes.values()].reduce((sum, one) => sum + one, bytes - before);
    if (all <= most || bytes <= before) return;
    throw new TeleportError(
      'LimitExceeded',
      `the authorities of all other clusters would be larger than ${most} bytes`,
      {
        hint: 'See which clusters there are with "tctl get trusted_cluster,remote_cluster", and remove with "tctl rm" what is not needed.',
      },
    );
  }

  #believed(): Remote[] {
    return [...this.#all.values()].filter(({ isOn }) => isOn);
  }

  #announce(): void {
    this.#remember();
    this.#changed();
  }

  #remember(): void {
    this.#trusts = this.#believed().map(({ cluster, authorities }) => ({
      cluster,
      hostCas: certificatesOf(authorities, 'host'),
      userCas: certificatesOf(authorities, 'user'),
    }));
  }
}

/** A store of an older version may have what is refused today. It can be removed, and is not believed. */
function asChecked(stored: Remote, log: Logger): Remote {
  const { cluster, authorities } = stored;
  try {
    const types = authorities.map(({ spec }) => spec.type);
    const checked = checkedAuthorities(authorities, types);
    if (checked.cluster !== cluster) throw new Error(`they are of ${JSON.stringify(checked.cluster)}`);
    return { ...stored, authorities: checked.authorities };
  } catch (error) {
    log.error('The authorities of another cluster cannot be used. Remove it, and create the trust anew.', {
      cluster,
      error: messageOf(error),
    });
    return { ...stored, authorities: [] };
  }
}

function certificatesOf(authorities: readonly CertAuthority[], type: CaType): string[] {
  return authorities
    .filter(({ spec }) => spec.type === type)
    .flatMap(({ spec }) => [...(spec.active_keys.tls ?? []), ...(spec.additional_trusted_keys.tls ?? [])])
    .map(({ cert }) => Buffer.from(cert, 'base64').toString('utf8'));
}
