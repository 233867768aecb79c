/**
 * The Proxy's end of the tunnels: agents that have dialled in, which databases each offers, and the data connections that
 * wait for clients. The picture of the conversation is in `tunnel/protocol.ts`. Order of agents: database-service.md 8.1.
 *
 * An agent that dials again while its old control connection still stands is known by the new one only; what clients use
 * lives on until it ends.
 */

import type { Duplex } from 'node:stream';
import { messageOf, TeleportError, TimedOut } from '../errors.js';
import type { Logger } from '../log.js';
import { cutAfter } from '../net/hang-up.js';
import { deadlineIn, readExactly } from '../pg/stream.js';
import { settledWithin } from '../wait.js';
import { helloOf } from './hello.js';
import { createLineReader } from './lines.js';
import { MAX_TUNNEL_LINE_BYTES, TUNNEL_TAKEN, type TunnelHello } from './protocol.js';
import { Spares } from './spares.js';

export interface TunnelRegistryOptions {
  clusterName: string;
  log: Logger;
  /** Default 15 s; two answers missing end the connection. */
  pingIntervalMs?: number;
  /** For the first line of a connection, and for a data connection to be there and taken. Default 10 s. */
  answerTimeoutMs?: number;
  /** Called at each change of `agents()`. */
  onChange?: () => void;
  /** Shuffles agents of the same health. Default Math.random. */
  random?: () => number;
}

/** For whom a connection is opened: what the agent hears of them. */
interface TunnelUser {
  certificateDer: Buffer;
  clientAddr: string;
}

type TunnelLine = Record<string, unknown>;

/** Who is at the other end of a connection, as its certificate says. */
export interface TunnelHost {
  hostId: string;
  /** Asked before a client is led to it; an agent without may offer any database. */
  mayOffer?: ((database: string) => Promise<boolean>) | undefined;
}

interface Agent extends TunnelHost {
  control: Duplex;
  hello: TunnelHello;
  /** Clients that wait for a data connection, the longest waiting first. */
  waiting: Set<Waiter>;
}

interface Waiter {
  /** Nobody knows who it is. */
  isStranger: boolean;
  take(connection: Duplex): void;
  fail(why: string): void;
}

interface Ranked {
  agent: Agent;
  order: number;
  lot: number;
}

/** The best first. */
const sorted = (found: Ranked[]): Agent[] =>
  found.sort((a, b) => a.order - b.order || a.lot - b.lot).map(({ agent }) => agent);

const HEALTH_ORDER = { healthy: 0, unknown: 1, unhealthy: 2 } as const;
const MISSED_PINGS = 2;

export class TunnelRegistry {
  readonly #clusterName: string;
  readonly #log: Logger;
  readonly #pingIntervalMs: number;
  readonly #answerTimeoutMs: number;
  readonly #random: () => number;
  readonly #agents = new Map<string, Agent>();
  readonly #spares = new Spares();
  /** Everything that was accepted and not closed. */
  readonly #sockets = new Set<Duplex>();
  readonly #inUse = new Set<Duplex>();
  /** Whose data connection it is. */
  readonly #hosts = new WeakMap<Duplex, string>();
  readonly #changeWaiters = new Set<() => void>();
  readonly #onChange: () => void;
  readonly #idleWaiters = new Set<() => void>();
  #isClosing = false;

  constructor(options: TunnelRegistryOptions) {
    this.#clusterName = options.clusterName;
    this.#log = options.log;
    this.#pingIntervalMs = options.pingIntervalMs ?? 15_000;
    this.#answerTimeoutMs = options.answerTimeoutMs ?? 10_000;
    this.#onChange = options.onChange ?? (() => {});
    this.#random = options.random ?? Math.random;
  }

