/**
 * An agent without Auth and Proxy: `serveSession` behind a TCP port, with the real authorizer, roles and locks given by
 * the test, certificates made on the spot, and a spool whose records the test can hold back or fail.
 */
import { X509Certificate } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import type { AuthClient } from '../../src/api/client.js';
import { toMessage } from '../../src/api/convert.js';
import { HeldNames } from '../../src/auth/held-names.js';
import { CredentialCache } from '../../src/aws/credential-cache.js';
import { createAuthorizer } from '../../src/db/authorize.js';
import { AutoUsers } from '../../src/db/auto-users.js';
import { createClientCertificates } from '../../src/db/client-certificate.js';
import { type EngineContext, serveSession } from '../../src/db/engine.js';
import { createRegistry } from '../../src/db/registry.js';
import type { UserLock } from '../../src/db/user-lock.js';
import { createAwsLogins } from '../../src/dbserver/aws-login.js';
import { TeleportError } from '../../src/errors.js';
import { encodeSubject, newIdentity, type RouteToDatabase } from '../../src/identity/identity.js';
import { silent } from '../../src/log.js';
import { connectSession, type PgSession } from '../../src/pg/session.js';
import { readCsr } from '../../src/pki/x509.js';
import { databaseWithDefaults, roleWithDefaults } from '../../src/resources/defaults.js';
import type { Database, Lock, Role } from '../../src/resources/types.js';
import { UserTurns } from '../../src/turns.js';
import { createTestCa, type TestCa } from '../support/ca.js';
import { type RawClient, rawClient, startupPacket } from '../support/pg-raw.js';

export interface AuditRecord {
  event: string;
  code: string;
  [field: string]: unknown;
}

export interface TestAgent {
  port: number;
  /** Everything appended to the spool, whether its record became durable or not. */
  events: AuditRecord[];
  /** The same as text. */
  lines: string[];
  names(): string[];
  roles: Role[];
  locks: Lock[];
  /** What Auth says otherwise than it does of a user who may enter. */
  access: { userExists?: boolean; certificateEnded?: boolean };
  /** What Auth says of users that would be one in Redshift. */
  sameNames: string[];
  /** Auth goes away, and with it what it holds for this agent. */
  loseLocks(): void;
  context: EngineContext;
  /** How the spool takes records; default: at once. */
  spool: { append: (events: object[]) => Promise<void> };
  userCa: TestCa;
  /** The user certificate that the next connections bring. */
  as(
    route: Partial<RouteToDatabase>,
    options?: { now?: Date; ca?: TestCa; expires?: Date; username?: string },
  ): Promise<void>;
  socket(): Promise<Socket>;
  /** Logged in, by a connection of its own. */
  session(login: { user: string; database?: string; parameters?: [string, string][] }): Promise<PgSession>;
  /** Logged in by hand, so that nothing of ours reads what comes. @param parameters  default: `LOGIN` */
  rawSession(
    version?: number,
    parameters?: [string, string][],
  ): Promise<{ client: RawClient; hello: Awaited<ReturnType<RawClient['until']>> }>;
  /** Resolves when every session has ended. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestAgentOptions {
  databases: object[];
  dbClientCa?: TestCa;
  /** Authorities of database servers. */
  databaseCas?: string[];
  now?: () => Date;
  /** Locks of automatic users, of several agents together. */
  names?: HeldNames;
}

export const USER = 'alice';
/** Whom the sessions of the tests are of, in the database. */
export const LOGIN = { user: 'analyst', database: 'dev' };
const HOUR_MS = 3_600_000;

