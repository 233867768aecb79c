/** Auth's settings as the web API needs them: asked for now and then, and the last answer stands in while Auth is away. */
import type { AuthClient } from '../api/client.js';
import { AuthPreferenceSpecV2Schema } from '../api/gen/types_pb.js';
import { create } from '../api/protobuf.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { ClusterSettings } from './web/ping.js';

/** Of `proxy_listener_mode`. */
const SEPARATE = 0;

/** @param ttlMs  Auth is asked at most once in this time */
export function cachedSettings(
  auth: Pick<AuthClient, 'auth'>,
  ttlMs: number,
  log: Logger,
): () => Promise<ClusterSettings> {
  let known: ClusterSettings | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<ClusterSettings> | undefined;
  const ask = async (): Promise<ClusterSettings> => {
    try {
      const [{ spec }, networking] = await Promise.all([
        auth.auth.getAuthPreference({}),
        auth.auth.getClusterNetworkingConfig({}),
      ]);
      const tlsRouting = networking.spec?.proxyListenerMode !== SEPARATE;
      known = { preference: spec ?? create(AuthPreferenceSpecV2Schema), tlsRouting };
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
