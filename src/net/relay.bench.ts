/**
 * Throughput and latency of `relay` between two loopback sockets, beside a direct connection and `pipe`.
 * Exports a function: `npm run bench` calls it and prints one line for each way of joining.
 */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { relay } from './relay.js';

const MIB = 1024 * 1024;
const CARRIED_MIB = 1024;
const ROUND_TRIPS = 5000;

/** Measure all; sizes in MiB and microseconds a round trip. */
export async function benchRelay(print: (line: string) => void): Promise<void> {
  const joiners: Record<string, ((a: Socket, b: Socket) => void) | undefined> = {
    direct: undefined,
    pipe: (a, b) => void a.pipe(b).pipe(a),
    relay: (a, b) => void relay(a, b),
    'relay with taps': (a, b) => void relay(a, b, { onAtoB: () => {}, onBtoA: () => {} }),
  };
  for (const [name, join] of Object.entries(joiners)) {
    const source = await serve((socket) => answer(socket));
    const middle = join && (await serve((socket) => join(socket, connect({ port: source.port, noDelay: true }))));
    const port = middle?.port ?? source.port;
    const mibPerSecond = await throughput(port);
    const microseconds = await roundTrips(port);
    print(`${name.padEnd(16)} ${mibPerSecond.toFixed(0).padStart(6)} MiB/s ${microseconds.toFixed(1).padStart(7)} µs`);
    source.server.close();
    middle?.server.close();
  }
}

async function serve(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, port: (server.address() as AddressInfo).port };
}

/** One byte `e` first: echo. Anything else: send the whole load. */
function answer(socket: Socket): void {
  socket.once('data', (first) => {
    if (first[0] === 0x65) {
      socket.on('data', (chunk) => socket.write(chunk));
      socket.write(first);
      return;
    }
    const chunk = Buffer.alloc(MIB / 4);
    let left = CARRIED_MIB * 4;
    const send = () => {
      while (left > 0) {
        left -= 1;
        if (!socket.write(chunk)) {
          socket.once('drain', send);
          return;
        }
      }
      socket.end();
    };
    send();
  });
}

async function throughput(port: number): Promise<number> {
  const socket = connect({ port, noDelay: true });
  const started = performance.now();
  socket.write('t');
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await new Promise((done) => socket.once('end', done));
  socket.destroy();
  return bytes / MIB / ((performance.now() - started) / 1000);
}

async function roundTrips(port: number): Promise<number> {
  const socket = connect({ port, noDelay: true });
  const message = Buffer.alloc(64, 'e');
  let left = ROUND_TRIPS;
  const started = performance.now();
  await new Promise<void>((done) => {
    socket.on('data', () => {
      left -= 1;
      if (left === 0) done();
      else socket.write(message);
    });
    socket.write(message);
  });
  socket.destroy();
  return ((performance.now() - started) / ROUND_TRIPS) * 1000;
}
