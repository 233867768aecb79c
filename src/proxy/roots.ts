/** At a leaf: the tunnels to the Proxies of its roots. What comes through them: `root-visitors.ts`. */
import type { HostIdentity } from '../api/host-identity.js';
import { messageOf } from '../errors.js';
import { hostOf, portOf } from '../host-port.js';
import type { RemoteTrust } from '../identity/bearer.js';
import type { Logger } from '../log.js';
import { runTunnel, type TunnelAgent } from '../tunnel/agent.js';
import type { TrustedAuthorities } from './authorities.js';
import type { RootVisitors } from './root-visitors.js';

export interface RootTunnelsOptions {
  /** Of this Proxy, as it is at each moment. */
  identity: HostIdentity;
  authorities: Pick<TrustedAuthorities, 'remotes'>;
  /** Who serves what comes through them. */
  visitors: Pick<RootVisitors, 'serve'>;
  /** Which roots there are, as Auth says it. */
  list: () => Promise<{ cluster: string; tunnelAddr: string }[]>;
  version: string;
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
    const { identity, version, visitors, log } = this.#options;
    return runTunnel({
      proxies: [{ host: hostOf(tunnelAddr), port: portOf(tunnelAddr)! }],
      identity: new IdentityAt(identity, cluster, () => this.#trustIn(cluster)?.hostCas ?? []),
      hello: () => ({ hostId: identity.hostId, hostname: identity.nodename, version, databases: [] }),
      onConnection: (stream, connection) => void visitors.serve(cluster, stream, connection),
      log: log.child('ROOT'),
    });
  }

  #trustIn(cluster: string): RemoteTrust | undefined {
    return this.#options.authorities.remotes.find((one) => one.cluster === cluster);
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
