/**
 * What psql does at Ctrl-C: a CancelRequest on a connection of its own, to where the client is connected; then it waits
 * until the server closes that connection, and is deaf until then.
 */
import { connect } from 'node:net';
import type pg from 'pg';

const CANCEL_REQUEST = 80_877_102;

export async function cancelQuery(client: pg.Client): Promise<void> {
  const { processID, secretKey, port } = client as unknown as { processID: number; secretKey: number; port: number };
  const packet = Buffer.alloc(16);
  [packet.length, CANCEL_REQUEST, processID, secretKey].forEach((value, index) => {
    packet.writeInt32BE(value, index * 4);
  });
  const socket = connect(port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {}).resume();
  socket.write(packet);
  await closed;
}
