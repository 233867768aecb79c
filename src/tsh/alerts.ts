/** Alerts of the cluster, on standard error. They are extra: whatever goes wrong on the way is not said. */
import { connectCluster } from '../access/login/client.js';
import type { Env } from '../cli/env.js';
import { printable } from '../cli/printable.js';
import { messageOf } from '../errors.js';
import type { LoginSession } from '../profile/session.js';

/** Numbers of the protocol. */
const SEVERITY = { low: 0, high: 10 } as const;

export interface AlertsOptions {
  /** The least that is shown. */
  severity: keyof typeof SEVERITY;
  /** Only those with these labels. */
  labels?: Record<string, string>;
  insecure: boolean;
  /** For connection and answer together. */
  timeoutMs: number;
}

export async function printAlerts(env: Env, session: LoginSession, options: AlertsOptions): Promise<void> {
  const signal = AbortSignal.any([env.signal, AbortSignal.timeout(options.timeoutMs)]);
  try {
    await using client = await connectCluster(session, {
      vars: env.vars,
      insecure: options.insecure,
      cluster: session.rootCluster,
      now: env.now(),
      signal,
      dialTimeoutMs: options.timeoutMs,
    });
    const { alerts } = await client.api.auth.getClusterAlerts(
      { severity: SEVERITY[options.severity], labels: options.labels ?? {} },
      { signal, timeoutMs: options.timeoutMs },
    );
    for (const { spec } of alerts) if (spec) env.stderr.write(`${printable(spec.message)}\n\n`);
  } catch (error) {
    env.log.debug('No alerts.', { error: messageOf(error) });
  }
}
