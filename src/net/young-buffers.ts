/**
 * Frees the buffers of a bulk copy while they are young.
 *
 * Each chunk that a socket reads lies outside of V8's heap. Whenever 64 MiB of such memory have come, dead or alive, V8
 * marks the whole heap, all code that is loaded included: that was a quarter of the processor time of a large COPY.
 * Collecting the young generation alone, which the dead chunks are in, costs a fraction of a millisecond.
 * Source: V8's `kExternalAllocationSoftLimit`; `npm run bench`.
 */
import { runInNewContext } from 'node:vm';
import { nodeV8 } from '../node-modules.js';

/** Below V8's limit, and many chunks. */
const EVERY_BYTES = 16 * 1024 * 1024;

let sinceLast = 0;
let collect: (() => void) | undefined;

/** Tell of bytes that were read and handed on. */
export function countRelayed(bytes: number): void {
  sinceLast += bytes;
  if (sinceLast < EVERY_BYTES) return;
  sinceLast = 0;
  collect ??= minorCollection();
  collect();
}

function minorCollection(): () => void {
  const { setFlagsFromString } = nodeV8();
  // A program that was not started with the flag has it in contexts that are made while it is set.
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('globalThis.gc') as ((options: { type: 'minor' }) => void) | undefined;
  setFlagsFromString('--no-expose-gc');
  return () => gc?.({ type: 'minor' });
}
