/**
 * At a leaf: the lines to the Auth Services of its roots. On each a root says its authorities, its locks and who was ended,
 * and hears our authority of hosts. What it has said stays in force while a line is down.
 */
import type { AuthClient } from '../api/client.js';
import { fromMessages, toMessage } from '../api/convert.js';
import { openAuth } from '../api/dial.js';
import type { WatchRootResponse } from '../api/gen/internal_pb.js';
import { messageOf } from '../errors.js';
import { hostOf, portOf } from '../host-port.js';
import type { Logger } from '../log.js';
import { TRUST_ROLES } from '../resources/system-role.js';
import type { CertAuthority, Lock } from '../resources/types.js';
import { rest } from '../wait.js';
import { checkedAuthorities } from './checked-authorities.js';
import { issueHostIdentity } from './host-certs.js';
import { KeptWords } from './kept-words.js';
import type { AuthState } from './state.js';
import { type RemoteUser, type RootNews, type RootWord, remoteLocksKey } from './trust.js';

export class Roots implements RootNews {
  readonly #links = new Map<string, RootLink>();
  readonly #listeners = new Set<(cluster: string) => void>();
  readonly #vars: Record<string, string | undefined>;
  #state: AuthState | undefined;
  #isClosed = false;

  /** @param vars  environment */
  constructor(vars: Record<string, string | undefined>) {
    this.#vars = vars;
  }

