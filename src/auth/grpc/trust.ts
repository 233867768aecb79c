/** Authorities, without their private keys. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { TrustService } from '../../api/gen/trust_pb.js';
import { TeleportError } from '../../errors.js';
import { CA_TYPES, type CaType } from '../../resources/types.js';
import { DEFAULT_GRACE_MS, type Rotator } from '../rotator.js';
import { requireRule } from '../rules.js';
import type { AuthState } from '../state.js';
import { nameOf, requireSomebody, whoCalls } from '../who.js';

export function trustHandlers(state: AuthState, rotator: Rotator): Partial<ServiceImpl<typeof TrustService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  const isKnown = (type: string): type is CaType => (CA_TYPES as readonly string[]).includes(type);
  /** Ours first. */
  const known = (type: CaType) => [state.authorities.get(type).resource, ...state.authorities.remotes.ofType(type)];
  const mayRead = async (context: HandlerContext, includeKey: boolean) => {
    requireRule(requireSomebody(await whoOf(context)), 'cert_authority', 'readnosecrets');
    if (includeKey)
      throw new TeleportError('AccessDenied', 'access denied: private keys of authorities are not given out');
  };
  return {
    getCertAuthority: async ({ type, domain, includeKey }, context) => {
      await mayRead(context, includeKey);
      if (!isKnown(type)) throw new TeleportError('BadParameter', `authority type "${type}" is not supported`);
      const found = known(type).find(({ spec }) => spec.cluster_name === (domain || state.clusterName));
      if (!found) throw new TeleportError('NotFound', `key "${domain}" is not found`);
      return toMessage('cert_authority', found);
    },
    getCertAuthorities: async ({ type, includeKey }, context) => {
      await mayRead(context, includeKey);
      const found = isKnown(type) ? known(type) : [];
      return { certAuthoritiesV2: found.map((authority) => toMessage('cert_authority', authority)) };
    },
    rotateCertAuthority: async ({ type, gracePeriod, targetPhase, mode, schedule }, context) => {
      const who = requireSomebody(await whoOf(context));
      requireRule(who, 'cert_authority', 'create', 'update');
      if (!isKnown(type)) throw new TeleportError('BadParameter', `authority type "${type}" is not supported`);
      if (schedule) throw new TeleportError('NotImplemented', 'a rotation is scheduled by its grace period only');
      const graceMs = gracePeriod ? Number(gracePeriod.seconds) * 1000 + gracePeriod.nanos / 1e6 : DEFAULT_GRACE_MS;
      await rotator.rotate(type, { targetPhase, mode, graceMs }, nameOf(who));
      return {};
    },
  };
}
