/**
 * The authorities of the cluster: made at the first start by the signature suite, kept in the store with their private
 * keys, loaded into `KeyObject`s. Which authority signs what: certificates.md 1 and 2. A rotation (`rotation.ts`) gives an
 * authority a second set of keys for a while: one set signs, both are believed.
 */
import type { KeyObject } from 'node:crypto';
import type { Logger } from '../log.js';
import { generateKey, privateKeyPem, publicHalf, readPrivateKey } from '../pki/keys.js';
import { sshLine } from '../pki/ssh/certificate.js';
import { type KeyPurpose, keyFor, type SignatureSuite } from '../pki/suites.js';
import { createCa, emptyCrl, type SigningCa, spkiPin } from '../pki/x509.js';
import { CA_TYPES, type CaKeySet, type CaType, type CertAuthority } from '../resources/types.js';
import type { Store } from '../store/store.js';
import { type Records, recordsOf } from './records.js';
import { RemoteAuthorities } from './remote-authorities.js';

interface KeySet {
  /** Signs X.509; absent for openssh and jwt. */
  tls?: SigningCa;
  /** Signs SSH certificates; absent for db, db_client and jwt. */
  ssh?: KeyObject;
}

export interface Authority {
  type: CaType;
  /** With private keys, as it is stored. */
  stored: CertAuthority;
  active: KeySet;
  /** Believed as well, during a rotation. */
  additional: KeySet;
  /** What others may see: no private keys. */
  resource: CertAuthority;
}

type TlsType = 'host' | 'user' | 'db' | 'db_client';
type SshType = 'host' | 'user' | 'openssh';

/** Called for an authority of ours that has changed, and for any of other clusters. */
type AuthorityListener = (changed: CaType | 'remote') => void;

export class Authorities {
  /** Of other clusters. */
  readonly remotes: RemoteAuthorities;
  readonly #records: Records<CertAuthority>;
  readonly #all: Map<CaType, Authority>;
  readonly #listeners: Set<AuthorityListener>;

  private constructor(
    records: Records<CertAuthority>,
    all: readonly Authority[],
    remotes: RemoteAuthorities,
    listeners: Set<AuthorityListener>,
  ) {
    this.#records = records;
    this.#all = new Map(all.map((authority) => [authority.type, authority]));
    this.remotes = remotes;
    this.#listeners = listeners;
  }

  static async open(store: Store, all: readonly Authority[], log: Logger): Promise<Authorities> {
    const listeners = new Set<AuthorityListener>();
    const changed = () => {
      for (const listener of listeners) listener('remote');
    };
    const remotes = await RemoteAuthorities.open(store, { changed, log });
    return new Authorities(recordsOf(store, 'cert_authority'), all, remotes, listeners);
  }

  get(type: CaType): Authority {
    return this.#all.get(type)!;
  }

  /** The X.509 key with which an authority signs. */
  tls(type: TlsType): SigningCa {
    return this.get(type).active.tls!;
  }

  /**
   * With what the certificate of a database is signed: from the beginning of a rotation by the new key, so that all databases
   * have theirs before the old one goes.
   */
  tlsOfDatabases(): SigningCa {
    const { stored, active, additional } = this.get('db');
    return (stored.spec.rotation?.phase === 'init' ? additional.tls : undefined) ?? active.tls!;
  }

  /**
   * With what the certificates of hosts are signed: in `update_clients` still by the old key, as people who logged in before have
   * heard of no other one. One certificate is for both ends of a host's connections.
   */
  ofHosts(): { tls: SigningCa; ssh: KeyObject } {
    const { stored, active, additional } = this.get('host');
    const { tls, ssh } = stored.spec.rotation?.phase === 'update_clients' ? { ...active, ...additional } : active;
    return { tls: tls!, ssh: ssh! };
  }

  /** Whose X.509 certificates are believed, PEM, the one that signs first. */
  trusted(type: TlsType): string[] {
    const { active, additional } = this.get(type);
    return [active.tls, additional.tls].flatMap((ca) => (ca ? [ca.certPem] : []));
  }

  /** The SSH key with which an authority signs. */
  ssh(type: SshType): KeyObject {
    return this.get(type).active.ssh!;
  }

  /** The SSH keys that are believed, the one that signs first. */
  trustedSsh(type: SshType): KeyObject[] {
    const { active, additional } = this.get(type);
    return [active.ssh, additional.ssh].flatMap((key) => (key ? [key] : []));
  }

  /** `sha256:…`, one per certificate of the Host CA. */
  pins(): string[] {
    return this.trusted('host').map(spkiPin);
  }