  /** Follow every root that is on, from now until `close`. */
  async begin(state: AuthState): Promise<void> {
    this.#state = state;
    state.authorities.onChange((changed) => {
      // Ours: the roots have to hear of it, and our certificate is of the old one.
      if (changed === 'host') for (const link of this.#links.values()) link.redial();
      if (changed === 'remote') void this.#settle();
    });
    await this.#settle();
  }

  async ask(user: RemoteUser): Promise<RootWord | undefined> {
    return await this.#links.get(user.teleportCluster)?.ask(user);
  }

  isSilent(cluster: string): boolean {
    return this.#links.get(cluster)?.isSilent ?? false;
  }

  onUserChanged(listener: (cluster: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  /** Lines to exactly those roots that are on. */
  async #settle(): Promise<void> {
    const state = this.#state!;
    const wanted = (await state.trustedClusters.list()).filter(({ metadata: { name } }) =>
      state.authorities.remotes.isOn(name),
    );
    if (this.#isClosed) return;
    const names = new Set(wanted.map(({ metadata }) => metadata.name));
    for (const [name, link] of this.#links) {
      if (names.has(name)) continue;
      this.#links.delete(name);
      void link.close();
    }
    for (const { metadata, spec } of wanted) {
      if (this.#links.has(metadata.name)) continue;
      const tell = () => {
        for (const listener of this.#listeners) listener(metadata.name);
      };
      const options = { state, vars: this.#vars, onUserChanged: tell };
      this.#links.set(metadata.name, new RootLink(metadata.name, spec.web_proxy_addr, options));
    }
  }
}

interface LinkOptions {
  state: AuthState;
  vars: Record<string, string | undefined>;
  onUserChanged: () => void;
}

const FIRST_PAUSE_MS = 500;
/** Locks of the root are not heard meanwhile. */
const LONGEST_PAUSE_MS = 5_000;
/** A root says a word every few seconds. */
const SILENCE_MS = 15_000;
const ASK_TIMEOUT_MS = 3_000;

class RootLink {
  readonly #cluster: string;
  readonly #address: string;
  readonly #options: LinkOptions;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** Of the users whose certificates were asked about; forgotten with a change and with the line. */
  readonly #answers = new KeptWords<Promise<RootWord | undefined>>();
  #attempt = new AbortController();
  /** On the clock of `performance.now()`. */
  #heardAt = performance.now();
  #client: AuthClient | undefined;

  constructor(cluster: string, address: string, options: LinkOptions) {
    this.#cluster = cluster;
    this.#address = address;
    this.#options = options;
    this.#log = options.state.log.child('TRUST');
    this.#running = this.#run();
  }

  get isSilent(): boolean {
    return performance.now() - this.#heardAt > SILENCE_MS;
  }

  /** Begin a new line: what this one was begun with is out of date. */
  redial(): void {
    this.#attempt.abort();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#attempt.abort();
    await this.#running;
  }

  async ask({ username, userGeneration = '' }: RemoteUser): Promise<RootWord | undefined> {
    const client = this.#client;
    if (!client) return undefined;
    return await this.#answers.of(username, userGeneration, () => this.#ask(client, username, userGeneration));
  }

  async #ask(client: AuthClient, user: string, userGeneration: string): Promise<RootWord | undefined> {
    try {
      const asked = { user, userGeneration };
      const { reason, madeAt } = await client.trustLink.getEnding(asked, { timeoutMs: ASK_TIMEOUT_MS });
      const time = Date.parse(madeAt);
      return { ...(reason ? { ended: reason } : {}), ...(Number.isNaN(time) ? {} : { madeAt: new Date(time) }) };
    } catch (error) {
      this.#log.warn('A root does not say whether a certificate counts.', { error: messageOf(error) });
      this.#answers.forget(user);
      return undefined;
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      this.#attempt = new AbortController();
      try {
        await this.#follow(this.#attempt.signal, () => {
          failures = 0;
        });
      } catch (error) {
        const fields = { cluster: this.#cluster, error: messageOf(error) };
        if (!this.#attempt.signal.aborted) this.#log.warn('Cannot follow the root cluster, trying again.', fields);
      }
      if (this.#attempt.signal.aborted) continue;
      await rest(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures++, 10)), signal);
    }
  }

  async #follow(signal: AbortSignal, onHeard: () => void): Promise<void> {
    const client = await this.#open(signal);
    const silence = setTimeout(() => this.redial(), SILENCE_MS).unref();
    try {
      const { resource } = this.#options.state.authorities.get('host');
      await client.trustLink.offerAuthority({ hostAuthority: toMessage('cert_authority', resource) }, { signal });
      for await (const said of client.trustLink.watchRoot({}, { signal, timeoutMs: 0 })) {
        silence.refresh();
        this.#heardAt = performance.now();
        onHeard();
        await this.#hear(said);
        this.#client = client;
      }
    } finally {
      clearTimeout(silence);
      this.#client = undefined;
      this.#answers.clear();
      await client.close();
    }
  }

  async #open(signal: AbortSignal): Promise<AuthClient> {
    const { state, vars } = this.#options;
    const names = { nodename: state.nodename, additionalPrincipals: [], dnsNames: [] };
    const { certPem, keyPem } = await issueHostIdentity(state, { role: TRUST_ROLES.link, ...names });
    const trust = state.authorities.remotes.trusts.find(({ cluster }) => cluster === this.#cluster);
    const credentials = { clusterName: this.#cluster, hostCaPems: trust?.hostCas ?? [], certPem, keyPem };
    const [host, port] = [hostOf(this.#address), portOf(this.#address)!];
    const options = { version: state.version, product: 'teleport', signal };
    return openAuth({ kind: 'proxy', host, port, vars }, credentials, options);
  }

  async #hear(said: WatchRootResponse): Promise<void> {
    if (!said.same && said.changedUser === '') {
      await this.#keepAuthorities(fromMessages('cert_authority', said.certificateAuthorities));
      await this.#keepLocks(fromMessages('lock', said.locks));
    }
    if (said.changedUser === '') return;
    this.#answers.forget(said.changedUser);
    this.#options.onUserChanged();
  }

  async #keepAuthorities(given: readonly CertAuthority[]): Promise<void> {
    const { remotes } = this.#options.state.authorities;
    const { cluster, authorities } = checkedAuthorities(given, ['host', 'user']);
    if (cluster !== this.#cluster) throw new Error(`the root says that it is ${JSON.stringify(cluster)}`);
    // Removed or switched off meanwhile: what comes late must not bring it back.
    await remotes.change(cluster, async (remote) => {
      if (remote.known?.isOn) await remote.put(authorities);
    });
  }

  async #keepLocks(locks: Lock[]): Promise<void> {
    const { store, authorities } = this.#options.state;
    const key = remoteLocksKey(this.#cluster);
    const text = JSON.stringify(locks);
    await authorities.remotes.change(this.#cluster, async ({ known }) => {
      if (!known?.isOn || (await store.get(key))?.value === text) return;
      await store.put(key, text);
    });
  }
}
