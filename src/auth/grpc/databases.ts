/** Databases and the servers that offer them: the messages of these methods. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { fromMessage, toMessage } from '../../api/convert.js';
import type { AuthService } from '../../api/gen/authservice_pb.js';
import { KeepAliveSchema } from '../../api/gen/types_pb.js';
import { create } from '../../api/protobuf.js';
import { timestampOfDate, timestampToDate } from '../../api/time.js';
import { TeleportError } from '../../errors.js';
import { Slices } from '../../slices.js';
import * as databases from '../databases.js';
import { listServers } from '../list-resources.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';
import { must, written } from './written.js';

/** `KeepAlive.KeepAliveType`. */
const KEEP_ALIVE_DATABASE = 3;

export function databaseHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    listResources: async (request, context) => {
      const { items, next, total } = await listServers(state, requireSomebody(await whoOf(context)), {
        resourceType: request.resourceType,
        limit: request.limit,
        startKey: request.startKey,
        labels: request.labels,
        predicate: request.predicateExpression,
        keywords: request.searchKeywords,
        isDescending: request.sortBy?.isDesc ?? false,
      });
      const slices = new Slices();
      const resources = [];
      for (const server of items) {
        await slices.next();
        resources.push({ resource: { case: 'databaseServer' as const, value: toMessage('db_server', server) } });
      }
      return {
        resources,
        nextKey: next,
        totalCount: request.needTotalCount ? total : 0,
      };
    },
    upsertDatabaseServer: async (request, context) => {
      const server = fromMessage('db_server', must(request.server, 'Server'));
      const expires = await databases.upsertServer(state, await whoOf(context), server);
      const { name } = server.metadata;
      return create(KeepAliveSchema, {
        name,
        namespace: 'default',
        expires: timestampOfDate(expires),
        type: KEEP_ALIVE_DATABASE,
        hostId: server.spec.host_id,
      });
    },
    deleteDatabaseServer: async ({ hostId, name }, context) => {
      await databases.deleteServer(state, await whoOf(context), hostId, name);
      return {};
    },
    sendKeepAlives: async (stream, context) => {
      const who = await whoOf(context);
      for await (const { hostId, name, type, expires } of stream) {
        if (type !== KEEP_ALIVE_DATABASE) throw new TeleportError('BadParameter', 'only databases are kept alive here');
        await databases.keepServer(state, who, hostId, name, timestampToDate(expires) ?? state.now());
      }
      return {};
    },
    getDatabases: async (_, context) => {
      const { items } = await databases.listDatabases(state, await whoOf(context), 0, '');
      return { databases: items.map((database) => toMessage('db', database)) };
    },
    listDatabases: async ({ pageSize, pageToken }, context) => {
      const { items, next } = await databases.listDatabases(state, await whoOf(context), pageSize, pageToken);
      return { databases: items.map((database) => toMessage('db', database)), nextPageToken: next };
    },
    getDatabase: async ({ name }, context) =>
      toMessage('db', await databases.getDatabase(state, await whoOf(context), name)),
    createDatabase: async (request, context) => {
      await databases.createDatabase(state, await whoOf(context), written('db', request, context));
      return {};
    },
    updateDatabase: async (request, context) => {
      await databases.updateDatabase(state, await whoOf(context), written('db', request, context));
      return {};
    },
    deleteDatabase: async ({ name }, context) => {
      await databases.deleteDatabase(state, await whoOf(context), name);
      return {};
    },
  };
}