  /** Store an authority that has changed, and use it from now on. @throws CompareFailed when somebody was quicker */
  async replace(changed: CertAuthority): Promise<void> {
    const authority = authorityOf(await this.#records.update(changed));
    this.#all.set(authority.type, authority);
    for (const listener of this.#listeners) listener(authority.type);
  }

  /** Calls `listener` for each authority that has changed, until it is disposed of. */
  onChange(listener: AuthorityListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

/** Make the authorities of a new cluster. */
export async function createAuthorities(
  store: Store,
  options: { clusterName: string; suite: SignatureSuite; now: () => Date },
): Promise<void> {
  const records = recordsOf(store, 'cert_authority');
  await Promise.all(CA_TYPES.map(async (type) => await records.create(await makeAuthority(type, options))));
}

/**
 * Load the authorities. None is made anew: what it has signed would be worth nothing.
 *
 * @throws when one is missing or lacks a key
 */
export async function openAuthorities(store: Store, log: Logger): Promise<Authorities> {
  const records = recordsOf(store, 'cert_authority');
  const load = async (type: CaType): Promise<Authority> => {
    const stored = await records.get(type);
    if (stored === undefined) throw new Error(`"${type}" is missing`);
    const authority = authorityOf(stored);
    const { tls, ssh } = KEYS[type];
    if ((tls && !authority.active.tls) || (ssh && !authority.active.ssh)) throw new Error(`"${type}" has no key`);
    return authority;
  };
  return await Authorities.open(store, await Promise.all(CA_TYPES.map(load)), log);
}

const KEYS: Record<CaType, { tls?: KeyPurpose; ssh?: KeyPurpose; jwt?: KeyPurpose }> = {
  host: { tls: 'host-ca-tls', ssh: 'host-ca-ssh' },
  user: { tls: 'user-ca-tls', ssh: 'user-ca-ssh' },
  db: { tls: 'db-ca-tls' },
  db_client: { tls: 'db-client-ca-tls' },
  openssh: { ssh: 'openssh-ca-ssh' },
  jwt: { jwt: 'jwt-ca' },
};

async function makeAuthority(type: CaType, options: NewKeys): Promise<CertAuthority> {
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: type },
    spec: {
      type,
      cluster_name: options.clusterName,
      active_keys: await newCaKeys(type, options),
      additional_trusted_keys: {},
    },
  };
}

interface NewKeys {
  clusterName: string;
  suite: SignatureSuite;
  now: () => Date;
}

/** New keys of an authority, with private keys, and its certificate of X.509. */
export async function newCaKeys(type: CaType, { clusterName, suite, now }: NewKeys): Promise<CaKeySet> {
  const purposes = KEYS[type];
  const keys: CaKeySet = {};
  if (purposes.ssh) {
    const key = await generateKey(keyFor(suite, purposes.ssh));
    keys.ssh = [{ public_key: base64(sshLine(key)), private_key: base64(privateKeyPem(key)) }];
  }
  if (purposes.tls) {
    const key = await generateKey(keyFor(suite, purposes.tls));
    const { certPem } = createCa({ clusterName, key, now: now() });
    const crl = emptyCrl({ certPem, key }, now()).toString('base64');
    keys.tls = [{ cert: base64(certPem), key: base64(privateKeyPem(key)), crl }];
  }
  if (purposes.jwt) {
    const key = await generateKey(keyFor(suite, purposes.jwt));
    const pem = publicHalf(key).export({ format: 'pem', type: 'spki' }) as string;
    keys.jwt = [{ public_key: base64(pem), private_key: base64(privateKeyPem(key)) }];
  }
  return keys;
}

function authorityOf(stored: CertAuthority): Authority {
  const { active_keys: active, additional_trusted_keys: additional = {} } = stored.spec;
  return {
    type: stored.spec.type,
    stored,
    active: signersIn(active),
    additional: signersIn(additional),
    resource: {
      ...stored,
      metadata: { ...stored.metadata, name: stored.spec.cluster_name },
      spec: {
        ...stored.spec,
        active_keys: withoutPrivate(active),
        additional_trusted_keys: withoutPrivate(additional),
      },
    },
  };
}

function signersIn({ ssh: [sshPair] = [], tls: [tlsPair] = [] }: CaKeySet): KeySet {
  return {
    ...(tlsPair ? { tls: { certPem: text(tlsPair.cert), key: readPrivateKey(text(tlsPair.key!)) } } : {}),
    ...(sshPair ? { ssh: readPrivateKey(text(sshPair.private_key!)) } : {}),
  };
}

function withoutPrivate({ ssh, tls, jwt }: CaKeySet): CaKeySet {
  return {
    ...(ssh ? { ssh: ssh.map(({ public_key }) => ({ public_key })) } : {}),
    ...(tls ? { tls: tls.map(({ cert, crl }) => ({ cert, ...(crl ? { crl } : {}) })) } : {}),
    ...(jwt ? { jwt: jwt.map(({ public_key }) => ({ public_key })) } : {}),
  };
}

const base64 = (value: string) => Buffer.from(value, 'utf8').toString('base64');
const text = (value: string) => Buffer.from(value, 'base64').toString('utf8');
