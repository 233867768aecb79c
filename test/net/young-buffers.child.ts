/** In a process of its own: which collections `countRelayed` asks for, as JSON: after 15 MiB, after 64 MiB more. */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { countRelayed } from '../../src/net/young-buffers.js';

const MIB = 1024 * 1024;

/** Kinds of the collections that somebody asked for meanwhile. */
async function collections(work: () => void): Promise<number[]> {
  const entries: PerformanceEntry[] = [];
  const observer = new PerformanceObserver((list) => void entries.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  work();
  // V8's entries are queued one turn of the loop later.
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  entries.push(...observer.takeRecords());
  observer.disconnect();
  const details = entries.map((one) => (one as PerformanceEntry & { detail: { kind: number; flags: number } }).detail);
  return details.flatMap(({ kind, flags }) => (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED ? [kind] : []));
}

const relay = (mib: number) => () => {
  for (let i = 0; i < mib; i++) countRelayed(MIB);
};
console.log(JSON.stringify({ few: await collections(relay(15)), many: await collections(relay(4 * 16)) }));