export async function startTestAgent(options: TestAgentOptions): Promise<TestAgent> {
  const { now = () => new Date(), dbClientCa } = options;
  const userCa = createTestCa('test.example.com');
  let certificateDer = Buffer.alloc(0);
  const running = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const agent = {
    events: [],
    lines: [],
    roles: [],
    locks: [],
    access: {},
    sameNames: [],
    userCa,
  } as unknown as TestAgent;
  agent.spool = { append: async () => {} };

  const auth = {
    databaseAgent: {
      getSessionAccess: async () => ({
        userExists: true,
        certificateEnded: false,
        roles: agent.roles.map((role) => toMessage('role', role)),
        locks: agent.locks.map((lock) => toMessage('lock', lock)),
        authPreference: undefined,
        ...agent.access,
      }),
    },
    auth: {
      generateDatabaseCert: async ({ csr }: { csr: Uint8Array }) => {
        const { publicKey, subject } = readCsr(Buffer.from(csr).toString());
        const at = now().getTime();
        const values = [...subject].map(([oid, list]) => ({ oid, values: [...list] }));
        const cert = dbClientCa!.sign(publicKey, {
          subject: values,
          from: new Date(at - 60_000),
          to: new Date(at + HOUR_MS),
        });
        return { cert: Buffer.from(cert), caCerts: (options.databaseCas ?? []).map((pem) => Buffer.from(pem)) };
      },
    },
  } as unknown as AuthClient;

  const spool: EngineContext['spool'] = {
    pauseMs: () => 0,
    write(lines) {
      const events = lines
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as AuditRecord);
      agent.lines.push(...lines.split('\n').slice(0, -1));
      agent.events.push(...events);
      return agent.spool.append(events);
    },
  };
  const doors = {
    aws: createAwsLogins(new CredentialCache({ now })),
    checker: 'Database service' as const,
    vars: {},
    clientCertificates: createClientCertificates(async () => auth, now),
    amazonRoots: [],
  };
  const stop = new AbortController();
  const names = options.names ?? new HeldNames();
  const lost = new AbortController();
  const lock: UserLock = async ({ endpoint, user, sameNames }, timeoutMs) => {
    const held = await names.take(JSON.stringify([endpoint, user]), AbortSignal.timeout(timeoutMs));
    return Object.assign(held, { sameNames: sameNames ? agent.sameNames : [], lost: lost.signal });
  };
  agent.context = {
    ...doors,
    autoUsers: new AutoUsers({ connect: doors, lock, log: silent, signal: stop.signal }),
    authorizer: createAuthorizer({
      registry: createRegistry(options.databases.map((one) => databaseWithDefaults(one as Database))),
      auth: async () => auth,
      trust: async () => ({ hostCas: [], userCas: [userCa.certPem], remotes: [] }),
      clusterName: 'test.example.com',
      serverId: 'host-1',
      now,
    }),
    spool,
    rights: {
      during: () => ({ [Symbol.dispose]() {} }),
      refusal: () => undefined,
      look() {},
      isCutOff: false,
      ended: Promise.resolve(),
    },
    turns: new UserTurns(),
    server: { hostId: 'host-1', version: '18.3.0', clusterName: 'test.example.com', now },
    log: silent,
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const session = serveSession(agent.context, socket, { certificateDer, clientAddr: '192.0.2.1:4711' }).finally(() =>
      running.delete(session),
    );
    running.add(session);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  Object.assign(agent, {
    port: (server.address() as { port: number }).port,
    names: () => agent.events.map(({ event }) => event),
    async as(
      route,
      { now: at = now(), ca = userCa, expires = new Date(at.getTime() + HOUR_MS), username = USER } = {},
    ) {
      const identity = newIdentity({
        username,
        groups: ['analyst'],
        usage: ['usage:db'],
        teleportCluster: 'test.example.com',
        routeToCluster: 'test.example.com',
        routeToDatabase: { serviceName: 'pg', protocol: 'postgres', ...route },
        expires,
      });
      const { cert } = ca.issue(username, {
        subject: encodeSubject(identity),
        sans: [],
        from: new Date(at.getTime() - 2 * HOUR_MS),
        to: expires,
      });
      certificateDer = new X509Certificate(cert).raw;
    },
    socket: () =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port: agent.port, allowHalfOpen: true }, () => resolve(socket));
        sockets.add(socket);
        socket.on('error', reject);
      }),
    session: async (login) => connectSession(await agent.socket(), login),
    async rawSession(version = 0x3_0000, parameters = Object.entries(LOGIN)) {
      const client = await rawClient({ host: '127.0.0.1', port: agent.port });
      client.socket.write(startupPacket(version, parameters));
      return { client, hello: await client.until('Z') };
    },
    loseLocks: () => lost.abort(new TeleportError('ConnectionProblem', 'Auth has gone')),
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
    async stop() {
      stop.abort();
      for (const socket of sockets) socket.destroy();
      await Promise.all(running);
      await new Promise((resolve) => server.close(resolve));
    },
  } satisfies Partial<TestAgent>);
  return agent;
}

/** A role as Auth keeps it. */
export function role(allow: Record<string, unknown>, options: Record<string, unknown> = {}): Role {
  return roleWithDefaults({
    kind: 'role',
    version: 'v7',
    metadata: { name: 'analyst' },
    spec: { allow: { db_labels: { '*': '*' }, db_users: ['*'], db_names: ['*'], ...allow }, deny: {}, options },
  } as unknown as Role);
}
