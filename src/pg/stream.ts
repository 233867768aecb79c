/**
 * A Duplex seen as whole packets during the login phase: exactly one packet is taken per call, what follows stays in the
 * stream, so the same Duplex can afterwards be relayed as it is. Opens and closes nothing.
 *
 * `Duplex.read(n)` does the work: it gives n bytes or nothing and keeps the rest, so no byte is ever put back. The owner
 * of the Duplex keeps an 'error' listener on it for as long as it lives; destroying the Duplex ends a wait.
 */

import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { TeleportError, TimedOut } from '../errors.js';
import { LONGEST_TIMER_MS } from '../wait.js';
import { decodeBackend } from './decode.js';
import {
  type BackendMessage,
  MAX_BODY_BYTES,
  MAX_STARTUP_PACKET_BYTES,
  MAX_STRANGER_BODY_BYTES,
  nameTag,
} from './messages.js';
import { checkFirstLength, decodeFirst, type FirstMessage } from './startup.js';

/** How long a whole exchange may last when nobody says otherwise. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** A moment by which a whole exchange must be done, however many waits it is made of. */
export interface Deadline {
  /** On the clock of `performance.now()`; Infinity = never. */
  readonly atMs: number;
  readonly timeoutMs: number;
  /** What is waited for, for the error. */
  readonly awaited: string;
  /** `host:port` of who is to answer, where that is known. */
  readonly address: string | undefined;
}

/** The deadline that lies `timeoutMs` ahead. @param awaited  as in the error: `no <awaited> within 30 s` */
export function deadlineIn(
  timeoutMs: number = DEFAULT_TIMEOUT_MS,
  awaited = 'PostgreSQL message',
  address?: string,
): Deadline {
  return { atMs: performance.now() + timeoutMs, timeoutMs, awaited, address };
}

export interface RawMessage {
  tag: number;
  body: Buffer;
}

/** What a server waits for first. */
export const FIRST_PACKET = 'start-up packet from the client';

/**
 * Read the first packet of a client and leave everything behind it in the stream.
 *
 * @param options.maxBytes  largest packet, length word included; by default PostgreSQL's own limit
 * @returns the message and the packet's own bytes, to be sent on unchanged
 * @throws TeleportError 'Protocol' for anything but a start-up packet, 'ConnectionProblem' when the peer leaves or stays
 * silent until the deadline
 */
export async function readFirst(
  duplex: Duplex,
  options: { deadline?: Deadline; timeoutMs?: number; maxBytes?: number } = {},
): Promise<{ message: FirstMessage; packet: Buffer }> {
  const deadline = options.deadline ?? deadlineIn(options.timeoutMs, FIRST_PACKET);
  const word = await readExactly(duplex, 4, deadline);
  const length = checkFirstLength(word.readUInt32BE(0), options.maxBytes ?? MAX_STARTUP_PACKET_BYTES);
  const packet = Buffer.concat([word, await readExactly(duplex, length - 4, deadline)]);
  return { message: decodeFirst(packet), packet };
}

/**
 * Read one message with a tag and leave everything behind it in the stream.
 *
 * @param options.maxBodyBytes  default: what a stranger may send (`MAX_STRANGER_BODY_BYTES`)
 * @throws as `readFirst`, and 'LimitExceeded' above `maxBodyBytes`
 */
export async function readMessage(
  duplex: Duplex,
  options: { deadline?: Deadline; timeoutMs?: number; maxBodyBytes?: number } = {},
): Promise<RawMessage> {
  const deadline = options.deadline ?? deadlineIn(options.timeoutMs);
  const header = await readExactly(duplex, 5, deadline);
  const tag = header.readUInt8(0);
  const length = header.readUInt32BE(1);
  const max = Math.min(options.maxBodyBytes ?? MAX_STRANGER_BODY_BYTES, MAX_BODY_BYTES);
  if (length < 4 || length - 4 > max) {
    const isOurBound = options.maxBodyBytes !== undefined && length >= 4 && length - 4 <= MAX_BODY_BYTES;
    throw new TeleportError(
      isOurBound ? 'LimitExceeded' : 'Protocol',
      `PostgreSQL message ${nameTag(tag, length - 4)}: allowed are 0 to ${max}`,
    );
  }
  return { tag, body: await readExactly(duplex, length - 4, deadline) };
}

/** `readMessage` and `decodeBackend` in one: the next message of a server. */
export async function readBackend(
  duplex: Duplex,
  options: { deadline?: Deadline; maxBodyBytes?: number } = {},
): Promise<BackendMessage> {
  const { tag, body } = await readMessage(duplex, options);
  return decodeBackend(tag, body);
}

/**
 * Exactly `length` bytes of the stream.
 *
 * @throws TeleportError 'ConnectionProblem' when the stream ends, breaks or is silent until the deadline
 */
export async function readExactly(duplex: Duplex, length: number, deadline: Deadline): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  return take(duplex, length) ?? (await waitFor(duplex, length, deadline));
}

/** The bytes if they are there, null if they may still come. */
function take(duplex: Duplex, length: number): Buffer | null {
  const bytes = duplex.read(length) as Buffer | null;
  if (bytes !== null && bytes.length < length) throw ended('in the middle of a message');
  return bytes;
}

/**
 * The listeners stay on for the whole wait. Putting 'readable' on afresh for each piece would report the piece that is
 * already there again and again, in a circle that lets nothing else run.
 */
function waitFor(duplex: Duplex, length: number, deadline: Deadline): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const settle = (act: () => void) => {
      clearTimeout(timer);
      duplex.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
      act();
    };
    const onReadable = () => {
      try {
        const bytes = take(duplex, length);
        if (bytes !== null) settle(() => resolve(bytes));
      } catch (error) {
        settle(() => reject(error));
      }
    };
    const onEnd = () => settle(() => reject(ended('before its next message', duplex.errored)));
    const onError = (cause: unknown) => settle(() => reject(ended('before its next message', cause)));
    if (duplex.destroyed || duplex.readableEnded || duplex.errored) return onEnd();
    const late = () =>
      settle(() => {
        const { awaited, timeoutMs, address } = deadline;
        reject(new TimedOut(awaited, timeoutMs, address === undefined ? {} : { address }));
      });
    const leftMs = deadline.atMs - performance.now();
    // A peer that never stops talking is always quicker than a timer.
    if (leftMs <= 0) return late();
    duplex.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
    if (leftMs !== Infinity) timer = setTimeout(late, Math.min(leftMs, LONGEST_TIMER_MS));
  });
}

function ended(when: string, cause?: unknown): TeleportError {
  return new TeleportError('ConnectionProblem', `the PostgreSQL connection ended ${when}`, {
    cause: cause ?? undefined,
  });
}
