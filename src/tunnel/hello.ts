/** An agent's hello, checked field by field. Pure. Shape: `tunnel/protocol.ts`. */

import { TeleportError } from '../errors.js';
import type { TunnelHello } from './protocol.js';

const HEALTH = ['healthy', 'unhealthy', 'unknown'] as const;

/** @throws TeleportError `Protocol` for anything that is not a hello */
export function helloOf(value: unknown): TunnelHello {
  const { hostId, hostname, version, databases, draining } = (value ?? {}) as Record<string, unknown>;
  if (typeof hostId !== 'string' || typeof hostname !== 'string' || typeof version !== 'string') throw wrong('host');
  if (!Array.isArray(databases)) throw wrong('databases');
  return {
    hostId,
    hostname,
    version,
    databases: databases.map((entry: unknown) => {
      const { name, health } = (entry ?? {}) as Record<string, unknown>;
      if (typeof name !== 'string') throw wrong('a name');
      return { name, health: HEALTH.find((known) => known === health) ?? 'unknown' };
    }),
    ...(draining === true ? { draining } : {}),
  };
}

function wrong(what: string): TeleportError {
  return new TeleportError('Protocol', `a hello without ${what}`);
}