  /** Take over a connection whose TLS is done; `hostId` is what its host certificate says. Its first line tells its use. */
  accept(socket: Duplex, { hostId, mayOffer }: TunnelHost): void {
    socket.on('error', () => {});
    if (this.#isClosing) return void socket.destroy();
    this.#sockets.add(socket);
    const hasSpoken = cutAfter(socket, this.#answerTimeoutMs);
    socket.once('close', () => this.#sockets.delete(socket));
    let onLine: ((line: TunnelLine) => void) | undefined;
    const read = createLineReader(MAX_TUNNEL_LINE_BYTES, (line) => {
      hasSpoken();
      if (!onLine && line.spare === true) {
        onLine = refuseLine;
        socket.off('data', onData).off('end', onEnd);
        socket.pause();
        this.#serveData(socket, hostId);
        return;
      }
      onLine ??= this.#serveControl(socket, { hostId, mayOffer });
      onLine(line);
    });
    const onData = (chunk: Buffer): void => {
      try {
        read(chunk);
      } catch (error) {
        this.#log.warn('An agent says what is not understood.', { host: hostId, error: messageOf(error) });
        socket.destroy();
      }
    };
    // A half-open socket does not close by itself, and an agent that has ended says nothing more.
    const onEnd = (): void => void socket.destroy();
    socket.on('data', onData).on('end', onEnd);
  }

  /**
   * A connection to an agent that offers the database; the next agent is tried when one cannot be reached.
   *
   * @throws TeleportError `NotFound` when no agent offers it, `ConnectionProblem` when none can be reached
   */
  async open(database: string, user: TunnelUser): Promise<Duplex> {
    const candidates = this.#offering(database);
    if (candidates.length === 0) {
      throw new TeleportError(
        'NotFound',
        `database ${JSON.stringify(database)} not found among registered databases in cluster ${JSON.stringify(this.#clusterName)}`,
        {
          hint: 'Run "tsh db ls" to see the databases, and check that the Database Service for this one is running.',
        },
      );
    }
    return await this.#firstOf(candidates, user, { database });
  }

  /**
   * A connection to any of the hosts that dialled in, for tunnels behind which all are alike.
   *
   * @param signal  nobody waits for it any more
   * @throws TeleportError `ConnectionProblem` when there is none, or none can be reached; the signal's reason
   */
  async openAny(user: TunnelUser, signal?: AbortSignal): Promise<Duplex> {
    const candidates = sorted([...this.#agents.values()].map((agent) => this.#ranked(agent, 'healthy')));
    if (candidates.length > 0) return await this.#firstOf(candidates, user, { signal });
    throw new TeleportError('ConnectionProblem', `cluster ${JSON.stringify(this.#clusterName)} is offline`, {
      hint: 'Its Proxy holds no tunnel to this cluster now. Look at the log of the Proxy Service over there.',
    });
  }

  async #firstOf(
    candidates: readonly Agent[],
    user: TunnelUser,
    { database, signal }: { database?: string; signal?: AbortSignal | undefined },
  ): Promise<Duplex> {
    let last: unknown;
    for (const agent of candidates) {
      signal?.throwIfAborted();
      try {
        if (database !== undefined && agent.mayOffer && !(await agent.mayOffer(database))) throw notAllowed();
        return await this.#connect(agent, user, signal);
      } catch (error) {
        signal?.throwIfAborted();
        last = error;
        this.#log.warn('Cannot reach an agent.', { db: database, host: agent.hostId, error: messageOf(error) });
      }
    }
    const what =
      database === undefined ? `cluster ${JSON.stringify(this.#clusterName)}` : 'any of the database servers';
    throw new TeleportError('ConnectionProblem', `failed to connect to ${what}`, { cause: last });
  }

  /** The host of the agent at the other end of what `open` gave. */
  hostOf(stream: Duplex): string | undefined {
    return this.#hosts.get(stream);
  }

  /** Agents that are connected and have said hello. */
  agents(): TunnelHello[] {
    return [...this.#agents.values()].map(({ hello }) => hello);
  }

  /** Database connections now open. */
  streams(): number {
    return this.#inUse.size;
  }

  /** Resolves at the next change of `agents()`. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#changeWaiters.add(resolve));
  }

  /** Take no more agents, tell those that are there to go, and wait up to `drainMs` for open connections. */
  async drain(drainMs: number): Promise<void> {
    this.#isClosing = true;
    for (const { control } of this.#agents.values()) say(control, { drain: true });
    if (drainMs > 0 && this.#inUse.size > 0) {
      await settledWithin(new Promise<void>((resolve) => this.#idleWaiters.add(resolve)), drainMs);
    }
  }

  /** Hang up. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const gone = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(gone);
  }

  /** A control connection: what takes its lines, first and later ones. */
  #serveControl(socket: Duplex, host: TunnelHost): (line: TunnelLine) => void {
    const { hostId } = host;
    let sent = 0;
    let answered = 0;
    const ping = (): void => {
      if (sent - answered >= MISSED_PINGS) socket.destroy();
      else say(socket, { ping: ++sent });
    };
    const timer = setInterval(ping, this.#pingIntervalMs).unref();
    socket.once('close', () => {
      clearInterval(timer);
      this.#gone(socket, hostId);
    });
    let isKnown = false;
    return ({ hello, pong }) => {
      if (typeof pong === 'number') answered = pong;
      if (hello === undefined) return;
      this.#heard(socket, host, helloOf(hello));
      // The first ping is the agent's sign that it is known.
      if (!isKnown) ping();
      isKnown = true;
    };
  }

  #heard(control: Duplex, { hostId, mayOffer }: TunnelHost, hello: TunnelHello): void {
    if (hello.hostId !== hostId) {
      throw new TeleportError('Protocol', 'an agent says it is another host than its certificate');
    }
    const known = this.#agents.get(hostId);
    if (known?.control === control) known.hello = hello;
    else {
      this.#agents.set(hostId, { hostId, mayOffer, control, hello, waiting: known?.waiting ?? new Set() });
      known?.control.destroy();
      this.#log.info('Agent connected.', { host: hello.hostname, databases: hello.databases.length });
    }
    this.#changed();
  }

  #gone(control: Duplex, hostId: string): void {
    const agent = this.#agents.get(hostId);
    if (agent?.control !== control) return;
    this.#agents.delete(hostId);
    for (const waiter of agent.waiting) waiter.fail('the agent is gone');
    this.#spares.destroyAll(hostId);
    this.#log.info('Agent disconnected.', { host: agent.hello.hostname });
    this.#changed();
  }

  /** A data connection goes to the client that has waited longest, people first; without one it waits itself. */
  #serveData(socket: Duplex, hostId: string): void {
    const waiting = [...(this.#agents.get(hostId)?.waiting ?? [])];
    const first = waiting.find(({ isStranger }) => !isStranger) ?? waiting[0];
    if (!first) return void this.#spares.keep(hostId, socket);
    first.take(socket);
  }

  /** Agents that offer the database, the best first. */
  #offering(database: string): Agent[] {
    const found: Ranked[] = [];
    for (const agent of this.#agents.values()) {
      const offer = agent.hello.databases.find(({ name }) => name === database);
      if (offer) found.push(this.#ranked(agent, offer.health));
    }
    return sorted(found);
  }

  #ranked(agent: Agent, health: keyof typeof HEALTH_ORDER): Ranked {
    return { agent, order: HEALTH_ORDER[health] + (agent.hello.draining ? 3 : 0), lot: this.#random() };
  }

  #changed(): void {
    wake(this.#changeWaiters);
    this.#onChange();
  }

  async #connect(agent: Agent, user: TunnelUser, signal?: AbortSignal): Promise<Duplex> {
    const socket = await this.#dataConnection(agent, user, signal);
    const stop = () => void socket.destroy();
    signal?.addEventListener('abort', stop, { once: true });
    this.#inUse.add(socket);
    this.#hosts.set(socket, agent.hostId);
    socket.once('close', () => {
      this.#inUse.delete(socket);
      if (this.#inUse.size === 0) wake(this.#idleWaiters);
    });
    try {
      say(socket, { certificate: user.certificateDer.toString('base64'), clientAddr: user.clientAddr });
      const deadline = deadlineIn(this.#answerTimeoutMs, `answer from the agent on ${agent.hello.hostname}`);
      const answer = await readExactly(socket, 1, deadline);
      if (answer[0] !== TUNNEL_TAKEN) throw new TeleportError('Protocol', 'the agent did not take the connection');
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** A data connection of the agent: one that waits, or the next that it dials. */
  async #dataConnection(agent: Agent, user: TunnelUser, signal: AbortSignal | undefined): Promise<Duplex> {
    const ready = this.#spares.take(agent.hostId);
    if (ready) return ready;
    say(agent.control, { dial: 1 });
    const next = nextConnection(agent, {
      isStranger: user.certificateDer.length === 0,
      timeoutMs: this.#answerTimeoutMs,
    });
    const stop = () => next.waiter.fail('nobody waits for the connection any more');
    signal?.addEventListener('abort', stop, { once: true });
    return await next.connection.finally(() => signal?.removeEventListener('abort', stop));
  }
}

function nextConnection(
  agent: Agent,
  { isStranger, timeoutMs }: { isStranger: boolean; timeoutMs: number },
): { waiter: Waiter; connection: Promise<Duplex> } {
  let settle: { resolve(connection: Duplex): void; reject(error: unknown): void };
  const connection = new Promise<Duplex>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const { hostname } = agent.hello;
  const late = new TimedOut(`data connection from the agent on ${hostname}`, timeoutMs).message;
  const timer = setTimeout(() => waiter.fail(late), timeoutMs);
  const leave = () => {
    clearTimeout(timer);
    agent.waiting.delete(waiter);
  };
  const waiter: Waiter = {
    isStranger,
    take(socket) {
      leave();
      settle.resolve(socket);
    },
    fail(why) {
      leave();
      settle.reject(new TeleportError('ConnectionProblem', why));
    },
  };
  agent.waiting.add(waiter);
  return { waiter, connection };
}

function notAllowed(): TeleportError {
  return new TeleportError('AccessDenied', 'the join token of this agent does not allow the database');
}

function refuseLine(): never {
  throw new TeleportError('Protocol', 'a data connection says more than one line');
}

function say(socket: Duplex, object: object): void {
  if (socket.writable) socket.write(`${JSON.stringify(object)}\n`);
}

function wake(waiters: Set<() => void>): void {
  for (const resolve of waiters) resolve();
  waiters.clear();
}
