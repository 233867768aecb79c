/** Join tokens and locks: the messages of these methods. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { AuthService } from '../../api/gen/authservice_pb.js';
import { checkCount, checkWords } from '../asked-words.js';
import { requireRule } from '../rules.js';
import type { AuthState } from '../state.js';
import * as tokens from '../tokens.js';
import { whoCalls } from '../who.js';
import { written } from './written.js';

export function tokenHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    getToken: async ({ name }, context) => toMessage('token', await tokens.getToken(state, await whoOf(context), name)),
    getTokens: async (_, context) => {
      const { items } = await tokens.listTokens(state, await whoOf(context), 0, '');
      const all = [...tokens.staticTokens(state), ...items];
      return { provisionTokens: all.map((token) => toMessage('token', token)) };
    },
    getStaticTokens: async (_, context) => {
      // Static tokens have no rule of their own.
      requireRule(await whoOf(context), 'token', 'list', 'read');
      return {
        kind: 'static_tokens',
        version: 'v2',
        metadata: { name: 'static-tokens', namespace: 'default' },
        spec: { staticTokens: state.staticTokens.map(({ token, roles }) => ({ token, roles })) },
      };
    },
    listProvisionTokens: async ({ limit, startKey, filterRoles }, context) => {
      checkWords('FilterRoles', filterRoles);
      const { items, next } = await tokens.listTokens(state, await whoOf(context), limit, startKey);
      const shown = items.filter(
        ({ spec }) => filterRoles.length === 0 || spec.roles.some((role) => filterRoles.includes(role)),
      );
      return { tokens: shown.map((token) => toMessage('token', token)), nextKey: next };
    },
    createTokenV2: async ({ token }, context) => {
      await tokens.createToken(state, await whoOf(context), written('token', token.value, context));
      return {};
    },
    upsertTokenV2: async ({ token }, context) => {
      await tokens.upsertToken(state, await whoOf(context), written('token', token.value, context));
      return {};
    },
    deleteToken: async ({ name }, context) => {
      await tokens.deleteToken(state, await whoOf(context), name);
      return {};
    },
    getLock: async ({ name }, context) => toMessage('lock', await tokens.getLock(state, await whoOf(context), name)),
    getLocks: async ({ targets, inForceOnly }, context) => {
      checkCount('Targets', targets.length);
      const wanted = targets.map((target) => ({
        user: target.user,
        role: target.role,
        login: target.login,
        mfa_device: target.mfaDevice,
        access_request: target.accessRequest,
        server_id: target.serverId,
      }));
      const locks = await tokens.listLocks(state, await whoOf(context), wanted, inForceOnly);
      return { locks: locks.map((lock) => toMessage('lock', lock)) };
    },
    upsertLock: async (request, context) => {
      await tokens.upsertLock(state, await whoOf(context), written('lock', request, context));
      return {};
    },
    deleteLock: async ({ name }, context) => {
      await tokens.deleteLock(state, await whoOf(context), name);
      return {};
    },
  };
}
