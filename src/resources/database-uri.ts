/** The address of a database, as `spec.uri` has it. Pure. */
import { joinHostPort, splitHostPort } from '../host-port.js';
import type { Database } from './types.js';

/** `host:port` or `[v6]:port` in two; without a port PostgreSQL's own. */
export function splitUri(uri: string): [host: string, port: number] {
  const { host, port } = splitHostPort(uri);
  return port !== undefined && /^\d+$/.test(port) ? [host, Number(port)] : [uri, 5432];
}

/** The server of a database, however its address is written: `host:port`. */
export const endpointOf = ({ spec }: Pick<Database, 'spec'>): string =>
  joinHostPort(...splitUri(spec.uri)).toLowerCase();
