/**
 * Whose program is at the other end of a loopback connection. Linux says it in `/proc/net/tcp` and `tcp6`: a row for each end,
 * with the user who opened it. Source: proc_net_tcp.txt of the kernel's documentation.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { TeleportError } from '../errors.js';
import { ipBytes } from '../ip.js';

/** `unknown`: there is no row, or the connection is not open any more, which says nothing about who opened it. */
export type Peer = 'own' | 'other' | 'unknown';

/** The two ends as `net.Socket` names them. */
export interface Ends {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
}

/** The tables, IPv4 first: most clients have such a row. A program that knows both versions has one in the other for IPv4, too. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const;
/** In the state column. A closed connection has others, and belongs to nobody: its user is shown as 0, which is root's number. */
const ESTABLISHED = '01';

/** Whether this system says whose a connection is. */
export function tellsPeers(platform: NodeJS.Platform): boolean {
  if (platform !== 'linux' || process.geteuid === undefined) return false;
  try {
    for (const table of TABLES) accessSync(table, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param read  a table's text; undefined where there is none */
export function peerOf(ends: Ends, uid: number, read: (table: string) => string | undefined = readTable): Peer {
  const peer = lookUp(ends, uid, read);
  // The kernel gives a long table in pieces, and a row can be missed while others go.
  return peer === 'unknown' ? lookUp(ends, uid, read) : peer;
}

function lookUp(ends: Ends, uid: number, read: (table: string) => string | undefined): Peer {
  const pairs = rowsOf(ends);
  for (const table of TABLES) {
    const text = read(table) ?? '';
    for (const pair of pairs) {
      const at = text.indexOf(` ${pair} ${ESTABLISHED} `);
      if (at < 0) continue;
      // local remote state queues timer retransmits uid
      const owner = text.slice(at + 1, at + 200).split(/\s+/)[6];
      return owner === String(uid) ? 'own' : 'other';
    }
  }
  return 'unknown';
}

const HINT = 'For programs of other users, containers and WSL: tsh proxy db --allow-other-users.';

/** What a program of somebody else hears. */
export function otherUser(): TeleportError {
  return new TeleportError('AccessDenied', 'this port is for programs of the user who started it, and yours is not', {
    hint: HINT,
  });
}

/** What a program hears whose user the system does not say. */
export function unknownPeer(): TeleportError {
  return new TeleportError(
    'AccessDenied',
    'this port is for programs of the user who started it, and the system does not say whose yours is',
    { hint: HINT },
  );
}

/** How the row of the other end begins: its address, then ours; as IPv4, as IPv4 within IPv6, or as IPv6. */
function rowsOf({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Ends): string[] {
  const [theirs, ours] = [ipBytes(remoteAddress), ipBytes(localAddress)];
  if (!theirs || !ours) return [];
  const row = (widen: (address: Buffer) => Buffer) =>
    `${hex(widen(theirs))}:${port(remotePort)} ${hex(widen(ours))}:${port(localPort)}`;
  return theirs.length === 4 ? [row((address) => address), row(mapped)] : [row((address) => address)];
}

const mapped = (ipv4: Buffer) => Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), ipv4]);

const port = (number: number) => number.toString(16).toUpperCase().padStart(4, '0');

/** The kernel prints an address as words of 32 bits, as its processor reads them. */
function hex(address: Buffer): string {
  const words = Buffer.from(address);
  return (endianness() === 'LE' ? words.swap32() : words).toString('hex').toUpperCase();
}

function readTable(table: string): string | undefined {
  try {
    return readFileSync(table, 'latin1');
  } catch {
    return undefined; // no IPv6 here
  }
}
