/**
 * The Proxy's end of the tunnels: agents that have dialled in, which databases each offers, and the data connections that
 * wait for clients. The picture of the conversation is in `tunnel/protocol.ts`. Order of agents: `database-service.md` 8.1.
 *
 * An agent that dials again while its old control connection still stands is known by the new one only; what clients use
 * lives on until it ends.
 */
import type { Duplex } from 'node:stream';
import { messageOf, TeleportError, TimedOut } from '../errors.js';
import type { Logger } from '../log.js';
import { deadlineIn, readExactly } from '../pg/stream.js';
import { helloOf } from './hello.js';
import { createLineReader } from './lines.js';
import { MAX_TUNNEL_LINE_BYTES, TUNNEL_TAKEN, type TunnelHello } from './protocol.js';

export interface TunnelRegistryOptions {
  clusterName: string;
  log: Logger;
  /** Default 15 s; two answers missing end the connection. */
  pingIntervalMs?: number;
  /** For the first line of a connection, and for a data connection to be there and taken. Default 10 s. */
  answerTimeoutMs?: number;
  /** Shuffles agents of the same health. Default Math.random. */
  random?: () => number;
}

export interface TunnelRegistry {
  /** Take over a connection whose TLS is done; `hostId` is what its host certificate says. */
  accept(socket: Duplex, peer: { hostId: string }): void;
  /**
   * A connection to an agent that offers the database; the next agent is tried when one cannot be reached.
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
  /** Take no more agents, tell those that are there to go, and wait up to `drainMs` for open connections. */
  drain(drainMs: number): Promise<void>;
  /** Hang up. */
  close(): Promise<void>;
}

interface Agent {
  hostId: string;
  control: Duplex;
  hello: TunnelHello;
  /** Clients that wait for a data connection, the longest waiting first. */
  waiting: Set<Waiter>;
}

interface Waiter {
  take(connection: Duplex): void;
  fail(why: string): void;
}

const HEALTH_ORDER = { healthy: 0, unknown: 1, unhealthy: 2 } as const;
const MISSED_PINGS = 2;
/** Data connections that one agent may keep waiting; more are closed. */
const MAX_SPARES = 256;

