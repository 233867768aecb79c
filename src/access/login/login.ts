/**
 * The login that a command works with, and the calls on its cluster. A command holds one of these from its start to its
 * end; when the certificates run out in between, the login inside is renewed, and whoever asks for `session` gets the new one.
 *
 *     withAuth, withRoot ──> renewing ──> the call
 *                               └─ the login has run out ──> relogin.ts, once ──> the call once more
 */
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { type LoginSession, usableKeys } from '../../profile/session.js';
import type { LoginArgs } from './args.js';
import { type ClusterClient, connectCluster, connectRoot } from './client.js';
import { type RequestsChange, reissueLogin } from './reissue.js';

/** What can be asked of a login. */
export type Login = Pick<ClusterLogin, keyof ClusterLogin>;

export class ClusterLogin {
  readonly #env: Env;
  readonly #args: LoginArgs;
  readonly #deadlineMs: number | undefined;
  #session: LoginSession;
  #client: Promise<ClusterClient> | undefined;
  #renewal: Promise<void> | undefined;

  /** @param deadlineMs  for dialling, and for each answer; default 30 s */
  constructor(env: Env, args: LoginArgs, session: LoginSession, deadlineMs?: number) {
    this.#deadlineMs = deadlineMs;
    this.#env = env;
    this.#args = args;
    this.#session = session;
  }

  /** As it is now; ask anew after each call. */
  get session(): LoginSession {
    return this.#session;
  }

  get isInsecure(): boolean {
    return this.#args.insecure ?? false;
  }

  /** End of the login certificate; PEM of the login's TLS key. @throws LoginNeeded */
  async credentials(): Promise<{ expires: Date; tlsKeyPem: string }> {
    const { tlsKeyPem } = await usableKeys(this.#session, this.#env.now());
    return { tlsKeyPem, expires: this.#session.facts!.tlsExpiresAt };
  }

  /**
   * Call Auth, on one connection that the first call opens.
   *
   * @param work  gets the selected cluster, and the root cluster, which signs the certificates for a leaf too
   */
  async withAuth<T>(work: (auth: AuthClient, root: AuthClient) => Promise<T>): Promise<T> {
    return await this.renewing(async ({ cluster }) => {
      const { api, root } = await this.#connected();
      return await waitingFor(this.#env, `the cluster ${cluster}`, work(api, root));
    });
  }

  /** The same at the root cluster. @param options.isSilent  nothing is printed while it takes, however long that is */
  async withRoot<T>(work: (auth: AuthClient) => Promise<T>, { isSilent = false } = {}): Promise<T> {
    return await this.renewing(async (session) => {
      await using client = await connectRoot(this.#env, session, this.isInsecure);
      const answer = work(client.root);
      return await (isSilent ? answer : waitingFor(this.#env, `the cluster ${session.rootCluster}`, answer));
    });
  }

  /**
   * Work with the login. When it has run out and somebody can be asked, log in again and repeat the work once.
   *
   * @throws the work's own error when nobody can be asked; with an identity file under `cannot relogin …`
   */
  async renewing<T>(work: (session: LoginSession) => Promise<T>): Promise<T> {
    const session = this.#session;
    try {
      return await work(session);
    } catch (error) {
      await this.#renew(session, error);
      return await work(this.#session);
    }
  }

  /** The same login with access requests taken up or given back. */
  async changeRequests(change: RequestsChange): Promise<void> {
    const { cluster } = this.#session;
    await this.#use(await reissueLogin(this.#env, this.#session, { ...change, insecure: this.isInsecure, cluster }));
  }

  async close(): Promise<void> {
    const open = this.#client;
    this.#client = undefined;
    await (await open?.catch(() => undefined))?.close();
  }

  /** After an error: nothing is thrown when the work may be tried again. Calls that fail together wait for one login. */
  async #renew(failed: LoginSession, error: unknown): Promise<void> {
    const { isLoginNeeded, relogin } = await import('./relogin.js');
    if (isLoginNeeded(error)) {
      if (this.#session !== failed) return;
      if (this.#renewal) return await this.#renewal;
    }
    const renewal = relogin(this.#env, this.#args, failed, error).then((next) => this.#use(next));
    if (!isLoginNeeded(error)) return await renewal;
    this.#renewal = renewal.finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  /** New keys and certificates: the connection of the old ones is not used any more. */
  async #use(next: LoginSession): Promise<void> {
    await this.close();
    this.#session = next;
  }

  /** A connection that could not be made is tried anew by the next call. */
  async #connected(): Promise<ClusterClient> {
    const { vars, signal } = this.#env;
    const limits = this.#deadlineMs ? { dialTimeoutMs: this.#deadlineMs, callTimeoutMs: this.#deadlineMs } : {};
    const options = { vars, insecure: this.isInsecure, now: this.#env.now(), signal, ...limits };
    this.#client ??= connectCluster(this.#session, options);
    this.#client.catch(() => {
      this.#client = undefined;
    });
    return await this.#client;
  }
}
