/** Users, their invitations, and roles: the messages of these methods. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { AuthService } from '../../api/gen/authservice_pb.js';
import { RoleV6Schema } from '../../api/gen/types_pb.js';
import { create } from '../../api/protobuf.js';
import { msOfNanos } from '../../duration.js';
import { TeleportError } from '../../errors.js';
import { createUserToken } from '../invites.js';
import { requireRule } from '../rules.js';
import type { AuthState } from '../state.js';
import * as users from '../users.js';
import { nameOf, requireSomebody, whoCalls } from '../who.js';
import { written } from './written.js';

export function userHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    getUser: async ({ name }, context) => toMessage('user', await users.getUser(state, await whoOf(context), name)),
    getCurrentUser: async (_, context) => toMessage('user', await users.currentUser(state, await whoOf(context))),
    async *getCurrentUserRoles(_, context) {
      const who = requireSomebody(await whoOf(context));
      if (who.kind === 'user') for (const role of who.roles) yield toMessage('role', role);
      else yield create(RoleV6Schema, { kind: 'role', version: 'v7', metadata: { name: who.role } });
    },
    async *getUsers(_, context) {
      const who = await whoOf(context);
      let start = '';
      do {
        const { items, next } = await users.listUsers(state, who, 0, start);
        for (const user of items) yield toMessage('user', user);
        start = next;
      } while (start !== '');
    },
    createUser: async (request, context) => {
      await users.createUser(state, await whoOf(context), written('user', request, context));
      return {};
    },
    updateUser: async (request, context) => {
      await users.updateUser(state, await whoOf(context), written('user', request, context));
      return {};
    },
    deleteUser: async ({ name }, context) => {
      await users.deleteUser(state, await whoOf(context), name);
      return {};
    },
    createResetPasswordToken: async ({ name, type, ttl }, context) => {
      const who = await whoOf(context);
      requireRule(who, 'user', 'update');
      return toMessage(
        'user_token',
        await createUserToken(state, { user: name, type, ttlMs: msOfNanos(ttl), by: nameOf(who) }),
      );
    },
    getResetPasswordToken: async ({ tokenId }, context) => {
      requireRule(await whoOf(context), 'user', 'read');
      const token = await state.userTokens.get(tokenId);
      if (token === undefined) throw new TeleportError('NotFound', 'user token not found');
      return toMessage('user_token', token);
    },
    listResetPasswordTokens: async ({ pageSize, pageToken }, context) => {
      requireRule(await whoOf(context), 'token', 'list', 'read');
      const { items, next } = await state.userTokens.page(pageSize, pageToken);
      return { userTokens: items.map((token) => toMessage('user_token', token)), nextPageToken: next };
    },
    getRole: async ({ name }, context) => toMessage('role', await users.getRole(state, await whoOf(context), name)),
    listRoles: async ({ limit, startKey }, context) => {
      const { items, next } = await users.listRoles(state, await whoOf(context), limit, startKey);
      return { roles: items.map((role) => toMessage('role', role)), nextKey: next };
    },
    createRole: async ({ role }, context) =>
      toMessage('role', await users.createRole(state, await whoOf(context), written('role', role, context))),
    updateRole: async ({ role }, context) =>
      toMessage('role', await users.updateRole(state, await whoOf(context), written('role', role, context))),
    upsertRoleV2: async ({ role }, context) =>
      toMessage('role', await users.upsertRole(state, await whoOf(context), written('role', role, context))),
    deleteRole: async ({ name }, context) => {
      await users.deleteRole(state, await whoOf(context), name);
      return {};
    },
  };
}
