/**
 * The Proxy's end of the tunnels: agents that have dialled in, which databases each offers, and new streams to them.
 * The picture of the conversation is in `api/tunnel.ts`. Order of agents: `database-service.md` 8.1.
 *
 * An agent that dials again while its old connection still stands gets new streams on the new one only; the old one
 * lives until its last stream has ended.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  sensitiveHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  TUNNEL_CONNECTION_WINDOW_BYTES,
  TUNNEL_HEADERS,
  TUNNEL_STREAM_WINDOW_BYTES,
  type TunnelHello,
} from '../api/tunnel.js';
import { messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { createHelloReader } from './tunnel-hello.js';

export interface TunnelRegistryOptions {
  clusterName: string;
  log: Logger;
  /** Default 15 s; two answers missing end the connection. */
  pingIntervalMs?: number;
  /** For the hello of a new agent and for a new stream. Default 10 s. */
  answerTimeoutMs?: number;
  /** Shuffles agents of the same health. Default Math.random. */
  random?: () => number;
}

export interface TunnelRegistry {
  /** Take over a connection whose TLS is done; `hostId` is what its host certificate says. */
  accept(socket: Duplex, peer: { hostId: string }): void;
  /**
   * A stream to an agent that offers the database; the next agent is tried when one cannot be reached.
   *
   * @throws TeleportError `NotFound` when no agent offers it, `ConnectionProblem` when none can be reached
   */
  open(database: string, user: { certificateDer: Buffer; clientAddr: string }): Promise<Duplex>;
  /** Agents that are connected and have said hello. */
  agents(): TunnelHello[];
  /** Database connections now open. */
  streams(): number;
  /** Resolves at the next change of `agents()`. */
  changed(): Promise<void>;
  /** Tell the agents to go, wait up to `drainMs` for open streams, hang up. */
  close(options?: { drainMs?: number }): Promise<void>;
}

interface Agent {
  hostId: string;
  session: ClientHttp2Session;
  hello: TunnelHello | undefined;
  streams: number;
  /** A newer connection of the same agent has taken over. */
  isOld: boolean;
}

const HEALTH_ORDER = { healthy: 0, unknown: 1, unhealthy: 2 } as const;
const MISSED_PINGS = 2;
/** See `api/tunnel-line.ts`. */
const MAX_SESSION_MEMORY_MB = 16_384;

