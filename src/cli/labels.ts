/** Labels as one table cell. Pure. Spec: `tsh db ls` of Teleport 18. */

const RESERVED = /^teleport\.(dev|hidden|internal)\//;

/**
 * `k=v,k=v`: plain keys first, then keys with a `/`, then (verbose only) Teleport's own, each sorted.
 *
 * @param options.verbose  show `teleport.dev/…`, `teleport.hidden/…` and `teleport.internal/…` too
 */
export function labelsText(
  labels: Readonly<Record<string, string>> | undefined,
  { verbose }: { verbose: boolean },
): string {
  return Object.entries(labels ?? {})
    .filter(([key]) => verbose || !RESERVED.test(key))
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

function rank(key: string): number {
  if (RESERVED.test(key)) return 2;
  return key.includes('/') ? 1 : 0;
}
