/**
 * The authorities of the cluster: made at the first start by the signature suite, kept in the store with their private
 * keys, loaded into `KeyObject`s. Which authority signs what: certificates.md 1 and 2. No rotation yet: the list of
 * additional trusted keys is empty.
 */
import type { KeyObject } from 'node:crypto';
import { generateKey, privateKeyPem, publicHalf, readPrivateKey } from '../pki/keys.js';
import { authorizedKeyLine } from '../pki/ssh/certificate.js';
import { type KeyPurpose, keyFor, type SignatureSuite } from '../pki/suites.js';
import { createCa, emptyCrl, type SigningCa, spkiPin } from '../pki/x509.js';
import { CA_TYPES, type CaKeySet, type CaType, type CertAuthority } from '../resources/types.js';
import type { Store } from '../store/store.js';
import { recordsOf } from './records.js';

export interface Authority {
  type: CaType;
  /** Signs X.509; absent for openssh and jwt. */
  tls?: SigningCa;
  /** Signs SSH certificates; absent for db, db_client and jwt. */
  ssh?: KeyObject;
  /** What others may see: no private keys. */
  resource: CertAuthority;
}

export interface Authorities {
  get(type: CaType): Authority;
  /** The X.509 side of an authority that has one. */
  tls(type: 'host' | 'user' | 'db' | 'db_client'): SigningCa;
  /** The SSH key of an authority that has one. */
  ssh(type: 'host' | 'user' | 'openssh'): KeyObject;
  /** `sha256:…`, one per certificate of the Host CA. */
  pins(): string[];
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
export async function openAuthorities(store: Store): Promise<Authorities> {
  const records = recordsOf(store, 'cert_authority');
  const load = async (type: CaType): Promise<Authority> => {
    const stored = await records.get(type);
    if (stored === undefined) throw new Error(`"${type}" is missing`);
    const authority = authorityOf(stored);
    const { tls, ssh } = KEYS[type];
    if ((tls && !authority.tls) || (ssh && !authority.ssh)) throw new Error(`"${type}" has no key`);
    return authority;
  };
  const all = new Map((await Promise.all(CA_TYPES.map(load))).map((authority) => [authority.type, authority]));
  const get = (type: CaType) => all.get(type)!;
  return {
    get,
    tls: (type) => get(type).tls!,
    ssh: (type) => get(type).ssh!,
    pins: () => [spkiPin(get('host').tls!.certPem)],
  };
}

/** Authorized_keys line of a key, with newline, as Teleport writes it. */
export const sshLine = (key: KeyObject): string => `${authorizedKeyLine(key).trimEnd()}\n`;

const KEYS: Record<CaType, { tls?: KeyPurpose; ssh?: KeyPurpose; jwt?: KeyPurpose }> = {
  host: { tls: 'host-ca-tls', ssh: 'host-ca-ssh' },
  user: { tls: 'user-ca-tls', ssh: 'user-ca-ssh' },
  db: { tls: 'db-ca-tls' },
  db_client: { tls: 'db-client-ca-tls' },
  openssh: { ssh: 'openssh-ca-ssh' },
  jwt: { jwt: 'jwt-ca' },
};

async function makeAuthority(
  type: CaType,
  { clusterName, suite, now }: { clusterName: string; suite: SignatureSuite; now: () => Date },
): Promise<CertAuthority> {
  const purposes = KEYS[type];
  const active: CaKeySet = {};
  if (purposes.ssh) {
    const key = await generateKey(keyFor(suite, purposes.ssh));
    active.ssh = [{ public_key: base64(sshLine(key)), private_key: base64(privateKeyPem(key)) }];
  }
  if (purposes.tls) {
    const key = await generateKey(keyFor(suite, purposes.tls));
    const { certPem } = createCa({ clusterName, key, now: now() });
    const crl = emptyCrl({ certPem, key }, now()).toString('base64');
    active.tls = [{ cert: base64(certPem), key: base64(privateKeyPem(key)), crl }];
  }
  if (purposes.jwt) {
    const key = await generateKey(keyFor(suite, purposes.jwt));
    const pem = publicHalf(key).export({ format: 'pem', type: 'spki' }) as string;
    active.jwt = [{ public_key: base64(pem), private_key: base64(privateKeyPem(key)) }];
  }
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: type },
    spec: { type, cluster_name: clusterName, active_keys: active, additional_trusted_keys: {} },
  };
}

function authorityOf(stored: CertAuthority): Authority {
  const { ssh, tls, jwt } = stored.spec.active_keys;
  const [sshPair] = ssh ?? [];
  const [tlsPair] = tls ?? [];
  return {
    type: stored.spec.type,
    ...(tlsPair ? { tls: { certPem: text(tlsPair.cert), key: readPrivateKey(text(tlsPair.key!)) } } : {}),
    ...(sshPair ? { ssh: readPrivateKey(text(sshPair.private_key!)) } : {}),
    resource: {
      ...stored,
      metadata: { ...stored.metadata, name: stored.spec.cluster_name },
      spec: {
        ...stored.spec,
        active_keys: {
          ...(ssh ? { ssh: ssh.map(({ public_key }) => ({ public_key })) } : {}),
          ...(tls ? { tls: tls.map(({ cert, crl }) => ({ cert, ...(crl ? { crl } : {}) })) } : {}),
          ...(jwt ? { jwt: jwt.map(({ public_key }) => ({ public_key })) } : {}),
        },
      },
    },
  };
}

const base64 = (value: string) => Buffer.from(value, 'utf8').toString('base64');
const text = (value: string) => Buffer.from(value, 'base64').toString('utf8');
