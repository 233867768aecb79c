/**
 * AWS's clock, read from the Date header of its answers. A signature and a password end by that clock; ours may be wrong.
 * The SDK corrects its signatures by itself; what a credential has left to live is for us to judge.
 */

/** How far apart the clocks may be before it is said. The SDK's own tolerance; AWS's is 15 minutes. */
const TOLERANCE_MS = 5 * 60_000;

/** The part of an SDK client that this file needs. */
export interface WatchedClient {
  middlewareStack: {
    // biome-ignore lint/suspicious/noExplicitAny: the SDK's own type binds input and output of each client.
    add(middleware: any, options: { step: 'deserialize'; name: string }): void;
  };
}

/**
 * Watch the answers of a client.
 *
 * @returns AWS's clock when it gave its last answer, to a second; undefined before the first
 */
export function watchClock(client: WatchedClient): () => Date | undefined {
  let at: Date | undefined;
  client.middlewareStack.add(
    (next: (args: unknown) => Promise<{ response: unknown }>) => async (args: unknown) => {
      const answer = await next(args);
      at = dateOf(answer.response) ?? at;
      return answer;
    },
    { step: 'deserialize', name: 'watchClock' },
  );
  return () => at;
}

/** AWS's clock minus ours, from an error of the SDK. Undefined where AWS gave no answer. */
export function skewOf(error: unknown, nowMs: number): number | undefined {
  const at = dateOf((error as { $response?: unknown } | null)?.$response);
  return at && at.getTime() - nowMs;
}

function dateOf(response: unknown): Date | undefined {
  const { headers = {} } = (response ?? {}) as { headers?: Record<string, string> };
  const text = Object.entries(headers).find(([name]) => name.toLowerCase() === 'date')?.[1];
  const at = new Date(text ?? '');
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** A sentence with the step to take, when the clocks are too far apart. */
export function clockProblem(skewMs: number | undefined): string | undefined {
  if (skewMs === undefined || Math.abs(skewMs) < TOLERANCE_MS) return undefined;
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  const how = skewMs > 0 ? 'behind' : 'ahead of';
  return `The clock of this machine is ${minutes} minutes ${how} AWS's. Set it right, for example with: timedatectl set-ntp true`;
}
