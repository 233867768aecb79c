/** What psql sends at Ctrl-C: a CancelRequest on a connection of its own, to where the client is connected. */
import { connect } from 'node:net';
import type pg from 'pg';

const CANCEL_REQUEST = 80_877_102;

export function cancelQuery(client: pg.Client): void {
  const { processID, secretKey, port } = client as unknown as { processID: number; secretKey: number; port: number };
  const packet = Buffer.alloc(16);
  [packet.length, CANCEL_REQUEST, processID, secretKey].forEach((value, index) => {
    packet.writeInt32BE(value, index * 4);
  });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.end(packet).resume();
}
