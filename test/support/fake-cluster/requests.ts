/** Access requests of the fake cluster: one requestable role, one database that can only be asked for; the test decides. */
import { EventEmitter, once } from 'node:events';
import { type Methods, method, Refusal, STATUS } from './grpc.js';
import { type AccessRequest, SERVICE, TABLES, timestamp } from './messages.js';
import type { Message } from './protobuf.js';

export const REQUESTABLE_ROLE = 'prod-dba';

export interface FakeRequests {
  methods: Methods;
  all: Map<string, AccessRequest>;
  /** Lists are answered when this is over. */
  held?: Promise<void> | undefined;
  /** Answer of `GetAccessCapabilities`. */
  capabilities: Message<typeof TABLES.capabilities>;
  /** Decide the newest request; one that somebody waits for is told. `deleted` removes it. */
  decide(state: 'approved' | 'denied' | 'deleted', reason?: string): void;
  /** Cut the streams of events, as a server that goes away. Resolves when somebody waits again. */
  cut(): Promise<void>;
  /** Resolves when somebody waits for events. */
  watched(): Promise<void>;
  approved(ids: readonly string[]): AccessRequest[];
}

type Change = Message<typeof TABLES.event>;

export function fakeRequests(options: { now: () => Date; calls: string[] }): FakeRequests {
  const { now, calls } = options;
  const all = new Map<string, AccessRequest>();
  const events = new EventEmitter();
  let watchers = 0;
  const { auth } = SERVICE;
  const fake: FakeRequests = {
    all,
    capabilities: {},
    approved: (ids) => ids.flatMap((id) => all.get(id) ?? []).filter(({ spec }) => spec?.state === 2),
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
        all.delete(request.metadata!.name!);
        events.emit('change', { type: 2, header: { metadata: request.metadata! } } satisfies Change);
        return;
      }
      request.spec!.state = state === 'approved' ? 2 : 3;
      request.spec!.resolveReason = reason;
      events.emit('change', { type: 1, accessRequest: request } satisfies Change);
    },
    methods: {
      [`${auth}GetAccessCapabilities`]: method(TABLES.empty, TABLES.capabilities, () => {
        calls.push('GetAccessCapabilities');
        return fake.capabilities;
      }),
      [`${auth}CreateAccessRequestV2`]: method(TABLES.accessRequest, TABLES.accessRequest, (request) => {
        calls.push('CreateAccessRequestV2');
        const role = request.spec!.roles?.find((one) => one !== REQUESTABLE_ROLE && one !== '*');
        if (role) throw new Refusal(STATUS.invalidArgument, `user "alice" can not request role "${role}"`);
        const end = timestamp(new Date(now().getTime() + 12 * 3_600_000));
        const made: AccessRequest = {
          ...request,
          // The server gives the name.
          metadata: { name: `0000000${all.size + 1}-aaaa-7bbb-8ccc-dddddddddddd` },
          spec: {
            ...request.spec,
            roles: [REQUESTABLE_ROLE],
            state: 1,
            created: timestamp(now()),
            expires: end,
            expiry: end,
          },
        };
        all.set(made.metadata!.name!, made);
        return made;
      }),
      [`${auth}SubmitAccessReview`]: method(
        TABLES.reviewSubmission,
        TABLES.accessRequest,
        ({ id = '', review = {} }) => {
          calls.push('SubmitAccessReview');
          const request = all.get(id);
          if (!request) {
            throw new Refusal(STATUS.notFound, `cannot apply review to access request "${id}" (not found)`);
          }
          const spec = request.spec!;
          if (spec.reviews?.some(({ author }) => author === review.author)) {
            throw new Refusal(STATUS.permissionDenied, `user "${review.author}" has already reviewed this request`);
          }
          spec.reviews = [...(spec.reviews ?? []), review];
          spec.state = review.proposedState!;
          return request;
        },
      ),
      [`${auth}GetAccessRequestsV2`]: method(
        TABLES.accessRequestFilter,
        TABLES.accessRequest,
        async function* ({ id, user }) {
          calls.push('GetAccessRequestsV2');
          await fake.held;
          for (const one of all.values()) {
            if ((!id || one.metadata!.name === id) && (!user || one.spec!.user === user)) yield one;
          }
        },
      ),
      [`${auth}WatchEvents`]: method(TABLES.empty, TABLES.event, async function* (_, signal): AsyncGenerator<Change> {
        calls.push('WatchEvents');
        const changes = on(events, signal);
        watchers += 1;
        yield { type: 0 };
        events.emit('watched');
        try {
          for await (const change of changes) {
            if (change === 'cut') throw new Refusal(STATUS.unavailable, 'the server is going away');
            yield change;
          }
        } finally {
          watchers -= 1;
        }
      }),
    },
  };
  return fake;
}

/** Changes from now on, none missed; ends with the call. */
async function* on(events: EventEmitter, signal: AbortSignal): AsyncGenerator<Change | 'cut'> {
  const queue: (Change | 'cut')[] = [];
  const push = (change: Change | 'cut') => {
    queue.push(change);
    events.emit('pushed');
  };
  events.on('change', push);
  try {
    while (!signal.aborted) {
      if (queue.length === 0) await once(events, 'pushed', { signal }).catch(() => {});
      while (queue.length > 0) yield queue.shift()!;
    }
  } finally {
    events.off('change', push);
  }
}
