/** What a bulk copy leaves behind is collected young; what that is worth is measured by `npm run bench`. */
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

test('every 16 MiB the young generation is collected, and nothing else', async () => {
  const few = await collections(() => {
    for (let i = 0; i < 15; i++) countRelayed(MIB);
  });
  expect(few).toEqual([]);
  const kinds = await collections(() => {
    for (let i = 0; i < 4 * 16; i++) countRelayed(MIB);
  });
  expect(kinds).toEqual(Array(4).fill(constants.NODE_PERFORMANCE_GC_MINOR));
});
