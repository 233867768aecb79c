/** The lines of an agent's hello stream: one JSON object each, checked field by field. Pure. Shape: `api/tunnel.ts`. */
import type { TunnelHello } from '../api/tunnel.js';
import { TeleportError } from '../errors.js';

/** Longest line taken: some ten thousand databases with long names. Ours. */
export const MAX_HELLO_BYTES = 4 * 1024 * 1024;

const HEALTH = ['healthy', 'unhealthy', 'unknown'] as const;

/**
 * A function that takes chunks and reports each whole line.
 *
 * @throws (the function) TeleportError `Protocol` for anything that is no hello, `LimitExceeded` for an endless line
 */
export function createHelloReader(onHello: (hello: TunnelHello) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)]);
      parts = [];
      size = 0;
      rest = rest.subarray(end + 1);
      if (line.length > 0) onHello(helloOf(line));
    }
    size += rest.length;
    if (size > MAX_HELLO_BYTES)
      throw new TeleportError('LimitExceeded', `a hello of more than ${MAX_HELLO_BYTES} bytes`);
    if (rest.length > 0) parts.push(rest);
  };
}

function helloOf(line: Buffer): TunnelHello {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw new TeleportError('Protocol', 'a hello that is not JSON', { cause });
  }
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