export function createTunnelRegistry(options: TunnelRegistryOptions): TunnelRegistry {
  const { clusterName, log, pingIntervalMs = 15_000, answerTimeoutMs = 10_000, random = Math.random } = options;
  const agents = new Set<Agent>();
  const waiters = new Set<() => void>();
  const idleWaiters = new Set<() => void>();
  let isClosing = false;

  const wake = (set: Set<() => void>): void => {
    for (const resolve of set) resolve();
    set.clear();
  };
  const streamCount = (): number => [...agents].reduce((sum, agent) => sum + agent.streams, 0);
  const streamEnded = (agent: Agent): void => {
    agent.streams -= 1;
    if (agent.isOld && agent.streams === 0) agent.session.destroy();
    if (streamCount() === 0) wake(idleWaiters);
  };

  const heard = (agent: Agent, hello: TunnelHello): void => {
    if (hello.hostId !== agent.hostId) {
      log.warn('An agent says it is another host than its certificate.', { host: agent.hostId });
      agent.session.destroy();
      return;
    }
    const isNew = agent.hello === undefined;
    agent.hello = hello;
    if (isNew) {
      for (const other of agents) {
        if (other === agent || other.hostId !== agent.hostId) continue;
        other.isOld = true;
        if (other.streams === 0) other.session.destroy();
      }
      log.info('Agent connected.', { host: hello.hostname, databases: hello.databases.length });
    }
    wake(waiters);
  };

  const accept = (socket: Duplex, { hostId }: { hostId: string }): void => {
    socket.on('error', () => {});
    if (isClosing) return void socket.destroy();
    const session = connectHttp2('https://agent.invalid', {
      createConnection: () => socket,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      peerMaxConcurrentStreams: 10_000,
      settings: { enablePush: false, initialWindowSize: TUNNEL_STREAM_WINDOW_BYTES },
    });
    const agent: Agent = { hostId, session, hello: undefined, streams: 0, isOld: false };
    agents.add(agent);
    session.on('error', (error) => log.debug('Tunnel broke.', { host: hostId, error }));
    session.once('connect', () => session.setLocalWindowSize(TUNNEL_CONNECTION_WINDOW_BYTES));
    // A half-open socket does not end its session by itself, and an agent that is gone sends no more.
    socket.once('end', () => session.destroy());
    const stopPings = keepAlive(session, pingIntervalMs);
    session.once('close', () => {
      stopPings();
      socket.destroy();
      agents.delete(agent);
      if (agent.hello && !agent.isOld) log.info('Agent disconnected.', { host: agent.hello.hostname });
      wake(waiters);
      if (streamCount() === 0) wake(idleWaiters);
    });
    const stream = session.request({ ':path': '/v1/hello' });
    const timer = setTimeout(() => session.destroy(), answerTimeoutMs);
    const read = createHelloReader((hello) => {
      clearTimeout(timer);
      heard(agent, hello);
    });
    stream.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        log.warn('An agent sends no valid hello.', { host: hostId, error: messageOf(error) });
        session.destroy();
      }
    });
    stream.on('error', () => {});
    stream.once('close', () => {
      clearTimeout(timer);
      session.close();
    });
  };

  const offering = (database: string): Agent[] => {
    const found: { agent: Agent; order: number; lot: number }[] = [];
    for (const agent of agents) {
      if (agent.isOld || !agent.hello || agent.session.closed) continue;
      const offer = agent.hello.databases.find(({ name }) => name === database);
      if (!offer) continue;
      const order = HEALTH_ORDER[offer.health] + (agent.hello.draining ? 3 : 0);
      found.push({ agent, order, lot: random() });
    }
    return found.sort((a, b) => a.order - b.order || a.lot - b.lot).map(({ agent }) => agent);
  };

  return {
    accept,
    async open(database, user) {
      const candidates = offering(database);
      if (candidates.length === 0) {
        throw new TeleportError(
          'NotFound',
          `database ${JSON.stringify(database)} not found among registered databases in cluster ${JSON.stringify(clusterName)}`,
          {
            hint: 'Run "tsh db ls" to see the databases, and check that the Database Service which offers this one is up.',
          },
        );
      }
      let last: unknown;
      for (const agent of candidates) {
        try {
          return await openStream(agent, user, answerTimeoutMs, () => streamEnded(agent));
        } catch (error) {
          last = error;
          log.warn('Cannot reach an agent.', { db: database, host: agent.hostId, error: messageOf(error) });
        }
      }
      throw new TeleportError('ConnectionProblem', 'failed to connect to any of the database servers', { cause: last });
    },
    agents: () => [...agents].flatMap(({ hello, isOld }) => (hello && !isOld ? [hello] : [])),
    streams: streamCount,
    changed: () => new Promise((resolve) => waiters.add(resolve)),
    async close({ drainMs = 0 } = {}) {
      isClosing = true;
      for (const { session } of agents) sayDrain(session);
      if (drainMs > 0 && streamCount() > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, drainMs);
          idleWaiters.add(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
      const gone = [...agents].map(({ session }) => new Promise((resolve) => session.once('close', resolve)));
      for (const { session } of agents) session.destroy();
      await Promise.all(gone);
    },
  };
}

function openStream(
  agent: Agent,
  user: { certificateDer: Buffer; clientAddr: string },
  timeoutMs: number,
  onEnd: () => void,
): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    const stream = agent.session.request(
      {
        ':method': 'POST',
        ':path': '/v1/connect',
        [TUNNEL_HEADERS.certificate]: user.certificateDer.toString('base64'),
        [TUNNEL_HEADERS.clientAddr]: user.clientAddr,
        // Nothing of a user's certificate goes into the tables of header compression, where it would push out the rest.
        [sensitiveHeaders]: [TUNNEL_HEADERS.certificate, TUNNEL_HEADERS.clientAddr],
      } as Record<string, string>,
      { endStream: false },
    );
    agent.streams += 1;
    const fail = (why: string): void => {
      clearTimeout(timer);
      stream.close(constants.NGHTTP2_CANCEL);
      reject(new TeleportError('ConnectionProblem', why));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    stream.on('error', (error) => fail(messageOf(error)));
    stream.once('close', () => {
      fail('the tunnel closed');
      onEnd();
    });
    stream.once('response', (headers) => {
      if (headers[':status'] !== 200) return fail(`the agent answered ${headers[':status']}`);
      clearTimeout(timer);
      resolve(stream);
    });
  });
}

/** Ping until it closes; two answers missing destroy it. Returns how to stop. */
function keepAlive(session: ClientHttp2Session, intervalMs: number): () => void {
  let missed = 0;
  const timer = setInterval(() => {
    if (session.destroyed || session.connecting) return;
    if (missed >= MISSED_PINGS) return session.destroy();
    missed += 1;
    session.ping((error) => {
      if (!error) missed = 0;
    });
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

function sayDrain(session: ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  const stream = session.request({ ':method': 'POST', ':path': '/v1/drain' });
  stream.on('error', () => {});
  stream.resume();
}
