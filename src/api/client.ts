/**
 * Typed calls to the Auth Service: gRPC over one HTTP/2 session on a socket that somebody else dialled
 * (`api/dial.ts`, or the Proxy's transport service). What a call throws is always one of our errors.
 * Metadata, limits and deadlines: Teleport 18.3.0 as in auth-grpc-and-routing.md 5.
 */
import type { Duplex } from 'node:stream';
import { type Client, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { TimedOut } from '../errors.js';
import { AuthService, JoinService } from './gen/authservice_pb.js';
import { ClusterConfigService } from './gen/clusterconfig_pb.js';
import { DeviceTrustService } from './gen/devicetrust_pb.js';
import { AccessReader, AuditReader, DatabaseAgent, Discovery, ProxyGateway, TrustLink } from './gen/internal_pb.js';
import { BotInstanceService } from './gen/machineid_pb.js';
import { PresenceService } from './gen/presence_pb.js';
import { TransportService } from './gen/transport_pb.js';
import { TrustService } from './gen/trust_pb.js';
import { UsersService } from './gen/users_pb.js';
import type { DescService } from './protobuf.js';
import { AuthSession } from './session.js';
import { fromConnectError, isOwnDeadline, wasNotTaken } from './status.js';

export interface AuthClientOptions {
  /** A connected socket; called at the first call and again after the connection was lost. */
  connect: () => Promise<Duplex>;
  /** Called by `close`, for a socket that no call ever asked for. */
  abandon?: () => void;
  /** Hex name of the cluster (`hexName`). */
  authority: string;
  /** Version announced to the server, `18.3.0`. */
  version: string;
  /** Product in `user-agent`. Default `tsh`. */
  product?: string;
  /** Deadline of every call that is not endless by its nature. Default 30 000. */
  defaultTimeoutMs?: number;
  /** `host:port` that is dialled, for errors. */
  address?: string;
  /** Largest message read or written. Default 4 MiB, as Teleport's. */
  maxMessageBytes?: number;
}

/** One connection's clients. Each is made when first used. */
export interface AuthClient extends AsyncDisposable {
  readonly auth: Client<typeof AuthService>;
  readonly trust: Client<typeof TrustService>;
  readonly presence: Client<typeof PresenceService>;
  readonly users: Client<typeof UsersService>;
  readonly clusterConfig: Client<typeof ClusterConfigService>;
  readonly join: Client<typeof JoinService>;
  readonly devices: Client<typeof DeviceTrustService>;
  readonly botInstances: Client<typeof BotInstanceService>;
  readonly proxyGateway: Client<typeof ProxyGateway>;
  readonly databaseAgent: Client<typeof DatabaseAgent>;
  readonly discovery: Client<typeof Discovery>;
  readonly auditReader: Client<typeof AuditReader>;
  readonly accessReader: Client<typeof AccessReader>;
  readonly transport: Client<typeof TransportService>;
  readonly trustLink: Client<typeof TrustLink>;
  /** The next call is made on a new connection; what runs on the old one goes on there. */
  reconnect(): void;
  /** Calls under way get a second to end. No error. */
  close(): Promise<void>;
}

export const DEFAULT_CALL_TIMEOUT_MS = 30_000;
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Streams that live as long as somebody wants them; a deadline would cut them. */
const ENDLESS = new Set(['SendKeepAlives', 'WatchDatabases', 'WatchLocks', 'WatchEvents', 'ProxyCluster', 'WatchRoot']);

/** Clients over one connection, which is opened by the first call. */
export function openAuthClient(options: AuthClientOptions): AuthClient {
  const session = new AuthSession(options);
  const transport = withOurErrors(
    createGrpcTransport({
      baseUrl: session.authority,
      sessionManager: session,
      acceptCompression: [],
      readMaxBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      writeMaxBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      interceptors: [announce(options)],
    }),
    session,
    options.defaultTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS,
    options.address,
  );
  const made = new Map<DescService, unknown>();
  const clientOf = <Service extends DescService>(service: Service): Client<Service> => {
    if (!made.has(service)) made.set(service, createClient(service, transport));
    return made.get(service) as Client<Service>;
  };
  const close = async (): Promise<void> => {
    await session.close();
    options.abandon?.();
  };
  return {
    get auth() {
      return clientOf(AuthService);
    },
    get trust() {
      return clientOf(TrustService);
    },
    get presence() {
      return clientOf(PresenceService);
    },
    get users() {
      return clientOf(UsersService);
    },
    get clusterConfig() {
      return clientOf(ClusterConfigService);
    },
    get join() {
      return clientOf(JoinService);
    },
    get devices() {
      return clientOf(DeviceTrustService);
    },
    get botInstances() {
      return clientOf(BotInstanceService);
    },
    get proxyGateway() {
      return clientOf(ProxyGateway);
    },
    get databaseAgent() {
      return clientOf(DatabaseAgent);
    },
    get discovery() {
      return clientOf(Discovery);
    },
    get auditReader() {
      return clientOf(AuditReader);
    },
    get accessReader() {
      return clientOf(AccessReader);
    },
    get transport() {
      return clientOf(TransportService);
    },
    get trustLink() {
      return clientOf(TrustLink);
    },
    reconnect: () => session.leave(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function announce({ version, product = 'tsh' }: AuthClientOptions): Interceptor {
  return (next) => (request) => {
    request.header.set('version', version);
    request.header.set('user-agent', `${product}/${version} teleshift`);
    return next(request);
  };
}

/**
 * Deadlines, and our errors. Both sit around the library's transport: what an interceptor throws would be wrapped again.
 */
function withOurErrors(
  inner: Transport,
  session: AuthSession,
  defaultTimeoutMs: number,
  address: string | undefined,
): Transport {
  /** @param limitMs  how long the answer may take; undefined = no limit */
  const oursOf =
    (call: string, limitMs: number | undefined) =>
    async (error: unknown): Promise<never> => {
      // What the socket died of arrives in the same turn of the event loop, but sometimes after the stream's end.
      await new Promise((resolve) => setImmediate(resolve));
      const broken = session.failure;
      if (limitMs && broken === undefined && isOwnDeadline(error)) throw lateAnswer(call, limitMs, address, error);
      throw fromConnectError(error, { broken });
    };
  return {
    unary: (method, signal, timeoutMs, ...rest) => {
      const limitMs = Math.ceil(timeoutMs ?? defaultTimeoutMs); // the header takes whole numbers only
      const call = () => inner.unary(method, signal, limitMs, ...rest);
      return call()
        .catch((error: unknown) => {
          // It met a connection that the other end is closing and was not looked at: on the next one it may (RFC 9113, 8.7).
          if (wasNotTaken(error)) return call();
          throw error;
        })
        .catch(oursOf(method.name, limitMs));
    },
    stream: async (method, signal, timeoutMs, ...rest) => {
      const limitMs = timeoutMs ?? (ENDLESS.has(method.name) ? undefined : defaultTimeoutMs);
      const ours = oursOf(method.name, limitMs);
      const response = await inner.stream(method, signal, limitMs, ...rest).catch(ours);
      return { ...response, message: rethrow(response.message, ours) };
    },
  };
}

function lateAnswer(call: string, limitMs: number, address: string | undefined, cause: unknown): TimedOut {
  const where = address === undefined ? '' : ` at ${address}`;
  return new TimedOut(`answer to ${call} from the Auth Service${where}`, limitMs, { cause });
}

async function* rethrow<Item>(items: AsyncIterable<Item>, ours: (error: unknown) => Promise<never>) {
  try {
    yield* items;
  } catch (error) {
    await ours(error);
  }
}
