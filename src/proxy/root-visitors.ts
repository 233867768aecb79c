/**
 * At a leaf: what comes through the tunnels to its roots. People of a root are let in by that root's authority of users alone;
 * bytes for our Auth Service go on to it unread. Whoever comes this way counts as if she had come to our own door, people by
 * login; but where she is only the root says, which can state any address. So all of one root come from one place, its own, and
 * what it states decides no more than who of its own has to go.
 */
import type { Duplex } from 'node:stream';
import { knownAs } from '../api/known-as.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { splitHostPort } from '../host-port.js';
import { type Bearer, bearerOf, checkUsage } from '../identity/bearer.js';
import { checkPinnedIp } from '../identity/pinned-ip.js';
import { remoteIdentity } from '../identity/remote.js';
import { canonicalIp } from '../ip.js';
import type { Logger } from '../log.js';
import { addressOfCluster, type Crowd, type Guest } from '../net/crowd.js';
import { FairShares, originOf } from '../net/fair-share.js';
import { hangUp } from '../net/hang-up.js';
import { peek } from '../net/peek.js';
import { relay } from '../net/relay.js';
import { encodeError } from '../pg/backend.js';
import { lastWords } from '../pg/last-words.js';
import { isCancelRequest, MIN_PACKET_BYTES } from '../pg/startup.js';
import { type RightsWatch, trustEnded } from '../rights/rights-watch.js';
import type { TunnelConnection } from '../tunnel/protocol.js';
import type { TunnelRegistry } from '../tunnel/registry.js';
import type { Upstream } from './auth-server.js';
import { believes, type TrustedAuthorities } from './authorities.js';
import { MOST_TO_AUTH } from './leafs.js';
import { endWithRight } from './postgres.js';

export interface RootVisitorsOptions {
  clusterName: string;
  authorities: TrustedAuthorities;
  tunnels: Pick<TunnelRegistry, 'open' | 'hostOf'>;
  rights: Pick<RightsWatch, 'during' | 'refusal'>;
  upstream: Pick<Upstream, 'forward'>;
  crowd: Pick<Crowd, 'arrive'>;
  now: () => Date;
  log: Logger;
}

/** For the first bytes of a client whose login has no place left. */
const FIRST_BYTES_MS = 10_000;

export class RootVisitors {
  readonly #options: RootVisitorsOptions;
  readonly #toAuth = new FairShares(MOST_TO_AUTH);

  constructor(options: RootVisitorsOptions) {
    this.#options = options;
  }

  /** One connection through a tunnel. Never rejects. */
  async serve(root: string, stream: Duplex, connection: TunnelConnection): Promise<void> {
    const isDatabase = connection.certificateDer.length > 0;
    try {
      const guest = this.#arrive(root, stream, connection);
      if (isDatabase) await this.#toDatabase(root, stream, { ...connection, guest });
      else await this.#toOurAuth(root, stream, { ...connection, guest });
    } catch (error) {
      if (isDatabase) hangUp(stream, encodeError(error));
      else stream.destroy();
      const { clientAddr: from } = connection;
      const level = isDatabase ? 'info' : 'debug';
      this.#options.log[level]('A connection from a root was refused.', { root, from, error: messageOf(error) });
    }
  }

  #arrive(root: string, stream: Duplex, { clientAddr }: TunnelConnection): Guest {
    if (canonicalIp(splitHostPort(clientAddr).host) === undefined) {
      throw new TeleportError('BadParameter', `not the address of a client: ${JSON.stringify(clientAddr)}`);
    }
    const guest = this.#options.crowd.arrive(stream, addressOfCluster(root));
    if (guest === undefined) throw new TeleportError('LimitExceeded', 'too many connections');
    guest.from(addressOfCluster(root));
    return guest;
  }

  async #toOurAuth(root: string, stream: Duplex, { clientAddr, guest }: TunnelConnection & { guest: Guest }) {
    const { host: address, port = '0' } = splitHostPort(clientAddr);
    stream.once(
      'close',
      this.#toAuth.of(root).take(originOf(address), () => stream.destroy()),
    );
    guest.become({ kind: 'forwarded' });
    await this.#options.upstream.forward(stream, { address, port: Number(port) }, root);
  }

  async #toDatabase(root: string, stream: Duplex, connection: TunnelConnection & { guest: Guest }): Promise<void> {
    const { tunnels, rights, authorities } = this.#options;
    const cut = new AbortController();
    const peer = this.#verified(root, connection);
    await takePlace(stream, connection.guest, peer);
    const identity = remoteIdentity(peer.identity, []);
    const refusal = rights.refusal({ identity });
    if (refusal !== undefined) throw new TeleportError('AccessDenied', `access denied: ${refusal}`);
    const agent = await tunnels.open(identity.routeToDatabase?.serviceName ?? '', connection);
    const isBelieved = () => believes(authorities, peer);
    const holder = { identity, serverId: tunnels.hostOf(agent), isBelieved, ifNotBelieved: trustEnded(root) };
    using _rights = endWithRight(rights, holder, cut);
    await relay(stream, agent, { signal: cut.signal, lastWords: lastWords() });
  }

  /** The root has seen the proof of the key; that the certificate is of its users, and for us, is seen here. */
  #verified(root: string, { certificateDer, clientAddr }: TunnelConnection): Bearer {
    const { clusterName, authorities, now } = this.#options;
    const trust = authorities.remotes.find(({ cluster }) => cluster === root);
    const peer = bearerOf(certificateDer, {
      hostCas: [],
      userCas: [],
      remotes: trust ? [{ ...trust, hostCas: [] }] : [],
      clusterName,
      now: now(),
    });
    checkUsage(peer.identity, 'databases');
    checkPinnedIp(peer.identity.pinnedIp, splitHostPort(clientAddr).host);
    const { routeToCluster } = peer.identity;
    if (routeToCluster === clusterName) return peer;
    throw new TeleportError(
      'AccessDenied',
      `access denied: the certificate is for cluster ${JSON.stringify(routeToCluster)}`,
    );
  }
}

/** What cancels a statement goes through where all places of its login are taken, as at our own door. @throws `LimitExceeded` */
async function takePlace(stream: Duplex, guest: Guest, peer: Bearer): Promise<void> {
  try {
    guest.become(knownAs(peer));
  } catch (error) {
    if (!isTeleportError(error, 'LimitExceeded')) throw error;
    const first = await peek(stream, { bytes: MIN_PACKET_BYTES, timeoutMs: FIRST_BYTES_MS });
    if (!isCancelRequest(first)) throw error;
  }
}
