/** A database server that lets everybody in over TLS and then says what a test wants. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { encodeReady } from '../../src/pg/backend.js';
import type { TestCa } from '../support/ca.js';

export interface ScriptedDatabase {
  port: number;
  /** What it says to bytes that come after the login. */
  answer: (bytes: Buffer) => Buffer;
  /** Hang up on everybody. */
  hangUp(): void;
  stop(): void;
}

/** @param ca  signs its certificate, which is for `localhost` */
export async function startScriptedDatabase(ca: TestCa): Promise<ScriptedDatabase> {
  const secureContext = createSecureContext({ ...ca.issue(['localhost']) });
  const ready = encodeReady({ parameters: new Map(), backendKey: undefined, txStatus: 'I', negotiate: undefined });
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
    socket.once('data', () => {
      socket.write('S');
      const tls = new TLSSocket(socket, { isServer: true, secureContext });
      tls.on('error', () => {});
      tls.once('data', () => {
        tls.write(ready);
        tls.on('data', (bytes: Buffer) => tls.write(database.answer(bytes)));
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const hangUp = () => {
    for (const socket of open) socket.destroy();
  };
  const database: ScriptedDatabase = {
    port: (server.address() as { port: number }).port,
    answer: () => Buffer.alloc(0),
    hangUp,
    stop() {
      hangUp();
      server.close();
    },
  };
  return database;
}
