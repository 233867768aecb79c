/**
 * Rotates authorities: when somebody asks, and by itself where a rotation is automatic. Each step is recorded before it is
 * made, one after the other.
 */
import { parseDurationMs } from '../duration.js';
import { messageOf, TeleportError } from '../errors.js';
import { CA_TYPES, type CaType } from '../resources/types.js';
import { atMoment } from '../wait.js';
import { newCaKeys } from './ca.js';
import { recorded } from './recorded.js';
import { nextStep, type RotationRequest, rotated } from './rotation.js';
import type { AuthState } from './state.js';

/** How long an automatic rotation takes unless somebody says so: Teleport's longest life of a certificate. */
export const DEFAULT_GRACE_MS = parseDurationMs('30h');

/** In which every host that is connected can follow each phase. Our own. */
const LEAST_HOST_GRACE_MS = 300_000;

/** Before a step that failed is tried again. Our own. */
const AGAIN_MS = 60_000;

export class Rotator {
  readonly #state: AuthState;
  /** Takes the next step of each authority back. */
  readonly #steps = new Map<CaType, () => void>();
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(state: AuthState) {
    this.#state = state;
    for (const type of CA_TYPES) this.#await(type);
  }

  /**
   * @param by  who asks, for the record
   * @throws BadParameter where the phase does not follow on that of now, and for hosts without a grace period
   */
  async rotate(type: CaType, request: Omit<RotationRequest, 'now'>, by: string): Promise<void> {
    const begins = (request.targetPhase || 'init') === 'init';
    const isTooShort = request.graceMs === 0 || (request.mode === 'auto' && request.graceMs < LEAST_HOST_GRACE_MS);
    // Every host would be cut off, this one included, and join anew with a token.
    if (type === 'host' && begins && isTooShort) {
      const text =
        'the authority of hosts needs a grace period of five minutes at least: hosts fetch new certificates in it';
      throw new TeleportError('BadParameter', text);
    }
    const mine = this.#last.then(() => this.#step(type, request, by));
    this.#last = mine.catch(() => {});
    await mine;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const takeBack of this.#steps.values()) takeBack();
    await this.#last;
  }

  async #step(type: CaType, request: Omit<RotationRequest, 'now'>, by: string): Promise<void> {
    const state = this.#state;
    const { clusterName, authorities, now, log } = state;
    const suite = state.settings.preference.spec.signature_algorithm_suite;
    const { stored } = authorities.get(type);
    const newKeys = () => newCaKeys(type, { clusterName, suite, now });
    const changed = await rotated(stored, { ...request, now: now() }, newKeys);
    const { phase } = changed.spec.rotation ?? {};
    await recorded(state, ['cert_authority.rotate', { name: type, user: by, phase, mode: request.mode }], () =>
      authorities.replace(changed),
    );
    log.info('An authority is being rotated.', { type, phase });
    this.#await(type);
  }

  /** Have the next step of an automatic rotation made when it is due. */
  #await(type: CaType, notBefore = new Date(0)): void {
    this.#steps.get(type)?.();
    this.#steps.delete(type);
    const next = nextStep(this.#state.authorities.get(type).stored);
    if (!next || this.#isClosed) return;
    const { now, log } = this.#state;
    const at = next.at < notBefore ? notBefore : next.at;
    const make = () => {
      const request = { targetPhase: next.phase, mode: 'auto', graceMs: DEFAULT_GRACE_MS };
      this.rotate(type, request, 'system').catch((error: unknown) => {
        log.error('A step of a rotation failed, trying again.', { type, phase: next.phase, error: messageOf(error) });
        this.#await(type, new Date(now().getTime() + AGAIN_MS));
      });
    };
    this.#steps.set(type, atMoment(at, now, make));
  }
}
