/**
 * The one place that knows that there are two kinds of back end. It answers three questions for the commands: which
 * databases may I use, give me a route to this one, serve this local connection; and it keeps what `tsh db login` stores.
 * `access/cluster/access.ts` (our cluster and Teleport's alike) and `access/aws/access.ts` implement it; a command never asks which.
 */
import type { Duplex } from 'node:stream';
import type { AccessRequest, NewAccessRequest, NewReview } from '../resources/access-request.js';
import type { Database } from '../resources/types.js';

export interface DatabaseFilter {
  name?: string | undefined;
  labels?: Record<string, string> | undefined;
  /** Every word must be found (`--search`). */
  search?: string[] | undefined;
  /** Predicate expression (`--query`). */
  query?: string | undefined;
}

/** Who the person can be inside a database. `unknown`: the roles could not be read. */
export interface AllowedNames {
  allowed: string[];
  denied: string[];
  autoProvisioned?: boolean;
  unknown?: boolean;
  /** Why she cannot enter, as whatever user. */
  refused?: string;
}

export interface AccessibleDatabase {
  database: Database;
  users: AllowedNames;
  names: AllowedNames;
  /** Database roles of an automatic user. */
  dbRoles: string[];
  /** What a pasted URL, or AWS, says about who and where; what is typed comes first. */
  suggested?: RouteRequest;
  /** What was typed, where that is not the name: an endpoint. */
  askedAs?: string;
}

/** A database, and who and where in it. What `tsh db login` stores. */
export interface Route {
  database: Database;
  /** May be empty only with `isUserOptional`. */
  dbUser: string;
  /** Without a user one is there as oneself: the user of one's own IAM identity. */
  isUserOptional?: boolean;
  dbName: string;
  dbRoles: string[];
  autoCreate?: boolean;
  dbGroups?: string[];
}

/** Whom a client has to name when it connects. */
export function clientUser(route: Pick<Route, 'dbUser'>, connector: Pick<Connector, 'dbUser'>): string {
  return route.dbUser || (connector.dbUser ?? '');
}

/** Gives local connections the way to one database. */
export interface Connector extends AsyncDisposable {
  /** Who the person is in the database, where the route leaves it open. */
  readonly dbUser?: string;
  /**
   * Serve one connection of a PostgreSQL client: its first packet (SSLRequest, GSSENCRequest, StartupMessage,
   * CancelRequest) up to its end. Never throws for what the client or the server did; ends the client with an
   * ErrorResponse where it can.
   *
   * @param options  `onlyCancel`: nobody knows whose the client is; it may cancel, by a key that was given out here
   */
  serve(client: Duplex, options?: { onlyCancel?: boolean }): Promise<void>;
  /** A connection on which the next bytes are a StartupMessage and no password will be asked, for `db exec` and tests. */
  open(): Promise<Duplex>;
  /** Cancel what the clients of `serve` left running when they were ended, within seconds. Never throws. */
  cancelAll(): Promise<void>;
}

export interface RouteRequest {
  dbUser?: string | undefined;
  dbName?: string | undefined;
  dbRoles?: string[] | undefined;
  /** AWS only: make the user when there is none. */
  autoCreate?: boolean | undefined;
  /** AWS only: groups that the user is in for this session. */
  dbGroups?: string[] | undefined;
}

/** A database that the person is logged into: a stored credential that lives on. */
export interface ActiveDatabase {
  name: string;
  /** Address, where the name alone does not tell it from others. */
  uri?: string;
  protocol: string;
  /** Empty when it was not given at login. */
  dbUser: string;
  /** Without a user one is there as oneself. */
  isUserOptional?: boolean;
  dbName: string;
  dbRoles: string[];
  expiresAt: Date;
}

/** How a client that brings its own TLS reaches an active database: `db env`, `db config`, `proxy db`. */
export interface ConnectionInfo {
  host: string;
  port: number;
  caFile: string;
  /** Client certificate and key: clusters. */
  certFile?: string;
  keyFile?: string;
  /** A password file of libpq, good for minutes: AWS. */
  passFile?: string;
  /** Who logs in, where it is not the user of the route. */
  dbUser?: string;
  sslMode: 'verify-full' | 'verify-ca';
}

export interface ConnectorOptions {
  /** Keep the credential in memory only and renew it as needed (`--tunnel`, `db exec`). Default: the stored one, stored anew. */
  inMemory?: boolean;
  /** The client brings TLS and certificate itself; only a CancelRequest, which comes in clear, gets ours. */
  clientTls?: boolean;
  /** Called for each refusal at login. */
  onRefused?: () => void;
  /** A client is about to come: connect ahead. */
  warm?: boolean;
  /** For `db exec`, which Auth counts apart. */
  isExec?: boolean;
}

/** Access that one does not have, asked of people who may give it. Each call goes to the root cluster. */
export interface AccessRequests {
  /** False where the login cannot change: an identity file. */
  readonly canTakeUp: boolean;
  /** All that the person can see. */
  list(): Promise<AccessRequest[]>;
  /** @throws NotFound `no access request matching "…"` */
  find(id: string): Promise<AccessRequest>;
  /** @throws NotImplemented where there are none, or the server's refusal */
  create(wish: Omit<NewAccessRequest, 'user'>): Promise<AccessRequest>;
  /** Decide about somebody's request. */
  review(review: Omit<NewReview, 'author'>): Promise<AccessRequest>;
  /** Wait for the decision, up to the end of the request. */
  decided(request: AccessRequest): Promise<AccessRequest>;
  /** The same login with requests taken up or given back (`*`: all); what was stored for databases goes. */
  change(change: { add?: readonly string[]; drop?: readonly string[] }): Promise<void>;
}

export interface Access extends AsyncDisposable {
  /** Name of the cluster, or of the AWS login. */
  readonly clusterName: string;
  /** The same in a sentence: `cluster "example.com"`, `AWS profile "dev"`. */
  readonly place: string;
  /** `host:port`, as `db ls --all` shows it. */
  readonly proxyAddress: string;
  /** Why a client that brings its own TLS cannot connect and needs `tsh proxy db`; undefined when it can. */
  readonly unreachable?: string | undefined;
  /** Sorted by name. No call to anybody. */
  active(): Promise<ActiveDatabase[]>;
  databases(
    filter: DatabaseFilter,
    options?: { names?: string[]; useSearchAsRoles?: boolean },
  ): Promise<AccessibleDatabase[]>;
  /** User, name and roles: given, stored, or the only ones allowed. @throws BadParameter with the candidates */
  route(found: AccessibleDatabase, request: RouteRequest, options?: { optional?: boolean }): Promise<Route>;
  /** Fetch and store a credential for the route, and what clients read (`~/.pg_service.conf`). */
  login(route: Route): Promise<void>;
  /** False when secrets are kept where other programs cannot read them: then `connectionInfo` leads nowhere. */
  hasKeyFiles(): Promise<boolean>;
  /** Remove stored credentials; names that are not active are not an error. */
  logout(names: string[]): Promise<void>;
  connectionInfo(name: string): Promise<ConnectionInfo>;
  connector(route: Route, options?: ConnectorOptions): Promise<Connector>;
  /** Absent where there is nobody to ask. */
  readonly requests?: AccessRequests;
}
