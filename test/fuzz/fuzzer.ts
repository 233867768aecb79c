/**
 * A fuzzer that goes where it has not been: inputs that reach a branch for the first time, or more often than before by
 * a power of two, are kept, and new ones are made from those. Coverage is what the instrumented sources count.
 *
 *     corpus ── pick ── mutate ── run ── counters ── new? ──▶ corpus
 *
 * jazzer.js would do the same in native code; its release (4.0.0) needs glibc 2.38, and 2.1.0 downloads its binary.
 */

/** The counters of one instrumented file, as istanbul has them: functions, statements, and the ways out of each branch. */
export interface FileCounters {
  f: number[];
  s: number[];
  b: Record<string, number[]>;
}

export interface FuzzOptions {
  run: (data: Buffer) => void;
  counters: () => Record<string, FileCounters>;
  seeds: readonly Buffer[];
  /** Of the random numbers: the same seed and corpus do the same. */
  seed: number;
  /** Stop when it says so; asked before each input. */
  isOver: (runs: number) => boolean;
  /** Longest input, in bytes. */
  maxBytes?: number;
  /** Sees each input before it is run. */
  onInput?: (data: Buffer) => void;
  /** Sees each input that is kept. */
  onNew?: (data: Buffer) => void;
}

export interface FuzzResult {
  runs: number;
  kept: number;
  find?: { input: Buffer; error: unknown };
}

export function fuzz(options: FuzzOptions): FuzzResult {
  const { run, seeds, isOver, maxBytes = 4096, onInput = () => {}, onNew = () => {} } = options;
  const random = randomFrom(options.seed);
  const coverage = new Coverage(options.counters);
  const corpus: Buffer[] = [];
  let runs = 0;
  const isBad = (input: Buffer): FuzzResult | undefined => {
    runs += 1;
    onInput(input);
    try {
      run(input);
    } catch (error) {
      return { runs, kept: corpus.length, find: { input, error } };
    }
    if (coverage.isNew()) {
      corpus.push(input);
      onNew(input);
    }
    return undefined;
  };
  for (const input of [Buffer.alloc(0), ...seeds]) {
    const bad = isBad(input);
    if (bad) return bad;
  }
  if (corpus.length === 0) corpus.push(Buffer.alloc(0));
  while (!isOver(runs)) {
    // The newest are the farthest, and every other time anything goes.
    const newest = random(2) === 0 ? Math.max(0, corpus.length - 8) : 0;
    let input = corpus[newest + random(corpus.length - newest)]!;
    for (let left = 1 + random(4); left > 0; left--) input = mutate(input, corpus, random);
    const bad = isBad(input.subarray(0, maxBytes));
    if (bad) return bad;
  }
  return { runs, kept: corpus.length };
}

/** What has been reached, and how often, in powers of two. */
class Coverage {
  readonly #counters: () => Record<string, FileCounters>;
  /** Of each file, once it is known. */
  readonly #files = new Map<string, { functions: number[]; lists: number[][]; most: Uint8Array }>();

  constructor(counters: () => Record<string, FileCounters>) {
    this.#counters = counters;
    this.isNew(); // what was run while the modules were read
  }

  /** Whether the last run reached more than those before; the counters begin anew. */
  isNew(): boolean {
    let isNew = false;
    const all = this.#counters();
    for (const path in all) {
      const { functions, lists, most } = this.#fileOf(path, all[path]!);
      // Most files are not touched by an input: one look at their functions is enough.
      if (!functions.some((count) => count > 0)) continue;
      let at = 0;
      for (const list of lists) {
        for (let i = 0; i < list.length; i++, at++) {
          const count = list[i]!;
          if (count === 0) continue;
          list[i] = 0;
          const level = Math.min(8, 32 - Math.clz32(count));
          if (level <= most[at]!) continue;
          most[at] = level;
          isNew = true;
        }
      }
    }
    return isNew;
  }

  #fileOf(path: string, counters: FileCounters) {
    const known = this.#files.get(path);
    if (known) return known;
    // Numbered from 0: lists do as well, and are quicker to walk.
    counters.f = listOf(counters.f);
    counters.s = listOf(counters.s);
    const lists = [counters.f, counters.s, ...Object.values(counters.b)];
    const most = new Uint8Array(lists.reduce((sum, list) => sum + list.length, 0));
    const file = { functions: counters.f, lists, most };
    this.#files.set(path, file);
    return file;
  }
}

const listOf = (numbered: ArrayLike<number> | Record<string, number>): number[] =>
  Array.isArray(numbered) ? numbered : Object.values(numbered);

type Random = (below: number) => number;

/** mulberry32 (public domain): small, and the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const BYTES = [0, 1, 9, 10, 13, 32, 34, 39, 40, 42, 45, 46, 47, 58, 92, 0x7f, 0x80, 0xc2, 0xe2, 0xff] as const;
const NUMBERS = [
  0, 1, 4, 5, 8, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
] as const;

function mutate(from: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  const at = random(from.length + 1);
  const length = Math.min(from.length - at, 1 + random(random(2) === 0 ? 4 : 64));
  const [head, part, tail] = [from.subarray(0, at), from.subarray(at, at + length), from.subarray(at + length)];
  // One byte is what most branches hang on.
  switch (random(12)) {
    case 0: {
      const input = Buffer.from(from);
      if (at < input.length) input[at] = input[at]! ^ (1 << random(8));
      return input;
    }
    case 1:
    case 8:
    case 9:
    case 10:
      return Buffer.concat([
        head,
        Buffer.of(random(4) > 0 ? random(256) : BYTES[random(BYTES.length)]!),
        from.subarray(at + random(2)),
      ]);
    case 2:
      return Buffer.concat([head, tail]);
    case 3:
      return Buffer.concat([head, part, part, tail]);
    case 4: {
      // As a length would stand there.
      const number = Buffer.alloc(4);
      number.writeUInt32BE(random(2) === 0 ? NUMBERS[random(NUMBERS.length)]! : from.length - at);
      const width = 1 + random(4);
      return Buffer.concat([head, number.subarray(4 - width), from.subarray(Math.min(from.length, at + width))]);
    }
    case 5: {
      const other = corpus[random(corpus.length)]!;
      return Buffer.concat([head, other.subarray(random(other.length + 1))]);
    }
    case 6: {
      const other = corpus[random(corpus.length)]!;
      const start = random(other.length + 1);
      return Buffer.concat([head, other.subarray(start, start + 1 + random(32)), from.subarray(at)]);
    }
    default:
      return Buffer.concat([from, Buffer.of(random(256))]);
  }
}
