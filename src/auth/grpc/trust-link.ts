/** What the Auth Service of a leaf asks of ours (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { fromMessage } from '../../api/convert.js';
import type { TrustLink } from '../../api/gen/internal_pb.js';
import type { AuthState } from '../state.js';
import { requireLeaf, rootFeed, takeHostAuthority, userBehind } from '../trust-link.js';
import { whoCalls } from '../who.js';
import { must } from './written.js';

export function trustLinkHandlers(state: AuthState): Partial<ServiceImpl<typeof TrustLink>> {
  const asLeaf = async (context: HandlerContext) => {
    const leaf = requireLeaf(await whoCalls(state, context.values.get(callerKey)));
    state.leafLimits.called(leaf);
    return leaf;
  };
  return {
    offerAuthority: async ({ hostAuthority }, context) => {
      const leaf = await asLeaf(context);
      await takeHostAuthority(state, leaf, fromMessage('cert_authority', must(hostAuthority, 'HostAuthority')));
      return {};
    },
    async *watchRoot(_, context) {
      using mine = state.watches.begin(`leaf ${await asLeaf(context)}`, context.signal);
      yield* rootFeed(state, mine.signal);
    },
    getEnding: async ({ user, userGeneration }, context) => {
      await asLeaf(context);
      return await userBehind(state, user, userGeneration);
    },
  };
}
