/** An agent's end of a tunnel without TLS, over loopback. */
import { connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { silent } from '../../src/log.js';
import { type ControlLine, offerConnection, serveControl } from '../../src/tunnel/agent-line.js';
import type { TunnelConnection, TunnelHello } from '../../src/tunnel/protocol.js';
import type { TunnelRegistry } from '../../src/tunnel/registry.js';

type OnConnection = (stream: Duplex, connection: TunnelConnection) => void;
/** Where it dials in. */
type Accepting = Pick<TunnelRegistry, 'accept'>;

const sockets: Socket[] = [];

export function destroySockets(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
}

export async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ noDelay: true, allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const dialled = connect({
    port: (server.address() as { port: number }).port,
    host: '127.0.0.1',
    noDelay: true,
    allowHalfOpen: true,
  });
  const both: [Socket, Socket] = [await accepted, dialled];
  server.close();
  for (const socket of both) socket.on('error', () => {});
  sockets.push(...both);
  return both;
}

/** One data connection that the agent offers; what it does with its client. */
export async function offerTo(accepting: Accepting, hostId: string, onConnection: OnConnection): Promise<void> {
  const [ours, theirs] = await pair();
  accepting.accept(theirs, { hostId });
  offerConnection(ours).then(
    (connection) => onConnection(ours, connection),
    () => {},
  );
}

export interface FakeAgentOptions {
  databases?: TunnelHello['databases'];
  onConnection: OnConnection;
  /** In place of dialling. */
  onDial?: (count: number) => void;
  onPing?: (() => void) | undefined;
  silenceTimeoutMs?: number | undefined;
}

/** An agent that dials a data connection whenever it is asked to. */
export async function dialIn(
  accepting: Accepting,
  hostId: string,
  { databases = [], onConnection, onDial, onPing, silenceTimeoutMs = 60_000 }: FakeAgentOptions,
): Promise<ControlLine> {
  const [ours, theirs] = await pair();
  const dial = (count: number) => {
    for (let i = 0; i < count; i++) void offerTo(accepting, hostId, onConnection);
  };
  const line = serveControl(ours, {
    hello: { hostId, hostname: hostId, version: '1', databases },
    onStanding: () => onPing?.(),
    onDial: onDial ?? dial,
    silenceTimeoutMs,
    log: silent,
  });
  accepting.accept(theirs, { hostId });
  return line;
}
