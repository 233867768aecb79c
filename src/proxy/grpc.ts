/**
 * The Proxy's own gRPC services: the transport service, through which a client reaches Auth inside a stream
 * (auth-grpc-and-routing.md 2.3), and the join service, which is passed on to Auth (6.1 B).
 */
import type { Duplex } from 'node:stream';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { type Caller, callerKey } from '../api/caller.js';
import type { AuthClient } from '../api/client.js';
import { JoinService, type RegisterUsingIAMMethodRequest } from '../api/gen/authservice_pb.js';
import { type ProxyClusterRequest, TransportService } from '../api/gen/transport_pb.js';
import { sharedNameOf } from '../api/known-as.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { splitHostPort } from '../host-port.js';
import { FairShare, originOf } from '../net/fair-share.js';
import type { SocketEndpoint } from '../net/proxy-protocol.js';
import { createLimiter } from '../net/rate-limit.js';
import { RATE_LIMITS } from './web/limits.js';

/** Largest payload of one message, as in real programs. */
const MAX_FRAME_BYTES = 16 * 1024;

export interface DialOptions {
  /** Who wants it. */
  login: string | undefined;
  /** The client has gone. */
  signal: AbortSignal;
}

export interface TransportOptions {
  clusterName: string;
  /** A connection to the Auth Service of a cluster. @throws TeleportError `NotFound`, `ConnectionProblem` */
  dialAuth: (cluster: string, client: SocketEndpoint, options: DialOptions) => Promise<Duplex>;
}

export function transportRoutes(options: TransportOptions): (router: ConnectRouter) => void {
  return (router) => {
    router.service(TransportService, {
      getClusterDetails: () => ({ details: { fipsEnabled: false } }),
      proxyCluster: (requests, { values, signal }) => proxyCluster(requests, values.get(callerKey), signal, options),
    });
  };
}

/**
 * Conversations with Auth that strangers have open at a time: each is a call on a connection that logins share, from before anybody
 * knows whether an answer comes.
 */
const MOST_CONVERSATIONS = 64;

export function joinRoutes(auth: Pick<AuthClient, 'join'>): (router: ConnectRouter) => void {
  const conversations = new FairShare(MOST_CONVERSATIONS);
  const attempt = createLimiter(RATE_LIMITS.normal, () => performance.now());
  return (router) => {
    router.service(JoinService, {
      registerUsingToken: ({ $unknown: _, ...request }, context) => {
        const { address } = endpointOf(context.values.get(callerKey).remoteAddr);
        // Auth reads it in our time: of what a stranger sends nothing goes on that it has no use for.
        return auth.join.registerUsingToken({ ...request, remoteAddr: address });
      },
      registerUsingIAMMethod: (requests, { signal, values }) => {
        const caller = values.get(callerKey);
        const { address } = endpointOf(caller.remoteAddr);
        attempt(address);
        return joinByIdentity(auth, { requests, caller, address, signal }, conversations);
      },
    });
  };
}

interface Conversation {
  requests: AsyncIterable<RegisterUsingIAMMethodRequest>;
  caller: Caller;
  address: string;
  signal: AbortSignal;
}

/** A challenge, its answer, the certificates. */
async function* joinByIdentity(
  auth: Pick<AuthClient, 'join'>,
  { requests, caller, address, signal }: Conversation,
  conversations: FairShare,
) {
  const cut = new AbortController();
  const giveBack = conversations.take(originOf(address), () => {
    cut.abort(new TeleportError('LimitExceeded', 'too many hosts join at this moment; try again'));
  });
  let answered: (() => void) | undefined;
  const answer = async function* () {
    const { value, done } = await requests[Symbol.asyncIterator]().next();
    if (done) return;
    const { registerUsingTokenRequest, stsIdentityRequest } = value;
    if (!registerUsingTokenRequest) return;
    const { $unknown: _, ...request } = registerUsingTokenRequest;
    // From here on it is Auth, and AWS, who are waited for.
    answered = caller.busy?.();
    yield { stsIdentityRequest, registerUsingTokenRequest: { ...request, remoteAddr: address } };
  };
  try {
    yield* auth.join.registerUsingIAMMethod(answer(), { signal: AbortSignal.any([signal, cut.signal]) });
  } catch (error) {
    throw cut.signal.aborted ? cut.signal.reason : error;
  } finally {
    answered?.();
    giveBack();
  }
}

/** First message: the cluster, perhaps with bytes; then bytes both ways. */
async function* proxyCluster(
  requests: AsyncIterable<ProxyClusterRequest>,
  { bearer, remoteAddr }: Caller,
  signal: AbortSignal,
  { clusterName, dialAuth }: TransportOptions,
): AsyncGenerator<{ frame: { payload: Uint8Array } }> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done) return;
  const { cluster, frame } = first.value;
  const from = { login: bearer && sharedNameOf(bearer), signal };
  const socket = await dialAuth(cluster || clusterName, endpointOf(remoteAddr), from).catch((error: unknown) => {
    if (!isTeleportError(error, 'NotFound')) throw error;
    throw new TeleportError('NotFound', `failed dialing cluster ${JSON.stringify(cluster)}\n\t${error.message}`);
  });
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  let broken: unknown;
  const write = async (payload: Uint8Array): Promise<void> => {
    if (socket.destroyed || socket.write(payload)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  };
  const feed = async (): Promise<void> => {
    if (frame) await write(frame.payload);
    for (let next = await messages.next(); !next.done; next = await messages.next()) {
      if (!next.value.frame) throw new ConnectError('received invalid frame', Code.InvalidArgument);
      await write(next.value.frame.payload);
    }
    socket.end();
  };
  feed().catch((error: unknown) => {
    broken = error;
    socket.destroy();
  });
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += MAX_FRAME_BYTES) {
        yield { frame: { payload: chunk.subarray(at, at + MAX_FRAME_BYTES) } };
      }
    }
  } catch (error) {
    broken ??= error;
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
  if (broken instanceof ConnectError) throw broken;
}

function endpointOf(remoteAddr: string): SocketEndpoint {
  const { host, port } = splitHostPort(remoteAddr);
  return { address: host, port: Number(port) };
}
