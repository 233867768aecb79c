/**
 * The PROXY protocol, version 2: who really dialled, told by a Proxy on the same machine in front of the TLS bytes. Only
 * read from loopback, where nobody but this machine can forge it. Source: HAProxy, proxy-protocol.txt, 2.2.
 */
import { isIP, type Socket } from 'node:net';
import { TeleportError } from '../errors.js';
import { peek } from '../net/peek.js';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const FIXED_BYTES = 16;
const MAX_HEADER_BYTES = FIXED_BYTES + 2048;

/**
 * Take the header off a connection, if there is one. The rest of the bytes stays in the socket.
 *
 * @returns `ip:port` of the person's end
 * @throws TeleportError `Protocol` for a broken header, `ConnectionProblem` when no bytes come in time
 */
export async function clientAddress(socket: Socket, { timeoutMs }: { timeoutMs: number }): Promise<string> {
  const { remoteAddress = '', remotePort = 0 } = socket;
  const own = `${isIP(remoteAddress) === 6 ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
  if (!isLoopback(remoteAddress)) return own;
  const seen = await peek(socket, { timeoutMs, until: isEnough });
  if (!startsLikeSignature(seen)) return own;
  const length = FIXED_BYTES + seen.readUInt16BE(14);
  socket.read(length);
  return sourceOf(seen.subarray(0, length)) ?? own;
}

/** The bytes that tell: another first byte, or the whole header. */
function isEnough(seen: Buffer): boolean {
  if (!startsLikeSignature(seen)) return true;
  if (seen.length < FIXED_BYTES) return false;
  const length = FIXED_BYTES + seen.readUInt16BE(14);
  if (length > MAX_HEADER_BYTES) throw new TeleportError('Protocol', 'the PROXY header is too long');
  return seen.length >= length;
}

const startsLikeSignature = (seen: Buffer) => {
  const length = Math.min(seen.length, SIGNATURE.length);
  return length > 0 && seen.subarray(0, length).equals(SIGNATURE.subarray(0, length));
};

/** Undefined for the command LOCAL and for families without addresses. */
function sourceOf(header: Buffer): string | undefined {
  const [command, family] = [header[12]!, header[13]!];
  if (command >> 4 !== 2) throw new TeleportError('Protocol', 'the PROXY header is of another version');
  if ((command & 0x0f) !== 1) return undefined;
  if (family === 0x11 && header.length >= FIXED_BYTES + 12) {
    return `${[...header.subarray(16, 20)].join('.')}:${header.readUInt16BE(24)}`;
  }
  if (family === 0x21 && header.length >= FIXED_BYTES + 36) {
    const groups = Array.from({ length: 8 }, (_, i) => header.readUInt16BE(16 + 2 * i).toString(16));
    return `[${groups.join(':')}]:${header.readUInt16BE(48)}`;
  }
  return undefined;
}

const isLoopback = (address: string) => address === '::1' || /^(::ffff:)?127\./.test(address);
