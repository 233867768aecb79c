/**
 * A leaf behind the fake cluster's port: an Auth Service with a host authority of its own that lists one database and
 * signs nothing, as a real leaf does for people of the root cluster.
 */
import type { Duplex } from 'node:stream';
import { createServer, type TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { toMessage } from '../../src/api/convert.js';
import {
  AuthService,
  IsMFARequiredResponseSchema,
  ListResourcesResponseSchema,
} from '../../src/api/gen/authservice_pb.js';
import { GetUserResponseSchema, UsersService } from '../../src/api/gen/users_pb.js';
import { createAuthHttp2Server } from '../../src/api/server.js';
import type { DatabaseServer, Role, User } from '../../src/resources/types.js';
import { createTestCa } from './ca.js';

export interface FakeLeaf {
  hostCaPem: string;
  /** A connection whose ClientHello asks for this leaf. */
  accept(connection: Duplex): void;
  close(): Promise<void>;
}

export async function startFakeLeaf(name: string, calls: string[]): Promise<FakeLeaf> {
  const hostCa = await createTestCa(name);
  const host = await hostCa.issue(['*.teleport.cluster.local']);
  const grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes(router) {
      router.service(UsersService, currentUser);
      router.service(AuthService, {
        ...databaseCalls(`${name}-db`, calls, `${name}: `),
        generateUserCerts() {
          throw new ConnectError('access denied: impersonation is not allowed', Code.PermissionDenied);
        },
      });
    },
  });
  const sockets = new Set<TLSSocket>();
  const tls = createServer({ cert: host.cert, key: host.key, ALPNProtocols: ['h2'] }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    grpc.accept(socket, { remoteAddr: '127.0.0.1:1' });
  });
  tls.on('tlsClientError', () => {});
  return {
    hostCaPem: hostCa.certPem,
    accept: (connection) => tls.emit('connection', connection),
    async close() {
      await grpc.close({ graceMs: 0 });
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** One database, and a role that allows `reader` in it. */
export function databaseCalls(
  database: string,
  calls: string[],
  prefix = '',
): Pick<ServiceImpl<typeof AuthService>, 'listResources' | 'getCurrentUserRoles' | 'isMFARequired'> {
  const server: DatabaseServer = {
    kind: 'db_server',
    version: 'v3',
    metadata: { name: database },
    spec: {
      version: '18.3.0',
      hostname: 'agent',
      host_id: 'agent',
      database: {
        kind: 'db',
        version: 'v3',
        metadata: { name: database, labels: { env: 'dev' } },
        spec: { protocol: 'postgres', uri: 'localhost:5432' },
      },
    },
  };
  return {
    listResources() {
      calls.push(`${prefix}ListResources`);
      return create(ListResourcesResponseSchema, {
        resources: [{ resource: { case: 'databaseServer', value: toMessage('db_server', server) } }],
      });
    },
    async *getCurrentUserRoles() {
      yield toMessage('role', ROLE);
    },
    isMFARequired() {
      calls.push(`${prefix}IsMFARequired`);
      return create(IsMFARequiredResponseSchema);
    },
  };
}

export const currentUser: Pick<ServiceImpl<typeof UsersService>, 'getUser'> = {
  getUser: () => create(GetUserResponseSchema, { user: toMessage('user', USER) }),
};

const USER: User = { kind: 'user', version: 'v2', metadata: { name: 'alice' }, spec: { roles: ['r'], traits: {} } };
const ROLE: Role = {
  kind: 'role',
  version: 'v7',
  metadata: { name: 'r' },
  spec: { options: {}, allow: { db_labels: { '*': '*' }, db_names: ['*'], db_users: ['reader'] }, deny: {} },
};
