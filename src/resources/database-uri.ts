/** The address of a database, as `spec.uri` has it. Pure. */

/** `host:port` or `[v6]:port` in two. */
export function splitUri(uri: string): [host: string, port: number] {
  const match = /^(?:\[([^\]]+)\]|([^:/]+)):(\d+)$/.exec(uri);
  return [match?.[1] ?? match?.[2] ?? uri, Number(match?.[3] ?? 5432)];
}
