/** The messages of Teleport 18.3.0 that the fake cluster reads and writes: field numbers of its `.proto` files, only those used. */
import type { Message, Table } from './protobuf.js';

const EMPTY = {} as const satisfies Table;
const TIMESTAMP = { seconds: [1, 'int'], nanos: [2, 'int'] } as const satisfies Table;
const LABEL = { key: [1, 'string'], value: [2, 'string'] } as const satisfies Table;
const METADATA = { name: [1, 'string'], labels: [5, LABEL, 'many'] } as const satisfies Table;
const RESOURCE = { kind: [1, 'string'], version: [3, 'string'], metadata: [4, METADATA] } as const satisfies Table;
const VALUES = { values: [1, 'string', 'many'] } as const satisfies Table;
const LABEL_VALUES = {
  values: [1, { key: [1, 'string'], value: [2, VALUES] }, 'many'],
} as const satisfies Table;

const DATABASE = {
  ...RESOURCE,
  spec: [5, { protocol: [1, 'string'], uri: [2, 'string'] }],
} as const satisfies Table;
const DATABASE_SERVER = {
  ...RESOURCE,
  spec: [5, { version: [6, 'string'], hostname: [7, 'string'], hostId: [8, 'string'], database: [12, DATABASE] }],
} as const satisfies Table;
const CONDITIONS = {
  namespaces: [2, 'string', 'many'],
  dbLabels: [11, LABEL_VALUES],
  dbNames: [12, 'string', 'many'],
  dbUsers: [13, 'string', 'many'],
} as const satisfies Table;
const AUTHORITY = {
  spec: [
    5,
    {
      type: [1, 'string'],
      clusterName: [2, 'string'],
      activeKeys: [11, { ssh: [1, { publicKey: [1, 'bytes'] }, 'many'], tls: [2, { cert: [1, 'bytes'] }, 'many'] }],
    },
  ],
} as const satisfies Table;
const REVIEW = { author: [1, 'string'], proposedState: [3, 'int'] } as const satisfies Table;
const ACCESS_REQUEST = {
  ...RESOURCE,
  spec: [
    5,
    {
      user: [1, 'string'],
      roles: [2, 'string', 'many'],
      state: [3, 'int'],
      created: [4, TIMESTAMP],
      expires: [5, TIMESTAMP],
      resolveReason: [7, 'string'],
      reviews: [12, REVIEW, 'many'],
      resourceIds: [14, { cluster: [1, 'string'], kind: [2, 'string'], name: [3, 'string'] }, 'many'],
      expiry: [22, TIMESTAMP],
    },
  ],
} as const satisfies Table;

export type AccessRequest = Message<typeof ACCESS_REQUEST>;

export const TABLES = {
  empty: EMPTY,
  authorities: { authorities: [1, AUTHORITY, 'many'] },
  page: { pageToken: [2, 'string'] },
  remoteClusters: {
    remoteClusters: [1, { ...RESOURCE, status: [5, { connection: [1, 'string'] }] }, 'many'],
    nextPageToken: [2, 'string'],
  },
  user: {
    user: [1, { ...RESOURCE, spec: [5, { roles: [4, 'string', 'many'] }] }],
  },
  resources: { resources: [1, { databaseServer: [1, DATABASE_SERVER] }, 'many'] },
  role: { ...RESOURCE, spec: [5, { allow: [2, CONDITIONS], deny: [3, CONDITIONS] }] },
  headlessId: { id: [1, 'string'], state: [2, 'int'] },
  headless: { user: [2, 'string'], state: [4, 'int'], clientIpAddress: [6, 'string'] },
  certsRequest: {
    username: [2, 'string'],
    expires: [3, TIMESTAMP],
    routeToCluster: [5, 'string'],
    accessRequests: [6, 'string', 'many'],
    routeToDatabase: [
      8,
      { serviceName: [1, 'string'], protocol: [2, 'string'], username: [3, 'string'], database: [4, 'string'] },
    ],
    dropAccessRequests: [15, 'string', 'many'],
    sshPublicKey: [22, 'bytes'],
    tlsPublicKey: [23, 'bytes'],
  },
  certs: { ssh: [1, 'bytes'], tls: [2, 'bytes'] },
  capabilities: { requestPrompt: [4, 'string'], requireReason: [5, 'bool'], autoRequest: [6, 'bool'] },
  accessRequest: ACCESS_REQUEST,
  accessRequestFilter: { id: [1, 'string'], user: [2, 'string'] },
  reviewSubmission: { id: [1, 'string'], review: [2, REVIEW] },
  event: {
    type: [1, 'int'],
    header: [2, RESOURCE],
    accessRequest: [14, ACCESS_REQUEST],
  },
} as const satisfies Record<string, Table>;

export const timestamp = (at: Date) => ({ seconds: Math.floor(at.getTime() / 1000) });

/** Paths of the services. */
export const SERVICE = {
  auth: '/proto.AuthService/',
  trust: '/teleport.trust.v1.TrustService/',
  presence: '/teleport.presence.v1.PresenceService/',
  users: '/teleport.users.v1.UsersService/',
} as const;
