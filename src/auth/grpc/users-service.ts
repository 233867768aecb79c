/** People, by the service that newer clients call; `users.ts` has the methods of the older one. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { UsersService } from '../../api/gen/users_pb.js';
import type { AuthState } from '../state.js';
import * as users from '../users.js';
import { whoCalls } from '../who.js';
import { written } from './written.js';

export function usersHandlers(state: AuthState): Partial<ServiceImpl<typeof UsersService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    getUser: async ({ name, currentUser }, context) => {
      const who = await whoOf(context);
      const user = currentUser ? await users.currentUser(state, who) : await users.getUser(state, who, name);
      return { user: toMessage('user', user) };
    },
    listUsers: async ({ pageSize, pageToken }, context) => {
      const { items, next } = await users.listUsers(state, await whoOf(context), pageSize, pageToken);
      return { users: items.map((user) => toMessage('user', user)), nextPageToken: next };
    },
    createUser: async ({ user }, context) => ({
      user: toMessage('user', await users.createUser(state, await whoOf(context), written('user', user, context))),
    }),
    updateUser: async ({ user }, context) => ({
      user: toMessage('user', await users.updateUser(state, await whoOf(context), written('user', user, context))),
    }),
    upsertUser: async ({ user }, context) => ({
      user: toMessage('user', await users.upsertUser(state, await whoOf(context), written('user', user, context))),
    }),
    deleteUser: async ({ name }, context) => {
      await users.deleteUser(state, await whoOf(context), name);
      return {};
    },
  };
}
