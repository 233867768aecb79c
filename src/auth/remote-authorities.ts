/**
 * Authorities of other clusters, without their private keys: of a leaf the one of hosts, of a root those of hosts and of
 * users. What is believed is in memory; the store has it for the next start.
 */
import { TeleportError } from '../errors.js';
import type { RemoteTrust } from '../identity/bearer.js';
import { NAME_OID, subjectOf } from '../pki/x509.js';
import type { CaType, CertAuthority } from '../resources/types.js';
import { keyOf, type Store } from '../store/store.js';
import { storedValue } from './records.js';

interface Remote {
  cluster: string;
  /** One that is switched off is kept and not believed. */
  isOn: boolean;
  authorities: CertAuthority[];
}

const FOLDER = 'remote_authority';
/** Keys of one kind that an authority may have: those of a rotation, and some more. Our own limit. */
const MOST_KEYS = 8;

export class RemoteAuthorities {
  readonly #store: Store;
  readonly #all: Map<string, Remote>;
  readonly #changed: () => void;
  #trusts: readonly RemoteTrust[] = [];

  private constructor(store: Store, all: readonly Remote[], changed: () => void) {
    this.#store = store;
    this.#all = new Map(all.map((one) => [one.cluster, one]));
    this.#changed = changed;
    this.#remember();
  }

  static async open(store: Store, changed: () => void): Promise<RemoteAuthorities> {
    const items = await store.range(`${keyOf(FOLDER)}/`);
    return new RemoteAuthorities(
      store,
      items.map((item) => storedValue<Remote>(item)),
      changed,
    );
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

  isOn(cluster: string): boolean {
    return this.#all.get(cluster)?.isOn ?? false;
  }

  async put(cluster: string, authorities: CertAuthority[], { isOn = true } = {}): Promise<void> {
    const next: Remote = { cluster, isOn, authorities };
    if (JSON.stringify(this.#all.get(cluster)) === JSON.stringify(next)) return;
    await this.#store.put(keyOf(FOLDER, cluster), JSON.stringify(next));
    this.#all.set(cluster, next);
    this.#announce();
  }

  async setOn(cluster: string, isOn: boolean): Promise<void> {
    const known = this.#all.get(cluster);
    if (known) await this.put(cluster, known.authorities, { isOn });
  }

  /** From now on nothing of it is believed. */
  async drop(cluster: string): Promise<void> {
    await this.#store.delete(keyOf(FOLDER, cluster));
    this.#all.delete(cluster);
    this.#announce();
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

function certificatesOf(authorities: readonly CertAuthority[], type: CaType): string[] {
  return authorities
    .filter(({ spec }) => spec.type === type)
    .flatMap(({ spec }) => [...(spec.active_keys.tls ?? []), ...(spec.additional_trusted_keys.tls ?? [])])
    .map(({ cert }) => Buffer.from(cert, 'base64').toString('utf8'));
}

/**
 * What another cluster says its authorities are: exactly one of each type, all of one cluster, by their names and their
 * certificates. Private keys and whatever else came with them are left out.
 *
 * @returns the cluster and its authorities, in the order of `types`
 * @throws TeleportError `AccessDenied` for anything else
 */
export function checkedAuthorities(
  given: readonly CertAuthority[],
  types: readonly CaType[],
): { cluster: string; authorities: CertAuthority[] } {
  const cluster = given[0]?.spec.cluster_name ?? '';
  const authorities = types.map((type) => {
    const ofType = given.filter(({ spec }) => spec.type === type);
    const [one] = ofType;
    if (!one || ofType.length > 1) throw refused(`expected exactly one ${type} authority, received ${ofType.length}`);
    return checkedAuthority(one, cluster);
  });
  return { cluster, authorities };
}

function checkedAuthority({ spec }: CertAuthority, cluster: string): CertAuthority {
  const { type, cluster_name: name, active_keys: active, additional_trusted_keys: additional } = spec;
  if (name === '' || name !== cluster) throw refused('the authorities are of different clusters');
  const publicHalves = ({ tls = [], ssh = [] }: typeof active) => {
    if (tls.length + ssh.length > 2 * MOST_KEYS) throw refused('an authority has too many keys');
    for (const { cert } of tls) checkCertificate(cert, cluster);
    return {
      ssh: ssh.map(({ public_key }) => ({ public_key })),
      tls: tls.map(({ cert }) => ({ cert })),
    };
  };
  const activeKeys = publicHalves(active);
  if (activeKeys.tls.length === 0) throw refused(`the ${type} authority has no certificate`);
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: cluster },
    spec: { type, cluster_name: cluster, active_keys: activeKeys, additional_trusted_keys: publicHalves(additional) },
  };
}

function checkCertificate(cert: string, cluster: string): void {
  const subject = subjectOf(Buffer.from(cert, 'base64').toString('utf8'));
  const names = [NAME_OID.organization, NAME_OID.commonName].map((oid) => subject.get(oid)?.[0]);
  // Clients find an authority by it.
  if (names.some((name) => name !== cluster)) {
    throw refused('the subject of a CA certificate does not match the cluster name of the CA');
  }
}

function refused(why: string): TeleportError {
  return new TeleportError('AccessDenied', why);
}
