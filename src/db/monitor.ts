/**
 * The limits that end a running session: the certificate's end (`disconnect_expired_cert`), silence of the client
 * (`client_idle_timeout`), and a lock. The reason goes to the audit log and, unlike Teleport's, to the client.
 *
 * Source: database-service.md 2.
 */
import { formatDurationMs } from '../duration.js';
import { atMoment, LONGEST_TIMER_MS } from '../wait.js';

export interface MonitorLimits {
  /** When the certificate ends, if a role or the cluster wants sessions to end with it. */
  disconnectAt?: Date | undefined;
  /** Longest silence of the client. */
  idleTimeoutMs?: number | undefined;
}

/** Which limit it was; a lock comes from elsewhere. */
export type Limit = 'expired' | 'idle' | 'locked';

export interface Monitor {
  /** Bytes came from the client. */
  touch(): void;
  /** End the session now, for a lock. */
  end(reason: string): void;
  stop(): void;
}

/** @param onLimit  called once, with the reason as the audit event says it */
export function startMonitor(
  limits: MonitorLimits,
  now: () => Date,
  onLimit: (reason: string, limit: Limit) => void,
): Monitor {
  let forgetExpiry = () => {};
  let idle: NodeJS.Timeout | undefined;
  let lastRead = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
    forgetExpiry();
    clearTimeout(idle);
  };
  const end = (reason: string, limit: Limit) => {
    if (stopped) return;
    stop();
    onLimit(reason, limit);
  };
  const { disconnectAt, idleTimeoutMs } = limits;
  if (disconnectAt) {
    forgetExpiry = atMoment(disconnectAt, now, () =>
      end(`client certificate expired at ${goTime(disconnectAt)}`, 'expired'),
    );
  }
  if (idleTimeoutMs) {
    const startedAt = now().getTime();
    // One timer that looks at the clock, not one that is set anew at every chunk.
    const look = () => {
      const silentMs = now().getTime() - (lastRead || startedAt);
      if (silentMs >= idleTimeoutMs) {
        return end(
          lastRead === 0
            ? 'Client reported no activity'
            : `Client exceeded idle timeout of ${formatDurationMs(idleTimeoutMs)}`,
          'idle',
        );
      }
      idle = setTimeout(look, Math.min(idleTimeoutMs - silentMs, LONGEST_TIMER_MS));
    };
    idle = setTimeout(look, Math.min(idleTimeoutMs, LONGEST_TIMER_MS));
  }
  return {
    touch: () => {
      if (idleTimeoutMs) lastRead = now().getTime();
    },
    end: (reason) => end(reason, 'locked'),
    stop,
  };
}

/** As Go prints a time: `2026-05-06 07:08:09 +0000 UTC`. */
function goTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
