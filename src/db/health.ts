/**
 * Is the database there, and does it answer? Every so often a connection and one question whose answer is a single byte, whether the
 * server knows it or not. Teleport only connects, and takes for healthy what accepts and never says a word. The question is
 * GSSENCRequest: a server has nothing to log when its client leaves after it, and no TLS begins. Only the order in which a Proxy tries
 * agents depends on the answer.
 *
 * Source: database-service.md 8.7 (every 30 s, time limit 5 s, healthy after 2, unhealthy after 1).
 */
import { connect, type Socket } from 'node:net';
import { TimedOut } from '../errors.js';
import { encodeFirst } from '../pg/startup.js';
import { splitUri } from '../resources/database-uri.js';
import type { Database, HealthStatus, TargetHealth } from '../resources/types.js';

export interface HealthCheck {
  status(): TargetHealth;
  stop(): void;
}

export interface HealthOptions {
  uri: string;
  intervalMs?: number;
  timeoutMs?: number;
  healthyThreshold?: number;
  unhealthyThreshold?: number;
  onChange: (health: TargetHealth) => void;
}

export function startHealthCheck(options: HealthOptions): HealthCheck {
  const {
    uri,
    intervalMs = 30_000,
    timeoutMs = 5_000,
    healthyThreshold = 2,
    unhealthyThreshold = 1,
    onChange,
  } = options;
  const [host, port] = splitUri(uri);
  let health: TargetHealth = { address: uri, protocol: 'tcp', status: 'unknown', transition_reason: 'initialized' };
  let streak = 0;
  let lastGood: boolean | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let socket: Socket | undefined;

  const settle = (error: Error | undefined) => {
    if (stopped) return;
    const good = error === undefined;
    streak = good === lastGood ? streak + 1 : 1;
    lastGood = good;
    // The first check decides at once: nobody gains from an agent that is "unknown" for a minute.
    const needed = health.status === 'unknown' ? 1 : good ? healthyThreshold : unhealthyThreshold;
    const status: HealthStatus = good ? 'healthy' : 'unhealthy';
    if (streak >= needed && status !== health.status) {
      health = {
        address: uri,
        protocol: 'tcp',
        status,
        transition_reason: 'threshold_reached',
        message: `${streak} health check${streak === 1 ? '' : 's'} ${good ? 'passed' : 'failed'}`,
        ...(error ? { transition_error: error.message } : {}),
      };
      onChange(health);
    }
    timer = setTimeout(check, intervalMs);
    timer.unref();
  };
  const check = () => {
    const tried = connect({ host, port });
    socket = tried;
    let done = false;
    const address = { address: uri };
    let isConnected = false;
    const late = () => new TimedOut(isConnected ? 'answer to a first packet' : 'connection', timeoutMs, address);
    const finish = (error?: Error) => {
      if (done) return;
      clearTimeout(limit);
      done = true;
      tried.destroy();
      settle(error);
    };
    const limit = setTimeout(() => finish(late()), timeoutMs).unref();
    tried.once('connect', () => {
      isConnected = true;
      tried.write(encodeFirst({ type: 'GSSENCRequest' }));
    });
    tried.once('data', () => finish());
    tried.once('close', () => finish(new Error(`${uri} closed the connection without an answer`)));
    tried.on('error', finish);
    tried.unref();
  };
  check();
  return {
    status: () => health,
    stop() {
      stopped = true;
      clearTimeout(timer);
      socket?.destroy();
    },
  };
}

/** Health of all databases of an agent: one check each, begun anew when the address changes. */
export class HealthWatch {
  readonly #checks = new Map<string, { uri: string; check: HealthCheck }>();
  readonly #onChange: (database: Database, health: TargetHealth) => void;

  constructor(onChange: (database: Database, health: TargetHealth) => void) {
    this.#onChange = onChange;
  }

  of(name: string): TargetHealth {
    return this.#checks.get(name)?.check.status() ?? { status: 'unknown' };
  }

  watch(database: Database): void {
    const { name } = database.metadata;
    const { uri } = database.spec;
    const known = this.#checks.get(name);
    if (known?.uri === uri) return;
    known?.check.stop();
    const check = startHealthCheck({ uri, onChange: (health) => this.#onChange(database, health) });
    this.#checks.set(name, { uri, check });
  }

  forget(name: string): void {
    this.#checks.get(name)?.check.stop();
    this.#checks.delete(name);
  }

  stop(): void {
    for (const { check } of this.#checks.values()) check.stop();
  }
}
