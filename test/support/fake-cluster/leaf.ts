/**
 * A leaf behind the fake cluster's port: an Auth Service with a host authority of its own that lists one database and
 * signs nothing, as a real leaf does for people of the root cluster.
 */
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import { createTestCa, hostOf } from '../ca.js';
import { grpcServer, type Methods, method, Refusal, STATUS } from './grpc.js';
import { SERVICE, TABLES } from './messages.js';

export interface FakeLeaf {
  hostCaPem: string;
  /** A connection whose ClientHello asks for this leaf. */
  accept(connection: Duplex): void;
  close(): void;
}

export function fakeLeaf(name: string, calls: string[]): FakeLeaf {
  const hostCa = createTestCa(name);
  const grpc = grpcServer({
    ...databaseMethods(`${name}-db`, calls, `${name}: `),
    [`${SERVICE.auth}GenerateUserCerts`]: method(TABLES.certsRequest, TABLES.certs, () => {
      throw new Refusal(STATUS.permissionDenied, 'access denied: impersonation is not allowed');
    }),
  });
  const options = { ...hostCa.issue('*.teleport.cluster.local', { subject: hostOf('Admin') }), ALPNProtocols: ['h2'] };
  const tls = createServer(options, (socket) => grpc.accept(socket.on('error', () => {})));
  tls.on('tlsClientError', () => {});
  return {
    hostCaPem: hostCa.certPem,
    accept: (connection) => void tls.emit('connection', connection),
    close: grpc.close,
  };
}

/** One database, and a user with a role that allows `reader` in it. */
export function databaseMethods(database: string, calls: string[], prefix = ''): Methods {
  const { auth, users } = SERVICE;
  return {
    [`${auth}ListResources`]: method(TABLES.empty, TABLES.resources, () => {
      calls.push(`${prefix}ListResources`);
      return { resources: [{ databaseServer: serverOf(database) }] };
    }),
    [`${auth}GetCurrentUserRoles`]: method(TABLES.empty, TABLES.role, () => ROLE),
    [`${auth}IsMFARequired`]: method(TABLES.empty, TABLES.empty, () => {
      calls.push(`${prefix}IsMFARequired`);
      return {};
    }),
    [`${users}GetUser`]: method(TABLES.empty, TABLES.user, () => ({ user: USER })),
  };
}

const serverOf = (name: string) => ({
  kind: 'db_server',
  version: 'v3',
  metadata: { name },
  spec: {
    version: '18.3.0',
    hostname: 'agent',
    hostId: 'agent',
    database: {
      kind: 'db',
      version: 'v3',
      metadata: { name, labels: [{ key: 'env', value: 'dev' }] },
      spec: { protocol: 'postgres', uri: 'localhost:5432' },
    },
  },
});

const USER = { kind: 'user', version: 'v2', metadata: { name: 'alice' }, spec: { roles: ['r'] } };
const ROLE = {
  kind: 'role',
  version: 'v7',
  metadata: { name: 'r' },
  spec: {
    allow: {
      namespaces: ['default'],
      dbLabels: { values: [{ key: '*', value: { values: ['*'] } }] },
      dbNames: ['*'],
      dbUsers: ['reader'],
    },
    deny: { namespaces: ['default'] },
  },
};
