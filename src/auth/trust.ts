/** What the parts of Auth know of trust between clusters: where the store keeps it, and whom to ask. */
import type { Identity } from '../identity/identity.js';
import type { CertAuthority } from '../resources/types.js';
import { keyOf } from '../store/store.js';

/** Folder of the locks of roots, one item a root. */
export const REMOTE_LOCKS = `${keyOf('remote_lock')}/`;

export const remoteLocksKey = (cluster: string): string => keyOf('remote_lock', cluster);

/** The root's web API, as `webapi/trust.ts` calls it. */
export interface TrustExchange {
  /** Name of the cluster behind the Proxy. */
  clusterBehind(address: string): Promise<string>;
  exchangeAuthorities(request: {
    address: string;
    token: string;
    hostAuthority: CertAuthority;
  }): Promise<CertAuthority[]>;
}

/** Whose certificate it is, as its own cluster calls her. */
export type RemoteUser = Pick<Identity, 'username' | 'teleportCluster' | 'userGeneration'>;

/** What a root says of one of its users. */
export interface RootWord {
  /** Why her certificate counts no more. */
  ended?: string;
  /** Since when she has her name; another had it before. */
  madeAt?: Date;
}

/** What is heard of the roots (`roots.ts`). */
export interface RootNews {
  /** What her root says of a user; undefined: it cannot be asked. */
  ask(user: RemoteUser): Promise<RootWord | undefined>;
  /** Whether nothing has been heard of this root for so long that its locks may be out of date. */
  isSilent(cluster: string): boolean;
  /** Calls `listener` with the cluster in which some user was ended. */
  onUserChanged(listener: (cluster: string) => void): Disposable;
}
