/** Auth's settings as the web API needs them: asked for now and then, and the last answer stands in while Auth is away. */
import type { AuthClient } from '../api/client.js';
import { type AuthPreferenceSpecV2, AuthPreferenceSpecV2Schema } from '../api/gen/types_pb.js';
import { create } from '../api/protobuf.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';

/** @param ttlMs  Auth is asked at most once in this time */
export function cachedPreference(
  auth: Pick<AuthClient, 'auth'>,
  ttlMs: number,
  log: Logger,
): () => Promise<AuthPreferenceSpecV2> {
  let known: AuthPreferenceSpecV2 | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<AuthPreferenceSpecV2> | undefined;
  const ask = async (): Promise<AuthPreferenceSpecV2> => {
    try {
      const { spec } = await auth.auth.getAuthPreference({});
      known = spec ?? create(AuthPreferenceSpecV2Schema);
    } catch (error) {
      if (!known) throw error;
      log.warn('Cannot read the settings of the cluster.', { error: messageOf(error) });
    }
    askedAt = performance.now();
    return known;
  };
  return () => {
    if (known && performance.now() - askedAt < ttlMs) return Promise.resolve(known);
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}