export function createTunnelRegistry(options: TunnelRegistryOptions): TunnelRegistry {
  const { clusterName, log, pingIntervalMs = 15_000, answerTimeoutMs = 10_000, random = Math.random } = options;
  const agents = new Map<string, Agent>();
  /** Data connections that wait, by the host id of their certificate; the one that came last is used first. */
  const spares = new Map<string, Duplex[]>();
  /** Everything that was accepted and not closed. */
  const sockets = new Set<Duplex>();
  const inUse = new Set<Duplex>();
  const changeWaiters = new Set<() => void>();
  const idleWaiters = new Set<() => void>();
  let isClosing = false;

  const wake = (set: Set<() => void>): void => {
    for (const resolve of set) resolve();
    set.clear();
  };

  const heard = (control: Duplex, hostId: string, hello: TunnelHello): void => {
    if (hello.hostId !== hostId) {
      throw new TeleportError('Protocol', 'an agent says it is another host than its certificate');
    }
    const known = agents.get(hostId);
    if (known?.control === control) known.hello = hello;
    else {
      agents.set(hostId, { hostId, control, hello, waiting: known?.waiting ?? new Set() });
      known?.control.destroy();
      log.info('Agent connected.', { host: hello.hostname, databases: hello.databases.length });
    }
    wake(changeWaiters);
  };

  const serveControl = (socket: Duplex, hostId: string): ((line: Record<string, unknown>) => void) => {
    let sent = 0;
    let answered = 0;
    const ping = (): void => {
      if (sent - answered >= MISSED_PINGS) socket.destroy();
      else say(socket, { ping: ++sent });
    };
    const timer = setInterval(ping, pingIntervalMs).unref();
    socket.once('close', () => {
      clearInterval(timer);
      const agent = agents.get(hostId);
      if (agent?.control !== socket) return;
      agents.delete(hostId);
      for (const waiter of agent.waiting) waiter.fail('the agent is gone');
      for (const spare of spares.get(hostId) ?? []) spare.destroy();
      log.info('Agent disconnected.', { host: agent.hello.hostname });
      wake(changeWaiters);
    });
    let isKnown = false;
    return ({ hello, pong }) => {
      if (typeof pong === 'number') answered = pong;
      if (hello === undefined) return;
      heard(socket, hostId, helloOf(hello));
      // The first ping is the agent's sign that it is known.
      if (!isKnown) ping();
      isKnown = true;
    };
  };

  const keepSpare = (socket: Duplex, hostId: string): void => {
    const waiting = agents.get(hostId)?.waiting;
    const [first] = waiting ?? [];
    if (waiting && first) {
      waiting.delete(first);
      first.take(socket);
      return;
    }
    const kept = spares.get(hostId) ?? [];
    spares.set(hostId, kept);
    if (kept.length >= MAX_SPARES) return void socket.destroy();
    kept.push(socket);
    // A connection that waits is silent: bytes or an end mean that it is of no use.
    const useless = (): void => {
      if (socket.read() !== null || socket.readableEnded) socket.destroy();
    };
    const end = (): void => void socket.destroy();
    socket.on('readable', useless).on('end', end);
    const leave = (): void => {
      socket.off('readable', useless).off('end', end).off('close', leave);
      const at = kept.indexOf(socket);
      if (at >= 0) kept.splice(at, 1);
      if (kept.length === 0 && spares.get(hostId) === kept) spares.delete(hostId);
    };
    socket.on('close', leave);
    leaving.set(socket, leave);
  };
  /** How a connection stops waiting. */
  const leaving = new WeakMap<Duplex, () => void>();

  /** A data connection of the agent: one that waits, or the next that it dials. */
  const dataConnection = (agent: Agent): Promise<Duplex> => {
    const ready = spares.get(agent.hostId)?.at(-1);
    if (ready) {
      leaving.get(ready)?.();
      return Promise.resolve(ready);
    }
    say(agent.control, { dial: 1 });
    return new Promise((resolve, reject) => {
      const { hostname } = agent.hello;
      const late = new TimedOut(`data connection from the agent on ${hostname}`, answerTimeoutMs).message;
      const timer = setTimeout(() => waiter.fail(late), answerTimeoutMs);
      const waiter: Waiter = {
        take(connection) {
          clearTimeout(timer);
          resolve(connection);
        },
        fail(why) {
          clearTimeout(timer);
          agent.waiting.delete(waiter);
          reject(new TeleportError('ConnectionProblem', why));
        },
      };
      agent.waiting.add(waiter);
    });
  };

  const connect = async (agent: Agent, user: { certificateDer: Buffer; clientAddr: string }): Promise<Duplex> => {
    const socket = await dataConnection(agent);
    inUse.add(socket);
    socket.once('close', () => {
      inUse.delete(socket);
      if (inUse.size === 0) wake(idleWaiters);
    });
    try {
      say(socket, { certificate: user.certificateDer.toString('base64'), clientAddr: user.clientAddr });
      const answer = await readExactly(
        socket,
        1,
        deadlineIn(answerTimeoutMs, `answer from the agent on ${agent.hello.hostname}`),
      );
      if (answer[0] !== TUNNEL_TAKEN) throw new TeleportError('Protocol', 'the agent did not take the connection');
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  };

  const offering = (database: string): Agent[] => {
    const found: { agent: Agent; order: number; lot: number }[] = [];
    for (const agent of agents.values()) {
      const offer = agent.hello.databases.find(({ name }) => name === database);
      if (!offer) continue;
      const order = HEALTH_ORDER[offer.health] + (agent.hello.draining ? 3 : 0);
      found.push({ agent, order, lot: random() });
    }
    return found.sort((a, b) => a.order - b.order || a.lot - b.lot).map(({ agent }) => agent);
  };

  return {
    accept(socket, { hostId }) {
      socket.on('error', () => {});
      if (isClosing) return void socket.destroy();
      sockets.add(socket);
      const timer = setTimeout(() => socket.destroy(), answerTimeoutMs);
      socket.once('close', () => {
        clearTimeout(timer);
        sockets.delete(socket);
      });
      let control: ((line: Record<string, unknown>) => void) | undefined;
      let isSpare = false;
      const read = createLineReader(MAX_TUNNEL_LINE_BYTES, (line) => {
        clearTimeout(timer);
        if (isSpare) throw new TeleportError('Protocol', 'a data connection says more than one line');
        if (!control && line.spare === true) {
          isSpare = true;
          socket.off('data', onData).off('end', onEnd);
          socket.pause();
          keepSpare(socket, hostId);
          return;
        }
        control ??= serveControl(socket, hostId);
        control(line);
      });
      const onData = (chunk: Buffer): void => {
        try {
          read(chunk);
        } catch (error) {
          log.warn('An agent says what is not understood.', { host: hostId, error: messageOf(error) });
          socket.destroy();
        }
      };
      // A half-open socket does not close by itself, and an agent that has ended says nothing more.
      const onEnd = (): void => void socket.destroy();
      socket.on('data', onData).on('end', onEnd);
    },
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
          return await connect(agent, user);
        } catch (error) {
          last = error;
          log.warn('Cannot reach an agent.', { db: database, host: agent.hostId, error: messageOf(error) });
        }
      }
      throw new TeleportError('ConnectionProblem', 'failed to connect to any of the database servers', { cause: last });
    },
    agents: () => [...agents.values()].map(({ hello }) => hello),
    streams: () => inUse.size,
    changed: () => new Promise((resolve) => changeWaiters.add(resolve)),
    async drain(drainMs) {
      isClosing = true;
      for (const { control } of agents.values()) say(control, { drain: true });
      if (drainMs > 0 && inUse.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, drainMs);
          idleWaiters.add(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    },
    async close() {
      isClosing = true;
      const gone = [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(gone);
    },
  };
}

function say(socket: Duplex, object: object): void {
  if (socket.writable) socket.write(`${JSON.stringify(object)}\n`);
}
