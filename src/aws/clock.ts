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
 * @param nowMs  our clock at the moment of the call
 * @returns AWS's clock minus ours in milliseconds as of its last answer, exact to a second; undefined before the first
 */
export function watchClock(client: WatchedClient, nowMs: () => number = Date.now): () => number | undefined {
  let skewMs: number | undefined;
  client.middlewareStack.add(
    (next: (args: unknown) => Promise<{ response: unknown }>) => async (args: unknown) => {
      const answer = await next(args);
      skewMs = skewOf(answer.response, nowMs()) ?? skewMs;
      return answer;
    },
    { step: 'deserialize', name: 'watchClock' },
  );
  return () => skewMs;
}

/** AWS's clock minus ours, from an HTTP response of the SDK or an error that carries one. Undefined where none is. */
export function skewOf(source: unknown, nowMs: number): number | undefined {
  const carrier = source as { headers?: Headers; $response?: { headers?: Headers } } | null | undefined;
  const headers = carrier?.$response?.headers ?? carrier?.headers ?? {};
  const date = Object.entries(headers).find(([name]) => name.toLowerCase() === 'date')?.[1];
  const ms = Date.parse(date ?? '');
  return Number.isNaN(ms) ? undefined : ms - nowMs;
}

type Headers = Record<string, string>;

/** A sentence with the step to take, when the clocks are too far apart. */
export function clockProblem(skewMs: number | undefined): string | undefined {
  if (skewMs === undefined || Math.abs(skewMs) < TOLERANCE_MS) return undefined;
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  const how = skewMs > 0 ? 'behind' : 'ahead of';
  return `The clock of this machine is ${minutes} minutes ${how} AWS's. Set it right, for example with: timedatectl set-ntp true`;
}
