/** What Database Services ask of Auth, by a service of our own (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { DatabaseAgent } from '../../api/gen/internal_pb.js';
import { TeleportError } from '../../errors.js';
import { keyOf } from '../../store/store.js';
import { networkingConfig } from '../settings.js';
import type { AuthState } from '../state.js';
import { requireHost, rolesOf, whoCalls } from '../who.js';

/** Events an agent may report: those of sessions it carried. Anything else would let it write other people's history. */
const AGENT_EVENTS = /^(db\.session\.|client\.disconnect$)/;

export function databaseAgentHandlers(state: AuthState): Partial<ServiceImpl<typeof DatabaseAgent>> {
  const asAgent = async (context: HandlerContext) =>
    requireHost(await whoCalls(state, context.values.get(callerKey)), 'Db');
  return {
    getSessionAccess: async (request, context) => {
      await asAgent(context);
      const user = await state.users.get(request.user);
      const roles = user ? await rolesOf(state, request.roles) : [];
      return {
        roles: roles.map((role) => toMessage('role', role)),
        locks: (await state.locks.list()).map((lock) => toMessage('lock', lock)),
        userExists: user !== undefined,
        authPreference: toMessage('cluster_auth_preference', state.preference),
        networkingConfig: toMessage('cluster_networking_config', networkingConfig(state)),
      };
    },
    emitAuditEvents: async ({ events }, context) => {
      await asAgent(context);
      await state.audit.append(events.map(agentEvent));
      return {};
    },
    async *watchLocks(_, context) {
      await asAgent(context);
      const changes = state.store.watch(`${keyOf('lock')}/`, context.signal);
      const all = async () => ({ locks: (await state.locks.list()).map((lock) => toMessage('lock', lock)) });
      yield await all();
      for await (const _change of changes) yield await all();
    },
    async *watchDatabases(_, context) {
      await asAgent(context);
      const folder = `${keyOf('db')}/`;
      const changes = state.store.watch(folder, context.signal);
      const all = await state.databases.list();
      yield { initial: true, put: all.map((database) => toMessage('db', database)) };
      for await (const change of changes) {
        const name = decodeURIComponent(change.key.slice(folder.length));
        const database = change.type === 'put' ? await state.databases.get(name) : undefined;
        if (database) yield { put: [toMessage('db', database)] };
        else yield { deleted: [name] };
      }
    },
  };
}

function agentEvent(text: string): object {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    throw new TeleportError('BadParameter', 'an audit event is not JSON');
  }
  const name = (event as { event?: unknown } | null)?.event;
  if (typeof event !== 'object' || event === null || typeof name !== 'string' || !AGENT_EVENTS.test(name)) {
    throw new TeleportError('BadParameter', 'this audit event cannot come from a database service');
  }
  return event;
}
