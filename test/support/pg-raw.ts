/**
 * PostgreSQL's bytes by hand, for what our own encoder cannot prove of itself: packets that are written here byte by byte,
 * and answers that are taken apart without it. From the manual's "Message Formats".
 */
import { once } from 'node:events';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';

/** A StartupMessage. @param version  major in the upper 16 bits: 0x30002 is 3.2 */
export function startupPacket(version: number, parameters: readonly (readonly [string, string])[]): Buffer {
  const body = Buffer.from(
    `${parameters
      .flat()
      .map((text) => `${text}\0`)
      .join('')}\0`,
  );
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(version, 4);
  return Buffer.concat([head, body]);
}

export interface RawMessage {
  tag: string;
  body: Buffer;
  /** Tag and length included. */
  bytes: Buffer;
}

/** Whole messages, in order. @throws Error for bytes that are left over */
export function messagesOf(bytes: Buffer): RawMessage[] {
  const messages: RawMessage[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) break;
    messages.push({
      tag: bytes.toString('latin1', at, at + 1),
      body: bytes.subarray(at + 5, end),
      bytes: bytes.subarray(at, end),
    });
    at = end;
  }
  if (at < bytes.length) throw new Error(`${bytes.length - at} bytes of a message that does not end`);
  return messages;
}

/** The fields of an ErrorResponse by their letters. */
export function errorFields({ tag, body }: RawMessage): Record<string, string> {
  if (tag !== 'E') throw new Error(`${tag} is not an ErrorResponse`);
  const fields = body.toString('utf8').split('\0').filter(Boolean);
  return Object.fromEntries(fields.map((field) => [field[0], field.slice(1)]));
}

export interface RawClient {
  socket: Socket;
  /** Everything that has come. */
  received(): Buffer;
  /** Resolves when a message of this letter has come since the last call, with all up to it. */
  until(tag: string): Promise<RawMessage[]>;
  /** Everything up to the end of the connection since the last call. */
  rest(): Promise<RawMessage[]>;
}

/** A client that sends what it is told and reads messages. */
export async function rawClient(where: { host?: string; port: number } | { path: string }): Promise<RawClient> {
  const socket = connect({ ...where, allowHalfOpen: true } as TcpNetConnectOpts);
  socket.on('error', () => {});
  await once(socket, 'connect');
  let bytes = Buffer.alloc(0);
  let from = 0;
  let ended = false;
  const looks = new Set<() => void>();
  const look = () => {
    for (const one of [...looks]) one();
  };
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    look();
  });
  const onEnd = () => {
    ended = true;
    look();
  };
  socket.once('end', onEnd).once('close', onEnd);
  const take = (end: number) => {
    const messages = messagesOf(bytes.subarray(from, end));
    from = end;
    return messages;
  };
  const wait = (find: () => number | undefined): Promise<RawMessage[]> =>
    new Promise((resolve, reject) => {
      const one = () => {
        const end = find();
        if (end === undefined && !ended) return;
        looks.delete(one);
        try {
          if (end !== undefined) resolve(take(end));
          else reject(new Error(`the connection ended: ${bytes.subarray(from).toString('latin1')}`));
        } catch (error) {
          reject(error);
        }
      };
      looks.add(one);
      one();
    });
  return {
    socket,
    received: () => bytes,
    until: (tag) =>
      wait(() => {
        for (let at = from; at + 5 <= bytes.length; ) {
          const end = at + 1 + bytes.readUInt32BE(at + 1);
          if (end > bytes.length) return undefined;
          if (bytes.toString('latin1', at, at + 1) === tag) return end;
          at = end;
        }
        return undefined;
      }),
    rest: () => wait(() => (ended ? bytes.length : undefined)),
  };
}
