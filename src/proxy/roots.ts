/**
 * At a leaf: the tunnels to the Proxies of its roots, and what comes through them. People of a root are let in by that root's
 * authority of users alone; bytes for our Auth Service go on to it unread.
 */
import type { Duplex } from 'node:stream';
import type { HostIdentity } from '../api/host-identity.js';
import { messageOf, TeleportError } from '../errors.js';
import { hostOf, portOf, splitHostPort } from '../host-port.js';
import { type Bearer, bearerOf, checkUsage, type RemoteTrust } from '../identity/bearer.js';
import { checkPinnedIp } from '../identity/pinned-ip.js';
import { remoteIdentity } from '../identity/remote.js';
import type { Logger } from '../log.js';
import { hangUp } from '../net/hang-up.js';
import { relay } from '../net/relay.js';
import { encodeError } from '../pg/backend.js';
import { lastWords } from '../pg/last-words.js';
import { type RightsWatch, trustEnded } from '../rights/rights-watch.js';
import { runTunnel, type TunnelAgent } from '../tunnel/agent.js';
import type { TunnelConnection } from '../tunnel/protocol.js';
import type { TunnelRegistry } from '../tunnel/registry.js';
import type { Upstream } from './auth-server.js';
import { believes, type TrustedAuthorities } from './authorities.js';
import { endWithRight } from './postgres.js';

export interface RootTunnelsOptions {
  /** Of this Proxy, as it is at each moment. */
  identity: HostIdentity;
  authorities: TrustedAuthorities;
  tunnels: Pick<TunnelRegistry, 'open' | 'hostOf'>;
  rights: Pick<RightsWatch, 'during' | 'refusal'>;
  upstream: Pick<Upstream, 'forward'>;
  /** Which roots there are, as Auth says it. */
  list: () => Promise<{ cluster: string; tunnelAddr: string }[]>;
  version: string;
  now: () => Date;
  log: Logger;
}

export class RootTunnels {
  readonly #options: RootTunnelsOptions;
  readonly #agents = new Map<string, TunnelAgent>();
  #settling: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: RootTunnelsOptions) {
    this.#options = options;
  }

  /** Something about other clusters has changed: keep tunnels to exactly the roots that there are. Never rejects. */
  settle(): Promise<void> {
    this.#settling = this.#settling
      .then(() => this.#settle())
      .catch((error: unknown) => this.#options.log.warn('Cannot ask for root clusters.', { error: messageOf(error) }));
    return this.#settling;
  }

  /** With the certificate of now. */
  redial(): void {
    for (const agent of this.#agents.values()) agent.redial();
  }

  async close({ drainMs = 0 } = {}): Promise<void> {
    this.#isClosed = true;
    await this.#settling;
    await Promise.all([...this.#agents.values()].map((agent) => agent.close({ drainMs })));
  }

  async #settle(): Promise<void> {
    if (this.#isClosed) return;
    const roots = await this.#options.list();
    const known = new Set(this.#options.authorities.remotes.map(({ cluster }) => cluster));
    const wanted = roots.filter(({ cluster }) => known.has(cluster));
    for (const [cluster, agent] of this.#agents) {
      if (wanted.some((root) => root.cluster === cluster)) continue;
      this.#agents.delete(cluster);
      void agent.close();
    }
    if (this.#isClosed) return;
    for (const { cluster, tunnelAddr } of wanted) {
      if (!this.#agents.has(cluster)) this.#agents.set(cluster, this.#dial(cluster, tunnelAddr));
    }
  }

  #dial(cluster: string, tunnelAddr: string): TunnelAgent {
    const { identity, version, log } = this.#options;
    return runTunnel({
      proxies: [{ host: hostOf(tunnelAddr), port: portOf(tunnelAddr)! }],
      identity: new IdentityAt(identity, cluster, () => this.#trustIn(cluster)?.hostCas ?? []),
      hello: () => ({ hostId: identity.hostId, hostname: identity.nodename, version, databases: [] }),
      onConnection: (stream, connection) => void this.#serve(cluster, stream, connection),
      log: log.child('ROOT'),
    });
  }

  #trustIn(cluster: string): RemoteTrust | undefined {
    return this.#options.authorities.remotes.find((one) => one.cluster === cluster);
  }

  /** One connection through a tunnel. Never rejects. */
  async #serve(cluster: string, stream: Duplex, { certificateDer, clientAddr }: TunnelConnection): Promise<void> {
    const { upstream, log } = this.#options;
    const { host: address, port = '0' } = splitHostPort(clientAddr);
    if (certificateDer.length > 0) return await this.#serveDatabase(cluster, stream, { certificateDer, clientAddr });
    try {
      await upstream.forward(stream, { address, port: Number(port) }, cluster);
    } catch (error) {
      log.debug('A connection for Auth was refused.', { from: clientAddr, error: messageOf(error) });
      stream.destroy();
    }
  }

  async #serveDatabase(cluster: string, stream: Duplex, connection: TunnelConnection): Promise<void> {
    const { tunnels, rights, authorities, log } = this.#options;
    const cut = new AbortController();
    try {
      const peer = this.#verified(cluster, connection);
      const identity = remoteIdentity(peer.identity, []);
      const refusal = rights.refusal({ identity });
      if (refusal !== undefined) throw new TeleportError('AccessDenied', `access denied: ${refusal}`);
      const agent = await tunnels.open(identity.routeToDatabase?.serviceName ?? '', connection);
      const isBelieved = () => believes(authorities, peer);
      const holder = { identity, serverId: tunnels.hostOf(agent), isBelieved, ifNotBelieved: trustEnded(cluster) };
      using _rights = endWithRight(rights, holder, cut);
      await relay(stream, agent, { signal: cut.signal, lastWords: lastWords() });
    } catch (error) {
      hangUp(stream, encodeError(error));
      log.info('A database connection was refused.', { from: connection.clientAddr, error: messageOf(error) });
    }
  }

  /** The root has seen the proof of the key; that the certificate is of its users, and for us, is seen here. */
  #verified(cluster: string, { certificateDer, clientAddr }: TunnelConnection): Bearer {
    const { identity: own, now } = this.#options;
    const trust = this.#trustIn(cluster);
    const peer = bearerOf(certificateDer, {
      hostCas: [],
      userCas: [],
      remotes: trust ? [{ ...trust, hostCas: [] }] : [],
      clusterName: own.clusterName,
      now: now(),
    });
    checkUsage(peer.identity, 'databases');
    checkPinnedIp(peer.identity.pinnedIp, splitHostPort(clientAddr).host);
    const { routeToCluster } = peer.identity;
    if (routeToCluster === own.clusterName) return peer;
    throw new TeleportError(
      'AccessDenied',
      `access denied: the certificate is for cluster ${JSON.stringify(routeToCluster)}`,
    );
  }
}

/** Our own certificate, shown to another cluster whose authorities are believed in place of ours. */
class IdentityAt implements HostIdentity {
  readonly #own: HostIdentity;
  readonly #hostCas: () => readonly string[];
  readonly clusterName: string;

  constructor(own: HostIdentity, clusterName: string, hostCas: () => readonly string[]) {
    this.#own = own;
    this.clusterName = clusterName;
    this.#hostCas = hostCas;
  }

  get hostId() {
    return this.#own.hostId;
  }
  get role() {
    return this.#own.role;
  }
  get nodename() {
    return this.#own.nodename;
  }
  get certPem() {
    return this.#own.certPem;
  }
  get keyPem() {
    return this.#own.keyPem;
  }
  get hostCaPems() {
    return [...this.#hostCas()];
  }
}
