/** Access requests of a fake cluster: one requestable role, one database that can only be asked for; the test decides. */
import { EventEmitter, once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../src/api/gen/authservice_pb.js';
import { type AccessRequestV3, AccessRequestV3Schema, MetadataSchema } from '../../src/api/gen/types_pb.js';
import { timestampOfDate } from '../../src/api/time.js';

export const REQUESTABLE_ROLE = 'prod-dba';

export interface FakeRequests {
  handlers: Partial<ServiceImpl<typeof AuthService>>;
  all: Map<string, AccessRequestV3>;
  /** Lists are answered when this is over. */
  held?: Promise<void> | undefined;
  /** Answer of `GetAccessCapabilities`. */
  capabilities: { requireReason?: boolean; autoRequest?: boolean; requestPrompt?: string };
  /** Decide the newest request; one that somebody waits for is told. `deleted` removes it. */
  decide(state: 'approved' | 'denied' | 'deleted', reason?: string): void;
  /** Cut the streams of events, as a server that goes away. Resolves when somebody waits again. */
  cut(): Promise<void>;
  /** Resolves when somebody waits for events. */
  watched(): Promise<void>;
  approved(ids: readonly string[]): AccessRequestV3[];
}

export function fakeRequests(options: { now: () => Date; calls: string[] }): FakeRequests {
  const { now, calls } = options;
  const all = new Map<string, AccessRequestV3>();
  const events = new EventEmitter();
  let watchers = 0;
  const fake: FakeRequests = {
    all,
    capabilities: {},
    approved: (ids) => ids.map((id) => all.get(id)).filter((one) => one?.spec?.state === 2) as AccessRequestV3[],
    async cut() {
      const again = once(events, 'watched');
      events.emit('change', 'cut');
      await again;
    },
    async watched() {
      while (watchers === 0) await once(events, 'watched');
    },
    decide(state, reason = '') {
      const request = [...all.values()].at(-1)!;
      if (state === 'deleted') {
        all.delete(request.metadata!.name);
        events.emit('change', { type: 2, resource: { case: 'resourceHeader', value: { metadata: request.metadata } } });
        return;
      }
      request.spec!.state = state === 'approved' ? 2 : 3;
      request.spec!.resolveReason = reason;
      events.emit('change', { type: 1, resource: { case: 'accessRequest', value: request } });
    },
    handlers: {
      getAccessCapabilities() {
        calls.push('GetAccessCapabilities');
        return fake.capabilities;
      },
      createAccessRequestV2(request) {
        calls.push('CreateAccessRequestV2');
        const role = request.spec!.roles.find((one) => one !== REQUESTABLE_ROLE && one !== '*');
        if (role) throw new ConnectError(`user "alice" can not request role "${role}"`, Code.InvalidArgument);
        const end = timestampOfDate(new Date(now().getTime() + 12 * 3_600_000));
        const made = create(AccessRequestV3Schema, {
          ...request,
          // The server gives the name.
          metadata: create(MetadataSchema, { name: `0000000${all.size + 1}-aaaa-7bbb-8ccc-dddddddddddd` }),
          spec: {
            ...request.spec!,
            roles: [REQUESTABLE_ROLE],
            state: 1,
            created: timestampOfDate(now()),
            expires: end,
            expiry: end,
          },
        });
        all.set(made.metadata!.name, made);
        return made;
      },
      submitAccessReview({ id, review }) {
        calls.push('SubmitAccessReview');
        const request = all.get(id);
        if (!request)
          throw new ConnectError(`cannot apply review to access request "${id}" (not found)`, Code.NotFound);
        if (request.spec!.reviews.some(({ author }) => author === review!.author)) {
          throw new ConnectError(`user "${review!.author}" has already reviewed this request`, Code.PermissionDenied);
        }
        request.spec!.reviews.push(review!);
        request.spec!.state = review!.proposedState;
        return request;
      },
      async *getAccessRequestsV2({ id, user }) {
        calls.push('GetAccessRequestsV2');
        await fake.held;
        for (const one of all.values()) {
          if ((!id || one.metadata!.name === id) && (!user || one.spec!.user === user)) yield one;
        }
      },
      async *watchEvents(_, { signal }) {
        calls.push('WatchEvents');
        const changes = on(events, signal);
        watchers += 1;
        yield { type: 0 };
        events.emit('watched');
        try {
          for await (const change of changes) {
            if (change === 'cut') throw new ConnectError('the server is going away', Code.Unavailable);
            yield change as never;
          }
        } finally {
          watchers -= 1;
        }
      },
    },
  };
  return fake;
}

/** Changes from now on, none missed; ends with the call. */
async function* on(events: EventEmitter, signal: AbortSignal): AsyncGenerator<unknown> {
  const queue: unknown[] = [];
  const push = (change: unknown) => {
    queue.push(change);
    events.emit('pushed');
  };
  events.on('change', push);
  try {
    while (!signal.aborted) {
      if (queue.length === 0) await once(events, 'pushed', { signal }).catch(() => {});
      while (queue.length > 0) yield queue.shift();
    }
  } finally {
    events.off('change', push);
  }
}
