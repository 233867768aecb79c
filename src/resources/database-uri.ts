/** The address of a database, as `spec.uri` has it. Pure. */
import { splitHostPort } from '../host-port.js';

/** `host:port` or `[v6]:port` in two; without a port PostgreSQL's own. */
export function splitUri(uri: string): [host: string, port: number] {
  const { host, port } = splitHostPort(uri);
  return port !== undefined && /^\d+$/.test(port) ? [host, Number(port)] : [uri, 5432];
}
