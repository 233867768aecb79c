/**
 * The one place that knows that there are two kinds of back end. It answers three questions for the commands: which
 * databases may I use, give me a route to this one, serve this local connection. `access/cluster.ts` (our cluster and
 * Teleport's alike) and `access/aws.ts` implement it; a command never asks which it is.
 */
import type { Duplex } from 'node:stream';
import type { Database } from '../resources/types.js';

export interface DatabaseFilter {
  name?: string | undefined;
  labels?: Record<string, string> | undefined;
  /** Every word must be found (`--search`). */
  search?: string[] | undefined;
  /** Predicate expression (`--query`). */
  query?: string | undefined;
}

/** Who one may be inside a database. `unknown`: the roles could not be read. */
export interface AllowedNames {
  allowed: string[];
  denied: string[];
  autoProvisioned?: boolean;
  unknown?: boolean;
}

export interface AccessibleDatabase {
  database: Database;
  users: AllowedNames;
  names: AllowedNames;
  /** Database roles of an automatic user. */
  dbRoles: string[];
}

/** A database, and who and where in it. What `tsh db login` stores. */
export interface Route {
  database: Database;
  dbUser: string;
  dbName: string;
  dbRoles: string[];
}

/** Gives local connections the way to one database. */
export interface Connector extends AsyncDisposable {
  /**
   * Serve one connection of a PostgreSQL client: its first packet (SSLRequest, GSSENCRequest, StartupMessage,
   * CancelRequest) up to its end. Never throws for what the client or the server did; ends the client with an
   * ErrorResponse where it can.
   */
  serve(client: Duplex): Promise<void>;
  /** A connection on which the next bytes are a StartupMessage and no password will be asked, for `db exec` and tests. */
  open(): Promise<Duplex>;
}

export interface RouteRequest {
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
}

export interface Access extends AsyncDisposable {
  databases(filter: DatabaseFilter): Promise<AccessibleDatabase[]>;
  /** User and name: given, stored, or the only ones allowed. @throws BadParameter with the candidates */
  route(found: AccessibleDatabase, request: RouteRequest): Promise<Route>;
  connector(route: Route): Promise<Connector>;
}
