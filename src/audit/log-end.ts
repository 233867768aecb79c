/**
 * The end of the log as Auth finds it at its start: where the chain goes on, which events are known, and whether what was signed
 * last is there. It looks back until it is behind that, however much came in the last minute; nothing is changed.
 */
import { join } from 'node:path';
import { blocksBack } from './blocks.js';
import { CHAIN_START, type ChainedLine, keyOfRecord, type Link, unchained } from './chain.js';
import { daysOf } from './day-file.js';
import { isSealed, type Sealed, type SealOptions, sealedOf } from './seal.js';

export interface LogEnd {
  link: Link;
  /** Of the newest file with a record in it. */
  day: string;
  /** When Auth had the last record; empty without one. */
  received: string;
  /** What its records are known by, oldest first. */
  keys: string[];
  /** Whether the record that was signed last is there. */
  isSigned: boolean;
  /** The first record that no signature covers, where there is one. */
  unsigned: number | undefined;
}

/** Bytes in which event ids are looked for, at least. */
const UID_BYTES = 2 ** 21;
const BYTES_A_UID = 512;

/** @param max  event ids */
export function endOfLog(dir: string, max: number, seal: Pick<SealOptions, 'key' | 'head'> | undefined): LogEnd {
  const look = new LookBack(max, seal);
  for (const day of daysOf(dir).reverse()) {
    for (const { lines, bytes } of blocksBack(join(dir, `${day}.log`))) {
      for (const { text } of lines) look.at(text, day);
      if (look.isDone(bytes)) return look.found;
    }
  }
  return look.found;
}

class LookBack {
  readonly #max: number;
  readonly #key: SealOptions['key'] | undefined;
  readonly #head: Sealed | undefined;
  /** Newest first. */
  readonly #keys = new Set<string>();
  #last: (Link & { received: string; day: string }) | undefined;
  /** The newest checkpoint in the log that is right: Auth may have ended before it could keep it once more. */
  #checkpoint: Sealed | undefined;
  #isHeadThere: boolean;
  #isCheckpointThere = false;
  #isBehind: boolean;
  #bytes = 0;

  constructor(max: number, seal: Pick<SealOptions, 'key' | 'head'> | undefined) {
    this.#max = max;
    this.#key = seal?.key;
    this.#head = seal?.head;
    this.#isHeadThere = this.#head === undefined;
    this.#isBehind = this.#head === undefined;
  }

  /** The line before those that were looked at. */
  at(line: string, day: string): void {
    const stamped = unchained(line);
    if (stamped) {
      const { n, sum, received } = stamped;
      this.#last ??= { n, sum, received, day };
      this.#checkpoint ??= this.#genuine(stamped);
      if (isEndOf(this.#checkpoint, stamped)) this.#isCheckpointThere = true;
      if (isEndOf(this.#head, stamped)) this.#isHeadThere = true;
      if (this.#head && n <= this.#head.last_n) this.#isBehind = true;
    }
    if (stamped && this.#keys.size < this.#max) this.#keys.add(keyOfRecord(stamped.host, stamped.record));
  }

  /** @param bytes  that were looked at since the last time */
  isDone(bytes: number): boolean {
    this.#bytes += bytes;
    const isKnown = this.#keys.size >= this.#max || this.#bytes >= Math.max(UID_BYTES, this.#max * BYTES_A_UID);
    return isKnown && this.#isBehind && this.#last !== undefined;
  }

  get found(): LogEnd {
    const { n, sum, received, day } = this.#last ?? { ...CHAIN_START, received: '', day: '' };
    // The checkpoint itself is the first one behind what it covers.
    const covered = Math.max(this.#head?.last_n ?? 0, this.#checkpoint ? this.#checkpoint.last_n + 1 : 0);
    return {
      link: { n, sum },
      day,
      received,
      keys: [...this.#keys].reverse(),
      isSigned: this.#isHeadThere && (this.#checkpoint === undefined || this.#isCheckpointThere),
      unsigned: this.#key && n > covered ? covered + 1 : undefined,
    };
  }

  #genuine({ record, n }: ChainedLine): Sealed | undefined {
    if (!this.#key || !record.includes('"audit.checkpoint"')) return undefined;
    const members = membersOf(record);
    const seal = members?.event === 'audit.checkpoint' ? sealedOf(members) : undefined;
    if (seal?.last_n !== n - 1) return undefined;
    // The last one may be of a key that is no longer there.
    return seal.signature === this.#head?.signature || isSealed('checkpoint', seal, this.#key) ? seal : undefined;
  }
}

const isEndOf = (seal: Sealed | undefined, { n, sum }: Link) => seal?.last_n === n && seal.last_sum === sum;

/** Undefined for what is not JSON. */
function membersOf(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
