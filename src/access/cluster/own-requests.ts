/** The access requests of a login: each call goes to its root cluster as the person who is logged in. */
import type { Env } from '../../cli/env.js';
import type { AccessRequest, NewAccessRequest, NewReview } from '../../resources/access-request.js';
import type { AccessRequests } from '../access.js';
import type { Login } from '../login/login.js';
import type { RequestsChange } from '../login/reissue.js';
import {
  awaitResolution,
  createAccessRequest,
  findAccessRequest,
  listAccessRequests,
  reviewAccessRequest,
} from './requests.js';

export class OwnRequests implements AccessRequests {
  readonly #env: Env;
  readonly #login: Login;
  readonly #onChange: () => void;

  /** @param onChange  called when the login's roles may be others */
  constructor(env: Env, login: Login, onChange: () => void) {
    this.#env = env;
    this.#login = login;
    this.#onChange = onChange;
  }

  get canTakeUp(): boolean {
    return !this.#login.session.store.isVirtual;
  }

  list(): Promise<AccessRequest[]> {
    return this.#login.withRoot((auth) => listAccessRequests(auth));
  }

  find(id: string): Promise<AccessRequest> {
    return this.#login.withRoot((auth) => findAccessRequest(auth, id));
  }

  create(wish: Omit<NewAccessRequest, 'user'>): Promise<AccessRequest> {
    return this.#login.withRoot((auth) => createAccessRequest(auth, { ...wish, user: this.#login.session.user }));
  }

  review(review: Omit<NewReview, 'author'>): Promise<AccessRequest> {
    return this.#login.withRoot((auth) => reviewAccessRequest(auth, { ...review, author: this.#login.session.user }));
  }

  decided(request: AccessRequest): Promise<AccessRequest> {
    return this.#login.withRoot((auth) => awaitResolution(auth, request, this.#env), { isSilent: true });
  }

  async change(change: RequestsChange): Promise<void> {
    await this.#login.changeRequests(change);
    this.#onChange();
  }
}
